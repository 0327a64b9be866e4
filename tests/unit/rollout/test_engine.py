"""Releases on a simulated fleet: how they go, and how they end when something goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from checkop.commands.rollout import make_word
from checkop.errors import CheckopError
from checkop.rollout.checks import ZoneResult


def test_first_rollout_gives_the_group_its_size(make_bench):
    bench = make_bench()
    outcome = bench.rollout("ami-1")
    assert outcome.changed
    assert not outcome.failed
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]
    assert {vm.zone for vm in bench.fleet.vms} == {"us-east-1a", "us-east-1d"}
    assert (bench.fleet.minimum, bench.fleet.desired, bench.fleet.maximum) == (2, 2, 4)
    assert bench.fleet.refreshes_done == []
    assert bench.parameter("image/in_service") == "ami-1"
    assert bench.ledger.get("0001").first


def test_rollout_is_a_refresh_to_a_numbered_version(bench):
    outcome = bench.rollout("ami-2")
    entry = outcome.entry
    assert entry.result == "succeeded"
    assert bench.fleet.running_images() == ["ami-2", "ami-2"]
    refresh = bench.fleet.refreshes_done[0]
    assert (refresh.status, refresh.target, refresh.original) == ("Successful", "3", "2")
    asked = refresh.asked_preferences
    assert asked["CheckpointPercentages"] == [50, 100]
    assert asked["AlarmSpecification"] == {"Alarms": ["checkop-5xx"]}
    assert asked["AutoRollback"]
    assert asked["SkipMatching"]
    assert (entry.previous_image, entry.previous_template_version, entry.previous_release) == ("ami-1", 2, "0001")
    assert bench.parameter("image/in_service") == "ami-2"
    assert bench.parameter("rollout/lock") == ""


def test_group_is_never_updated_before_its_refresh(bench):
    bench.fleet.calls.clear()
    bench.rollout("ami-2")
    assert "size" not in bench.fleet.calls


def test_image_in_service_is_nothing_to_do(bench):
    bench.fleet.calls.clear()
    outcome = bench.rollout("ami-1")
    assert not outcome.changed
    assert "nothing to do" in outcome.message
    assert set(bench.fleet.calls) == {"observe"}
    assert len(bench.ledger.entries()) == 1


def test_new_settings_of_the_template_are_rolled_out_with_the_same_image(bench):
    bench.fleet.versions[0] = replace(bench.fleet.versions[0], settings="m6i.xlarge")
    outcome = bench.rollout("ami-1")
    assert outcome.entry.result == "succeeded"
    assert bench.fleet.versions[-1].settings == "m6i.xlarge"
    assert not bench.rollout("ami-1").changed


def test_check_mode_changes_nothing(bench):
    before = dict(bench.ssm.values)
    bench.fleet.calls.clear()
    outcome = bench.rollout("ami-2", check=True)
    assert outcome.changed
    assert outcome.forecast
    assert set(bench.fleet.calls) == {"observe"}
    assert bench.ssm.values == before


def test_rollback_brings_the_last_good_release_back_without_pauses(bench):
    bench.rollout("ami-2")
    started = bench.clock.time
    outcome = bench.rollback()
    assert outcome.entry.result == "succeeded"
    assert (outcome.entry.operation, outcome.entry.of_release, outcome.entry.image) == ("rollback", "0001", "ami-1")
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]
    asked = bench.fleet.refreshes_done[0].asked_preferences
    assert "CheckpointPercentages" not in asked
    assert "AlarmSpecification" not in asked
    # Both at once: one boot, one drain, and a few polls.
    assert bench.clock.time - started < bench.fleet.boot + bench.fleet.drain + 8
    assert bench.parameter("image/in_service") == "ami-1"


def test_image_that_never_gets_healthy_is_taken_back_in_bounded_time(bench):
    bench.fleet.dead_images.add("ami-2")
    started = bench.clock.time
    outcome = bench.rollout("ami-2")
    assert outcome.failed
    assert outcome.entry.result == "rolled_back"
    assert "nothing has come forward" in outcome.entry.reason
    assert bench.clock.time - started < 120 + 10 + 60
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]
    assert bench.at_full_strength()
    assert bench.parameter("image/in_service") == "ami-1"


def test_alarm_during_the_roll_takes_it_back(bench):
    bench.clock.passing.append(lambda now: bench.fleet.ringing.add("checkop-5xx") if now > started + 50 else None)
    started = bench.clock.time
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back"
    assert "checkop-5xx" in outcome.entry.reason
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def test_checks_that_fail_take_it_back(bench):
    def answers():
        if bench.fleet.active is None:
            return [ZoneResult("us-east-1a", "127.0.0.1", answered=20)]
        result = ZoneResult(
            "us-east-1a", "127.0.0.1", answered=19, failures=["/health/ready through us-east-1a: HTTP 502"]
        )
        return [result]

    bench.fleet.answers = answers
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back"
    assert "HTTP 502" in outcome.entry.reason
    assert bench.at_full_strength()


def test_image_that_turns_unhealthy_after_the_first_checkpoint_is_taken_back(bench):
    def sicken(_now):
        for vm in bench.fleet.vms:
            if bench.fleet.image_of(vm.version) == "ami-2" and vm.in_service_at is not None:
                vm.sick = True

    def later(now):
        if bench.fleet.active is not None and bench.fleet.active.percent >= 50:
            sicken(now)

    bench.clock.passing.append(later)
    started = bench.clock.time
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back", bench.said
    assert bench.clock.time - started < 250
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def test_killed_instance_does_not_stop_the_roll(bench):
    killed = []

    def kill(now):
        new = [vm for vm in bench.fleet.vms if bench.fleet.image_of(vm.version) == "ami-2" and vm.in_service_at]
        if new and not killed:
            killed.append(new[0].instance_id)
            bench.fleet.kill(new[0].instance_id)

    bench.clock.passing.append(kill)
    outcome = bench.rollout("ami-2")
    assert killed
    assert outcome.entry.result == "succeeded"
    assert bench.at_full_strength()


def test_soak_that_fails_after_the_refresh_goes_back_by_a_refresh_of_its_own(bench):
    def sicken(_now):
        newest = bench.fleet.refreshes_done[0] if bench.fleet.refreshes_done else None
        if newest is not None and newest.status == "Successful" and newest.target == "3":
            for vm in bench.fleet.vms:
                vm.sick = bench.fleet.image_of(vm.version) == "ami-2"

    bench.clock.passing.append(sicken)
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back", bench.said
    assert [each.target for each in bench.fleet.refreshes_done] == ["2", "3"]
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]
    assert bench.ledger.entries()[0].result == "rolled_back"


def test_first_rollout_that_fails_leaves_the_group_empty_for_the_next(make_bench):
    bench = make_bench()
    bench.fleet.dead_images.add("ami-1")
    outcome = bench.rollout("ami-1")
    assert outcome.entry.result == "failed"
    assert bench.fleet.vms == []
    assert bench.rollout("ami-2").entry.result == "succeeded"
    assert bench.fleet.running_images() == ["ami-2", "ami-2"]


def test_api_that_fails_one_call_in_ten_does_not_stop_the_roll(bench):
    count = [0]

    def flaky(_name):
        count[0] += 1
        if count[0] % 10 == 0:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    bench.fleet.before = flaky
    assert bench.rollout("ami-2").entry.result == "succeeded"


def test_manual_pause_waits_for_the_word_and_goes_on(bench):
    def word(now):
        refresh = bench.fleet.active
        if refresh is not None and refresh.percent == 50 and now > started + 300:
            bench.ssm.values["/checkop/test/rollout/word"] = json.dumps(
                {"release": "0002", "waiting": bench.ledger.get("0002").waiting, "word": "continue"}
            )

    bench.clock.passing.append(word)
    started = bench.clock.time
    outcome = bench.rollout("ami-2", pause="manual")
    assert outcome.entry.result == "succeeded", bench.said
    assert bench.clock.time > started + 300
    assert [each.status for each in bench.fleet.refreshes_done] == ["Successful", "Cancelled"]
    assert bench.fleet.running_images() == ["ami-2", "ami-2"]
    assert bench.parameter("rollout/word") == ""


@pytest.mark.parametrize("word", ["abort", ""])
def test_manual_pause_ends_in_a_way_back_on_abort_or_silence(bench, word):
    if word:
        bench.clock.passing.append(
            lambda _now: (
                bench.ssm.values.update({"/checkop/test/rollout/word": json.dumps({"release": "0002", "word": word})})
                if bench.fleet.active is not None and bench.fleet.active.percent == 50
                else None
            )
        )
    outcome = bench.rollout("ami-2", pause="manual", pause_limit_seconds=200, timeout_seconds=3000)
    assert outcome.entry.result == "rolled_back"
    assert ("abort" if word else "nobody said continue") in outcome.entry.reason
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def test_rollback_to_an_unknown_or_lost_release_is_refused_before_any_change(bench):
    bench.rollout("ami-2")
    bench.fleet.calls.clear()
    with pytest.raises(CheckopError, match="Release 0099 is not in the ledger"):
        bench.rollback("99")
    del bench.fleet.images["ami-1"]
    with pytest.raises(CheckopError, match="its image ami-1 is gone"):
        bench.rollback("1")
    assert set(bench.fleet.calls) <= {"observe"}


def test_rollback_takes_back_what_is_under_way(bench):
    with pytest.raises(BaseException, match="killed"):
        kill_after(bench, "start_refresh").rollout("ami-2", user="ana")
    bench.fleet.after = lambda _name: None
    bench.clock.sleep(45)
    bench.clock.time += 200
    outcome = bench.rollback(user="ben")
    assert outcome.entry.release == "0002"
    assert outcome.entry.result == "rolled_back"
    assert "ben" in outcome.entry.reason
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def kill_after(bench, name):
    class Killed(BaseException):
        pass

    def after(done):
        if done == name:
            raise Killed("killed")

    bench.fleet.after = after
    return bench


@pytest.mark.parametrize("phase", ["create_template_version", "start_refresh", "put image/in_service"])
def test_operator_killed_at_any_phase_is_followed_by_one_who_finishes(bench, phase):
    with pytest.raises(BaseException, match="killed"):
        kill_after(bench, phase).rollout("ami-2", user="ana")
    bench.fleet.after = lambda _name: None
    assert bench.ledger.get("0002").result == "rolling"
    with pytest.raises(CheckopError, match=r"release 0002, a rollout of ami-2, by ana@host-ana .* since 2026-01-05"):
        bench.rollout("ami-2", user="ben")
    bench.clock.sleep(1)
    bench.clock.time += 100
    outcome = bench.rollout(user="ben")
    assert outcome.entry.release == "0002"
    assert outcome.entry.result == "succeeded"
    assert len(bench.fleet.versions) == 3
    assert len(bench.fleet.refreshes_done) == 1
    assert bench.parameter("rollout/lock") == ""
    assert bench.fleet.running_images() == ["ami-2", "ami-2"]


def test_checks_that_fail_beforehand_refuse_the_rollout(bench):
    bench.fleet.answers = lambda: [ZoneResult("us-east-1a", "127.0.0.1", failures=["/ through us-east-1a: timed out"])]
    bench.fleet.calls.clear()
    with pytest.raises(CheckopError, match="do not pass now: 1 of 1 requests failed"):
        bench.rollout("ami-2")
    assert set(bench.fleet.calls) == {"observe"}


def test_refusal_by_aws_before_anything_is_replaced_ends_the_release(bench):
    def refuse(name):
        if name == "start_refresh":
            response = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(response, "StartInstanceRefresh")

    bench.fleet.before = refuse
    outcome = bench.rollout("ami-2")
    assert outcome.failed
    assert outcome.entry.result == "aborted"
    assert "AccessDenied" in outcome.entry.reason
    assert bench.parameter("rollout/lock") == ""
    bench.fleet.before = lambda _name: None
    assert bench.rollout("ami-2").entry.result == "succeeded"


def test_credentials_that_expire_on_the_way_leave_the_release_to_auto_scaling(bench):
    def expire(_name):
        if bench.fleet.active is not None and bench.fleet.active.percent >= 50:
            response = {"Error": {"Code": "ExpiredToken", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(response, "DescribeAutoScalingGroups")

    bench.fleet.before = expire
    with pytest.raises(CheckopError, match=r"Release 0002 stays under way .* run the same playbook again"):
        bench.rollout("ami-2")
    bench.fleet.before = lambda _name: None
    bench.clock.sleep(1)
    bench.clock.time += 200
    assert bench.rollout(user="ben").entry.result == "succeeded"


def test_rollback_of_a_living_operators_rollout_makes_their_process_take_it_back(bench):
    """Ben's rollback runs while ana's process lives: each of them moves on when the other one sleeps."""
    ended = []

    def ben(now):
        if now > started + 50 and not ended:
            ended.append(None)
            word = make_word(bench.ledger.get("0002"), "abort", "ben@host-ben")
            bench.ssm.values["/checkop/test/rollout/word"] = json.dumps(word)

    started = bench.clock.time
    bench.clock.passing.append(ben)
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back"
    assert outcome.entry.reason == "ben@host-ben said abort"
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def test_a_continue_counts_for_one_pause_only(bench):
    with pytest.raises(CheckopError, match="does not wait for a word now"):
        make_word(bench.ledger.get("0001"), "continue", "ben")
    stale = {"release": "0002", "word": "continue", "waiting": "50 % of another"}
    bench.ssm.values["/checkop/test/rollout/word"] = json.dumps(stale)
    outcome = bench.rollout("ami-2", pause="manual", pause_limit_seconds=60)
    assert outcome.entry.result == "rolled_back"


def test_release_to_another_image_waits_for_the_one_that_was_interrupted(bench):
    with pytest.raises(BaseException, match="killed"):
        kill_after(bench, "start_refresh").rollout("ami-2")
    bench.fleet.after = lambda _name: None
    bench.clock.sleep(1)
    bench.clock.time += 100
    outcome = bench.rollout("ami-3", user="ben")
    assert outcome.entry.result == "succeeded"
    assert [entry.image for entry in bench.ledger.entries()] == ["ami-3", "ami-2", "ami-1"]
    assert bench.fleet.running_images() == ["ami-3", "ami-3"]


def test_both_instances_in_one_zone_are_waited_for_and_balanced(bench):
    """Auto Scaling may put a replacement into the other zone, and balances the zones only after the refresh."""
    bench.fleet.ties = {"us-east-1a": 0, "us-east-1d": 1}
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "succeeded"
    assert bench.at_full_strength()


def test_fleet_that_misses_a_zone_is_refused(bench):
    bench.fleet.zones_up = ("us-east-1a",)
    for vm in list(bench.fleet.vms):
        if vm.zone == "us-east-1d":
            bench.fleet.kill(vm.instance_id)
    bench.clock.sleep(100)
    with pytest.raises(CheckopError, match="not at full strength"):
        bench.rollout("ami-2")


def test_zone_that_is_cut_on_the_way_ends_well_on_what_is_left(bench):
    def cut(now):
        if now > started + 60:
            bench.fleet.zones_up = ("us-east-1a",)
            for vm in [vm for vm in bench.fleet.vms if vm.zone == "us-east-1d"]:
                bench.fleet.kill(vm.instance_id)

    started = bench.clock.time
    bench.clock.passing.append(cut)
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "succeeded"
    assert len(bench.fleet.running_images()) >= 2
    assert "none in us-east-1d" in outcome.entry.reason
    assert bench.clock.time - started < 500


def test_forecast_from_the_ledger_is_within_a_fifth_of_what_happens(bench):
    bench.rollout("ami-2")
    for image in ("ami-3", "ami-1"):
        outcome = bench.rollout(image)
        forecast = float(outcome.forecast[-1].split(" s ")[0])
        assert abs(forecast - outcome.entry.seconds) <= 0.2 * outcome.entry.seconds, (outcome, bench.said)
    bench.rollback()
    bench.rollout("ami-2")
    outcome = bench.rollback()
    forecast = float(outcome.forecast[-1].split(" s ")[0])
    assert abs(forecast - outcome.entry.seconds) <= 0.2 * outcome.entry.seconds, (outcome, bench.said)
