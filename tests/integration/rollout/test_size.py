"""Scaling and replacing against the rehearsal cloud's API."""

from __future__ import annotations

import pytest

from checkop.errors import CheckopError


def ids(fleet):
    return {each["InstanceId"]: each["AvailabilityZone"] for each in fleet.group()["Instances"]}


def test_scale_out_and_in_keeps_both_zones(fleet):
    out = fleet.scale(4)
    assert out.changed
    assert any("+0.33 USD an hour" in line for line in out.forecast), out.forecast
    assert sorted(ids(fleet).values()) == ["us-east-1a", "us-east-1a", "us-east-1d", "us-east-1d"]
    fleet.scale(2)
    assert sorted(ids(fleet).values()) == ["us-east-1a", "us-east-1d"]
    assert not fleet.scale(2).changed


@pytest.mark.parametrize(("size", "reason"), [(1, "fleet_min_size is 2"), (5, "fleet_max_size 4")])
def test_size_out_of_bounds_is_refused_before_any_change(fleet, size, reason):
    with pytest.raises(CheckopError, match=reason):
        fleet.scale(size)
    assert fleet.group()["DesiredCapacity"] == 2


def test_size_that_leaves_a_zone_empty_is_refused(fleet):
    fleet.clients.autoscaling.update_auto_scaling_group(AutoScalingGroupName="AUTOChOp", MinSize=1)
    with pytest.raises(CheckopError, match="leaves a zone of us-east-1a, us-east-1d empty"):
        fleet.scale(1, min_size=1)


def test_replace_lets_a_fresh_instance_serve_first(fleet):
    before = ids(fleet)
    sick = sorted(before)[0]
    healthy = []
    fleet.clock.passing.append(lambda: healthy.append(len(fleet.in_service())))
    outcome = fleet.replace(sick)
    assert outcome.changed
    assert sick not in ids(fleet)
    assert sorted(ids(fleet).values()) == ["us-east-1a", "us-east-1d"]
    assert min(healthy) >= 2
    assert fleet.group()["DesiredCapacity"] == 2
    assert fleet.tools().lock.read() is None


def test_replace_at_the_groups_maximum_ends_the_sick_one_first(fleet):
    fleet.scale(4)
    sick = sorted(ids(fleet))[0]
    fleet.replace(sick)
    assert sick not in ids(fleet)
    assert fleet.group()["DesiredCapacity"] == 4
    assert len(fleet.in_service()) == 4


def test_replace_goes_on_after_its_operator_was_killed(fleet):
    sick = sorted(ids(fleet))[0]

    class Killed(BaseException):
        pass

    def die():
        if fleet.group()["DesiredCapacity"] == 3:
            raise Killed

    fleet.clock.passing.append(die)
    with pytest.raises(Killed):
        fleet.replace(sick)
    fleet.clock.passing.clear()
    with pytest.raises(CheckopError, match=r"the replace of i-\w+, by ana@host-ana"):
        fleet.rollout("1.1.0", user="ben")
    fleet.clock.sleep(100)
    with pytest.raises(CheckopError, match=r"playbooks/replace.yml -e instance=i-"):
        fleet.rollout("1.1.0", user="ben")
    fleet.replace(sick, user="ben")
    assert sick not in ids(fleet)
    assert fleet.group()["DesiredCapacity"] == 2


def test_unknown_instance_is_refused_with_those_there_are(fleet):
    with pytest.raises(CheckopError, match=r"i-0123 is no instance of AUTOChOp. It has: i-"):
        fleet.replace("i-0123")
