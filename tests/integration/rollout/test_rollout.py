"""Releases against the rehearsal cloud's API."""

from __future__ import annotations

import pytest

from checkop.errors import CheckopError

BOTH = ("us-east-1a", "us-east-1d")


def both(version: str) -> list[tuple[str, str]]:
    return [(zone, version) for zone in BOTH]


def test_first_rollout_second_rollout_and_back(fleet):
    assert fleet.in_service() == both("1.0.0")
    outcome = fleet.rollout("1.1.0")
    assert outcome.entry.result == "succeeded", fleet.said
    assert fleet.in_service() == both("1.1.0")
    assert fleet.group()["LaunchTemplate"]["Version"] == str(outcome.entry.template_version)
    outcome = fleet.rollback()
    assert outcome.entry.result == "succeeded", fleet.said
    assert fleet.in_service() == both("1.0.0")
    assert not fleet.rollback("1").changed
    assert [entry.result for entry in fleet.ledger.entries()] == ["succeeded"] * 3


def test_alarm_in_the_middle_brings_the_old_release_back(fleet):
    started = fleet.clock.time
    fleet.clock.passing.append(lambda: fleet.alarm("ALARM") if fleet.clock.time == started + 40 else None)
    outcome = fleet.rollout("1.1.0")
    assert outcome.failed
    assert outcome.entry.result == "rolled_back", fleet.said
    assert fleet.in_service() == both("1.0.0")


def test_image_that_never_gets_healthy_is_taken_back(fleet):
    fleet.runtime.bad_images.add(fleet.images["1.1.0"])
    started = fleet.clock.time
    outcome = fleet.rollout("1.1.0")
    assert outcome.entry.result == "rolled_back", fleet.said
    assert fleet.in_service() == both("1.0.0")
    assert fleet.clock.time - started < 250


def test_blue_green_moves_the_traffic_and_cleans_up(fleet):
    outcome = fleet.rollout("1.1.0", strategy="blue_green")
    assert outcome.entry.result == "succeeded", fleet.said
    assert fleet.in_service() == both("1.1.0")
    assert fleet.share() == {"AUTOChOp": 1}
    assert fleet.group("AUTOChOp-green") == {}
    names = [group["TargetGroupName"] for group in fleet.clients.elbv2.describe_target_groups()["TargetGroups"]]
    assert names == ["AUTOChOp"]


def test_blue_green_goes_back_at_once_when_an_alarm_rings(fleet):
    fleet.clock.passing.append(lambda: fleet.alarm("ALARM") if fleet.share().get("AUTOChOp-green") == 50 else None)
    outcome = fleet.rollout("1.1.0", strategy="blue_green")
    assert outcome.entry.result == "rolled_back", fleet.said
    assert fleet.in_service() == both("1.0.0")
    assert fleet.share() == {"AUTOChOp": 1}
    assert fleet.group("AUTOChOp-green") == {}


def verify(fleet, version):
    """What a bake writes: the image that a rollout without a name takes."""
    fleet.tools().world.put_parameter("image/verified", fleet.images[version])


def refused_by_default(fleet, why):
    with pytest.raises(CheckopError, match=why) as refusal:
        fleet.rollout("latest")
    assert f"-e image={fleet.images['1.1.0']}" in str(refusal.value)
    assert fleet.in_service() == both("1.0.0")


def test_image_that_a_release_took_back_is_never_the_default(fleet):
    verify(fleet, "1.1.0")
    fleet.runtime.bad_images.add(fleet.images["1.1.0"])
    outcome = fleet.rollout("latest")
    assert outcome.entry.result == "rolled_back"
    assert f"checkop recall {fleet.images['1.1.0']}" in outcome.message
    refused_by_default(fleet, "release 0002 of it rolled back")
    fleet.runtime.bad_images.clear()
    assert fleet.rollout("1.1.0").entry.result == "succeeded", fleet.said
    # It succeeded by name since, and counts again.
    assert "nothing to do" in fleet.rollout("latest").message


def test_image_that_an_operator_rolled_back_is_never_the_default(fleet):
    verify(fleet, "1.1.0")
    fleet.rollout("latest")
    outcome = fleet.rollback()
    assert f"checkop recall {fleet.images['1.1.0']}" in outcome.message
    refused_by_default(fleet, f"release 0003 brought {fleet.images['1.0.0']} back")


def test_image_that_aws_alone_rolled_back_is_never_the_default(fleet, monkeypatch):
    """The operator's process ended and somebody deleted its lock, so that the ledger has no end of the release."""
    verify(fleet, "1.1.0")

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    tools = fleet.tools()
    with monkeypatch.context() as patched:
        patched.setattr(type(tools.world), "start_refresh", ends_after(type(tools.world).start_refresh, killed))
        with pytest.raises(KeyboardInterrupt):
            fleet.rollout("latest")
    fleet.clients.autoscaling.rollback_instance_refresh(AutoScalingGroupName="AUTOChOp")
    fleet.clock.sleep(60)
    fleet.clients.ssm.delete_parameter(Name="/checkop/rehearsal/rollout/lock")
    refused_by_default(fleet, "AWS rolled it back")


def ends_after(method, end):
    def both_of_them(self, *args, **options):
        method(self, *args, **options)
        return end()

    return both_of_them
