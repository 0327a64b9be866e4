"""Releases on a simulated fleet: how they go, and how they end when something goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from checkop.commands.rollout import make_word
from checkop.errors import CheckopError
from checkop.rollout import replacing
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


def test_image_that_is_no_longer_ready_after_the_first_checkpoint_is_taken_back_there(bench):
    asked_at = []

    def answers():
        # The balancer's own health check goes on passing: the process serves.
        asked_at.append(bench.fleet.active.percent if bench.fleet.active else 0)
        result = ZoneResult("us-east-1a", "127.0.0.1", answered=20, versions={"1.2.0": 20})
        return [replace(result, failures=["/health/ready: HTTP 503"])] if asked_at.count(50) > 1 else [result]

    bench.fleet.answers = answers
    outcome = bench.rollout("ami-2", checkpoint_delay_seconds=120)
    assert outcome.entry.result == "rolled_back", bench.said
    assert "HTTP 503" in outcome.entry.reason
    assert max(asked_at) == 50
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


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


# --- what runs decides how it ended ---


def new_instances(fleet):
    serving = [vm for vm in fleet.vms if vm.in_service_at is not None and vm.ends_at is None]
    return [vm for vm in serving if fleet.image_of(vm.version) == "ami-2"]


def once(bench, due, do):
    """Do something at the first moment at which it is due."""
    done = []

    def passing(now):
        if not done and due(now):
            done.append(now)
            do()

    bench.clock.passing.append(passing)
    return done


def half_way(bench):
    return lambda _now: bench.fleet.active is not None and bench.fleet.active.percent == 50


def test_refresh_that_somebody_cancels_half_way_is_taken_back_in_truth(bench):
    """The group still names the release before: a way back that skipped what matches would replace nothing."""
    once(bench, half_way(bench), bench.fleet.cancel_refresh)
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back", bench.said
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]
    back, forward = bench.fleet.refreshes_done
    assert (forward.status, back.target, back.original) == ("Cancelled", "2", "2")
    assert not back.asked_preferences["SkipMatching"]


def test_rollback_to_what_the_group_names_replaces_what_does_not_run_it(bench):
    bench.fleet.create_template_version("lt-1", "ami-2", "by hand")
    bench.fleet.vms[0].version = bench.fleet.versions[-1].number
    outcome = bench.rollback("1")
    assert outcome.entry.result == "succeeded", bench.said
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


@pytest.mark.parametrize("how", ["cancelled", "rolled back by Auto Scaling"])
def test_way_back_that_leaves_a_new_instance_is_failed_and_names_it(bench, how):
    def protect():
        [new] = new_instances(bench.fleet)
        new.protected = True
        if how == "cancelled":
            bench.fleet.active.cancel()
        else:
            bench.fleet.ringing.add("checkop-5xx")

    once(bench, half_way(bench), protect)
    outcome = bench.rollout("ami-2")
    [left] = new_instances(bench.fleet)
    assert outcome.failed
    assert outcome.entry.result == "failed"
    assert f"{left.instance_id} (version 3) in service instead of launch template version 2" in outcome.entry.reason
    assert f"ansible-playbook playbooks/replace.yml -e instance={left.instance_id}" in outcome.entry.reason
    assert [each.target for each in bench.fleet.refreshes_done] == ["2", "3"]
    assert bench.parameter("rollout/lock") == ""


def test_rollback_by_auto_scaling_that_left_a_new_instance_is_followed_by_a_refresh_back(bench):
    def protect():
        [new] = new_instances(bench.fleet)
        new.protected = True
        bench.fleet.ringing.add("checkop-5xx")

    def release():
        for vm in bench.fleet.vms:
            vm.protected = False

    once(bench, half_way(bench), protect)
    refreshes = bench.fleet.refreshes_done
    once(bench, lambda _now: bool(refreshes) and refreshes[0].status == "RollbackSuccessful", release)
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back", bench.said
    assert [each.status for each in refreshes] == ["Successful", "RollbackSuccessful"]
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def test_rollout_that_leaves_an_old_instance_does_not_succeed(bench):
    def protect(name):
        if name == "start_refresh":
            bench.fleet.vms[0].protected = True

    # Of the same application, so that answers do not tell them apart.
    bench.fleet.images["ami-2"] = replace(bench.fleet.images["ami-1"], image_id="ami-2")
    bench.fleet.before = protect
    outcome = bench.rollout("ami-2")
    assert outcome.entry.result == "rolled_back", bench.said
    assert f"not all is replaced: {bench.fleet.vms[0].instance_id} (version 2)" in outcome.entry.reason
    assert bench.fleet.running_images() == ["ami-1", "ami-1"]


def test_rollback_that_leaves_an_instance_is_failed_and_does_not_turn_round(bench):
    bench.rollout("ami-2")
    kept = new_instances(bench.fleet)[0]
    kept.protected = True
    outcome = bench.rollback()
    assert outcome.entry.result == "failed", bench.said
    assert f"{kept.instance_id} (version 3)" in outcome.entry.reason
    assert bench.fleet.running_images().count("ami-1") == 1
    assert [each.target for each in bench.fleet.refreshes_done] == ["2", "3"]


# --- a cold start ---


@pytest.mark.parametrize("quiet_after", [30, 100])
def test_alarm_that_rings_for_the_empty_group_does_not_keep_the_first_release_back(make_bench, quiet_after):
    """Before, during the soak and after it: it counts once it has been quiet."""
    bench = make_bench()
    bench.fleet.ringing.add("checkop-5xx")
    once(bench, lambda now: now > quiet_after, bench.fleet.ringing.clear)
    outcome = bench.rollout("ami-1")
    assert outcome.entry.result == "succeeded", bench.said
    assert any("checkop-5xx rings, and counts only once it was quiet" in line for line in bench.said)
    assert bench.clock.time > quiet_after


def test_alarm_that_goes_off_after_full_strength_takes_the_first_release_back(make_bench):
    bench = make_bench()
    once(bench, lambda now: now > 45, lambda: bench.fleet.ringing.add("checkop-5xx"))
    outcome = bench.rollout("ami-1")
    assert outcome.entry.result == "failed"
    assert "alarm checkop-5xx is in ALARM" in outcome.entry.reason


def test_alarm_that_was_quiet_counts_again(make_bench):
    bench = make_bench()
    bench.fleet.ringing.add("checkop-5xx")
    once(bench, lambda now: now > 45, bench.fleet.ringing.clear)
    once(bench, lambda now: now > 50, lambda: bench.fleet.ringing.add("checkop-5xx"))
    outcome = bench.rollout("ami-1")
    assert outcome.entry.result == "failed"
    assert bench.clock.time < 100


def test_alarm_that_never_gets_quiet_takes_the_first_release_back(make_bench):
    bench = make_bench()
    bench.fleet.ringing.add("checkop-5xx")
    outcome = bench.rollout("ami-1")
    assert outcome.entry.result == "failed"
    assert "alarm checkop-5xx is in ALARM" in outcome.entry.reason
    assert bench.clock.time < bench.settings.step_timeout_seconds + 100


# --- the lock on the way ---


def test_operator_whose_machine_slept_stops_where_another_took_over(bench):
    ben = bench.tools("ben")

    def sleep():
        bench.clock.time += 100
        assert ben.lock.take_over(ben.lock.read(), bench.clock.now())
        ben.ledger.put(replace(ben.ledger.get("0002"), returning="ben said so"))
        bench.fleet.calls.clear()

    once(bench, half_way(bench), sleep)
    with pytest.raises(CheckopError, match=r"has lost the lock\. Under way now: .*by ben@host-ben"):
        bench.rollout("ami-2", user="ana")
    assert bench.ledger.get("0002").returning == "ben said so"
    assert ben.lock.read().of(ben.lock.session)
    assert bench.fleet.calls == []


def test_operator_who_lost_the_lock_at_the_last_look_does_not_write_how_it_ended(bench):
    ben = bench.tools("ben")

    def take_over(name):
        if name == "observe" and "last check" in bench.said[-2]:
            assert ben.lock.take_over(ben.lock.read(), bench.clock.now())

    bench.fleet.before = take_over
    with pytest.raises(CheckopError, match="has lost the lock"):
        bench.rollout("ami-2", user="ana")
    assert bench.ledger.get("0002").open
    assert bench.parameter("image/in_service") == "ami-1"
    assert ben.lock.read().of(ben.lock.session)


def test_replacement_of_an_operator_whose_machine_slept_stops_where_another_took_over(bench):
    ana, ben = bench.tools("ana"), bench.tools("ben")
    ana.lock.take("-", "replace", "i-0001", bench.clock.now(), size=2)
    bench.clock.time += 100
    assert ben.lock.take_over(ben.lock.read(), bench.clock.now())
    with pytest.raises(CheckopError, match="the replace of i-0001, by ben@host-ben"):
        replacing._carry_out(ana, bench.settings, replacing.Task("i-0001", 2, rebalance=True))
    assert ben.lock.read().of(ben.lock.session)


def test_operator_who_sees_nothing_for_a_while_still_counts_as_alive(bench):
    ages = []

    def blind(name):
        if name == "observe" and started + 40 < bench.clock.time < started + 120:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    def watch(_now):
        holder = bench.tools("ben").lock.read()
        if holder is not None:
            ages.append((bench.clock.now() - datetime.fromisoformat(holder.heartbeat)).total_seconds())

    started = bench.clock.time
    bench.fleet.before = blind
    bench.clock.passing.append(watch)
    assert bench.rollout("ami-2", poll_seconds=5).entry.result == "succeeded"
    assert max(ages) <= 30
