"""Scaling and replacing against the rehearsal cloud's API."""

from __future__ import annotations

import pytest

from checkop.errors import CheckopError
from checkop.rollout.world import World
from lab.api.autoscaling.protocol import LaunchError
from lab.api.autoscaling.surroundings import Backends


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


def ended(fleet):
    """Which instances Auto Scaling has terminated, by what its activities tell."""
    pages = fleet.clients.autoscaling.describe_scaling_activities(AutoScalingGroupName="AUTOChOp")
    told = (activity["Description"] for activity in pages["Activities"])
    return [text.rpartition(" ")[2] for text in told if text.startswith("Terminating EC2 instance")]


def suspended(fleet):
    return [process["ProcessName"] for process in fleet.group()["SuspendedProcesses"]]


@pytest.mark.parametrize("zone", ["us-east-1a", "us-east-1d"])
def test_replace_ends_that_instance_alone_and_a_fresh_one_serves_in_its_zone_first(fleet, zone):
    before = ids(fleet)
    sick = next(each for each in before if before[each] == zone)
    healthy = []
    fleet.clock.passing.append(lambda: healthy.append(len(fleet.in_service())))
    outcome = fleet.replace(sick)
    # Time for Auto Scaling to even the zones out.
    fleet.clock.sleep(120)
    assert outcome.changed
    assert ended(fleet) == [sick]
    assert sorted(ids(fleet).values()) == ["us-east-1a", "us-east-1d"]
    assert min(healthy) >= 2
    assert fleet.group()["DesiredCapacity"] == 2
    assert suspended(fleet) == []
    assert fleet.tools().lock.read() is None


def test_replace_leaves_a_process_suspended_that_an_operator_suspended(fleet):
    fleet.clients.autoscaling.suspend_processes(AutoScalingGroupName="AUTOChOp", ScalingProcesses=["AZRebalance"])
    fleet.replace(sorted(ids(fleet))[0])
    assert suspended(fleet) == ["AZRebalance"]


def test_replace_that_is_not_done_in_time_lets_the_zones_be_evened_out_again(fleet):
    fleet.runtime.boot = 600
    with pytest.raises(CheckopError, match="was not replaced within 60 s"):
        fleet.replace(sorted(ids(fleet))[0], timeout_seconds=60)
    assert suspended(fleet) == []


def test_zone_without_capacity_replaces_nothing(fleet, monkeypatch):
    def full(*_args):
        raise LaunchError("We currently do not have sufficient capacity in the Availability Zone you requested.")

    monkeypatch.setattr(Backends, "launch", full)
    before = ids(fleet)
    with pytest.raises(CheckopError, match=r"launched in us-east-1\w.*InsufficientInstanceCapacity"):
        fleet.replace(sorted(before)[0])
    assert ids(fleet) == before
    assert suspended(fleet) == []
    assert fleet.tools().lock.read() is None


def test_replace_at_the_groups_maximum_ends_the_sick_one_first(fleet):
    fleet.scale(4)
    sick = sorted(ids(fleet))[0]
    fleet.replace(sick)
    assert sick not in ids(fleet)
    assert fleet.group()["DesiredCapacity"] == 4
    assert len(fleet.in_service()) == 4


class Killed(BaseException):
    """The operator's process ends here."""


def dies(*_args):
    raise Killed


def test_replace_goes_on_after_its_operator_was_killed(fleet, monkeypatch):
    sick = sorted(ids(fleet))[0]
    fleet.clock.passing.append(lambda: dies() if fleet.group()["DesiredCapacity"] == 3 else None)
    with monkeypatch.context() as patched:
        # A process that is killed cleans nothing up.
        patched.setattr(World, "resume", dies)
        with pytest.raises(Killed):
            fleet.replace(sick)
    fleet.clock.passing.clear()
    with pytest.raises(CheckopError, match=r"the replace of i-\w+, by ana@host-ana"):
        fleet.rollout("1.1.0", user="ben")
    assert suspended(fleet) == ["AZRebalance"]
    fleet.clock.sleep(100)
    with pytest.raises(CheckopError, match=r"playbooks/replace.yml -e instance=i-"):
        fleet.rollout("1.1.0", user="ben")
    fleet.replace(sick, user="ben")
    assert ended(fleet) == [sick]
    assert fleet.group()["DesiredCapacity"] == 2
    assert suspended(fleet) == []


def test_unknown_instance_is_refused_with_those_there_are(fleet):
    with pytest.raises(CheckopError, match=r"i-0123 is no instance of AUTOChOp. It has: i-"):
        fleet.replace("i-0123")
