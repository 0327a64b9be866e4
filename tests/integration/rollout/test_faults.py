"""Faults at the worst moments, against the rehearsal cloud's API: where the service ends, and what the ledger says."""

from __future__ import annotations

import sys
import time

import pytest

from checkop.errors import CheckopError
from checkop.ledger import Ledger
from checkop.rollout.colours import GreenWorld
from checkop.rollout.lock import STALE_SECONDS, Lock
from checkop.rollout.world import World

BOTH = ("us-east-1a", "us-east-1d")


def both(version: str) -> list[tuple[str, str]]:
    return [(zone, version) for zone in BOTH]


class Killed(BaseException):
    """The operator's process ends here."""


def kill_at(monkeypatch, owner, name, *, after=True, call=1):
    """Let the operator's process end at the n-th call of a method, once."""
    whole = getattr(owner, name)
    count = [0]

    def dying(self, *args, **options):
        count[0] += 1
        if count[0] == call and not after:
            raise Killed
        result = whole(self, *args, **options)
        if count[0] == call:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, dying)


def told_of_the_other(fleet):
    """A second operator is told who rolls what since when, while the first one counts as alive."""
    with pytest.raises(CheckopError, match=r"release \d{4}, a roll\w+ of ami-\w+, by ana@host-ana .* since 20"):
        fleet.rollout("1.2.0", user="ben")


PHASES = [
    (Lock, "take", True, 1),
    (Ledger, "put", True, 1),
    (World, "create_template_version", False, 1),
    (World, "create_template_version", True, 1),
    (World, "start_refresh", True, 1),
    (World, "observe", True, 8),
    (World, "put_parameter", True, 1),
    (Ledger, "finish", True, 1),
    (Lock, "give_back", False, 1),
]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: f"{phase[0].__name__}.{phase[1]}-{phase[3]}")
def test_killed_operators_rollout_is_finished_by_the_next(fleet, monkeypatch, phase):
    owner, name, after, call = phase
    with monkeypatch.context() as patched:
        kill_at(patched, owner, name, after=after, call=call)
        with pytest.raises(Killed):
            fleet.rollout("1.1.0", user="ana")
    told_of_the_other(fleet)
    fleet.clock.sleep(STALE_SECONDS + 1)
    outcome = fleet.rollout("1.1.0", user="ben")
    assert not outcome.failed, fleet.said
    assert fleet.in_service() == both("1.1.0")
    assert [(entry.release, entry.result) for entry in fleet.ledger.entries()][:2] == [
        ("0002", "succeeded"),
        ("0001", "succeeded"),
    ]
    assert fleet.tools().lock.read() is None
    refreshes = fleet.clients.autoscaling.describe_instance_refreshes(AutoScalingGroupName="AUTOChOp")
    assert len(refreshes["InstanceRefreshes"]) == 1
    assert fleet.ledger.entries()[0].refresh == refreshes["InstanceRefreshes"][0]["InstanceRefreshId"]
    versions = fleet.clients.ec2.describe_launch_template_versions(LaunchTemplateName="AUTOChOp")
    assert len(versions["LaunchTemplateVersions"]) == 3


@pytest.mark.parametrize(
    "name", ["create_target_group", "weigh", "create_group", "empty", "delete_group", "delete_target_group"]
)
def test_killed_operators_blue_green_release_is_finished_by_the_next(fleet, monkeypatch, name):
    with monkeypatch.context() as patched:
        kill_at(patched, GreenWorld, name, call=3 if name == "weigh" else 1)
        with pytest.raises(Killed):
            fleet.rollout("1.1.0", user="ana", strategy="blue_green")
    told_of_the_other(fleet)
    fleet.clock.sleep(STALE_SECONDS + 1)
    outcome = fleet.rollout("latest", user="ben")
    assert not outcome.failed, fleet.said
    assert fleet.in_service() == both("1.1.0")
    assert fleet.share() == {"AUTOChOp": 1}
    assert fleet.group("AUTOChOp-green") == {}


def test_killed_operators_first_rollout_is_finished_by_the_next(empty_fleet, monkeypatch):
    with monkeypatch.context() as patched:
        kill_at(patched, World, "size")
        with pytest.raises(Killed):
            empty_fleet.rollout("1.0.0", user="ana")
    empty_fleet.clock.sleep(STALE_SECONDS + 1)
    assert not empty_fleet.rollout("1.0.0", user="ben").failed
    assert empty_fleet.in_service() == both("1.0.0")


def test_rollback_takes_back_what_a_dead_operator_left_half_way(fleet, monkeypatch):
    with monkeypatch.context() as patched:
        kill_at(patched, World, "observe", call=8)
        with pytest.raises(Killed):
            fleet.rollout("1.1.0", user="ana")
    fleet.clock.sleep(STALE_SECONDS + 1)
    outcome = fleet.rollback(user="ben")
    assert not outcome.failed, fleet.said
    assert outcome.entry.release == "0002"
    assert outcome.entry.result == "rolled_back"
    assert fleet.in_service() == both("1.0.0")


def test_blue_green_is_taken_back_in_its_hold_by_a_change_of_shares_alone(fleet):
    tools = fleet.tools("ben")
    seen = {}

    def abort():
        if fleet.share().get("AUTOChOp-green") == 100 and "at" not in seen:
            seen["at"] = fleet.clock.time
            tools.world.put_parameter("rollout/word", '{"release": "0002", "word": "abort", "operator": "ben@host"}')
        if "at" in seen and "back" not in seen and fleet.share().get("AUTOChOp-green") != 100:
            seen["back"] = fleet.clock.time

    fleet.clock.passing.append(abort)
    outcome = fleet.rollout("1.1.0", strategy="blue_green", hold_seconds=60)
    assert outcome.entry.result == "rolled_back"
    assert outcome.entry.reason == "ben@host said abort"
    assert seen["back"] - seen["at"] <= fleet.settings.poll_seconds + 1
    assert fleet.in_service() == both("1.0.0")
    assert fleet.share() == {"AUTOChOp": 1}


def lead_to_blue(fleet):
    """Do what balancer.yml does: all traffic goes to the group of the inventory."""
    elbv2 = fleet.clients.elbv2
    balancer = elbv2.describe_load_balancers(Names=["Progresus-ELB"])["LoadBalancers"][0]["LoadBalancerArn"]
    blue = elbv2.describe_target_groups(Names=["AUTOChOp"])["TargetGroups"][0]["TargetGroupArn"]
    for listener in elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]:
        elbv2.modify_listener(
            ListenerArn=listener["ListenerArn"], DefaultActions=[{"Type": "forward", "TargetGroupArn": blue}]
        )


def test_traffic_that_is_led_to_blue_while_it_is_replaced_goes_back_to_green_and_is_no_success(fleet):
    seen = {}

    def interfere():
        refreshes = fleet.clients.autoscaling.describe_instance_refreshes(AutoScalingGroupName="AUTOChOp")
        replaced = any(each["Status"] == "InProgress" for each in refreshes["InstanceRefreshes"])
        if replaced and "at" not in seen and fleet.share().get("AUTOChOp-green") == 100:
            seen["at"] = fleet.clock.time
            lead_to_blue(fleet)
        elif "at" in seen and "back" not in seen and fleet.share().get("AUTOChOp-green") == 100:
            seen["back"] = fleet.clock.time

    fleet.clock.passing.append(interfere)
    outcome = fleet.rollout("1.1.0", strategy="blue_green")
    assert seen["back"] - seen["at"] <= fleet.settings.poll_seconds + 1, fleet.said
    assert outcome.entry.result == "rolled_back", fleet.said
    assert "somebody else changed the listeners" in outcome.entry.reason
    assert fleet.in_service() == both("1.0.0")
    assert fleet.share() == {"AUTOChOp": 1}


def test_shares_that_somebody_else_changes_before_blue_is_replaced_end_the_release(fleet):
    seen = []

    def interfere():
        if not seen and fleet.share().get("AUTOChOp-green") == 50:
            seen.append(lead_to_blue(fleet))

    fleet.clock.passing.append(interfere)
    outcome = fleet.rollout("1.1.0", strategy="blue_green")
    assert seen
    assert outcome.entry.result == "rolled_back", fleet.said
    assert "green has none of the traffic, 50 % was set" in outcome.entry.reason
    assert fleet.in_service() == both("1.0.0")


def test_refresh_that_is_cancelled_in_the_console_is_taken_back_in_truth(fleet):
    cancelled = []

    def cancel():
        if not cancelled and sorted(version for _zone, version in fleet.in_service()) == ["1.0.0", "1.1.0"]:
            cancelled.append(fleet.clients.autoscaling.cancel_instance_refresh(AutoScalingGroupName="AUTOChOp"))

    fleet.clock.passing.append(cancel)
    outcome = fleet.rollout("1.1.0")
    assert cancelled
    assert outcome.entry.result == "rolled_back", fleet.said
    assert fleet.in_service() == both("1.0.0")


def test_instance_killed_in_the_middle_is_replaced_and_the_rollout_completes(fleet):
    killed = []

    def kill():
        new = [each for each in fleet.group()["Instances"] if each["LaunchTemplate"]["Version"] == "3"]
        if not killed and len(fleet.in_service()) == 3:
            killed.append(new[0]["InstanceId"])
            fleet.runtime.conditions[new[0]["InstanceId"]] = "gone"

    fleet.clock.passing.append(kill)
    outcome = fleet.rollout("1.1.0")
    assert killed
    assert outcome.entry.result == "succeeded", fleet.said
    assert fleet.in_service() == both("1.1.0")


def test_image_that_turns_unhealthy_after_the_first_checkpoint_is_taken_back(fleet):
    started = fleet.clock.time

    def sicken():
        refreshes = fleet.clients.autoscaling.describe_instance_refreshes(AutoScalingGroupName="AUTOChOp")
        if refreshes["InstanceRefreshes"] and refreshes["InstanceRefreshes"][0]["PercentageComplete"] >= 50:
            fleet.runtime.bad_images.add(fleet.images["1.1.0"])

    fleet.clock.passing.append(sicken)
    outcome = fleet.rollout("1.1.0")
    assert outcome.entry.result == "rolled_back", fleet.said
    assert fleet.in_service() == both("1.0.0")
    assert fleet.clock.time - started < 300


@pytest.mark.parametrize("code", ["Throttling", "InternalError"])
def test_api_that_fails_one_call_in_ten_does_not_stop_a_rollout(fleet, code):
    rule = fleet.runtime.faults.api(every=10, code=code)
    outcome = fleet.rollout("1.1.0")
    fleet.runtime.faults.clear()
    assert rule.failed > 5
    assert outcome.entry.result == "succeeded", fleet.said
    assert fleet.in_service() == both("1.1.0")
    assert len(fleet.ledger.entries()) == 2


def test_calls_do_not_grow_with_the_fleet(empty_fleet, capsys):
    """The same release over two instances and over two hundred: what each look asks of AWS, and how long it takes."""
    fleet = empty_fleet
    figures = {}
    for size, version in ((2, "1.0.0"), (200, "1.1.0")):
        group = {"AutoScalingGroupName": "AUTOChOp", "MaxSize": 400, "DesiredCapacity": size if size > 2 else 0}
        fleet.clients.autoscaling.update_auto_scaling_group(**group)
        fleet.clock.sleep(20)
        looks = Looks(fleet)
        began = time.monotonic()
        options = {"min_size": 2, "desired_size": size, "max_size": 400, "checkpoints": (100,), "poll_seconds": 5}
        outcome = fleet.rollout(version, **options)
        assert outcome.entry.result == "succeeded", fleet.said
        figures[size] = looks.calls_per_look()
        with capsys.disabled():
            seconds = time.monotonic() - began
            sys.stdout.write(f"\n{size} instances: {looks.calls} calls in {looks.looks} looks, {seconds:.1f} s\n")
    assert len(fleet.in_service()) == 200
    assert figures[200] <= figures[2]


class Looks:
    """Counts the calls of the operator's side, and its looks."""

    def __init__(self, fleet):
        self.calls = self.looks = 0
        for name in ("autoscaling", "elbv2", "cloudwatch", "ec2", "ssm"):
            getattr(fleet.operator, name).meta.events.register("before-call", self.note)

    def note(self, model, **_):
        self.calls += 1
        self.looks += model.name == "DescribeInstanceRefreshes"

    def calls_per_look(self):
        return round(self.calls / self.looks, 1)
