"""Releases against the rehearsal cloud's API."""

from __future__ import annotations

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
