"""The pure parts: plan, preflight, forecast, settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkop.errors import CheckopError
from checkop.ledger import Entry
from checkop.rollout import blue_green, forecast, narrate, plan, preferences, preflight, world
from checkop.rollout.colours import Colours
from checkop.rollout.model import Alarm, Group, Image, Instance, Observation, Refresh, Target, TemplateVersion
from checkop.rollout.settings import Settings, from_options
from checkop.rollout.watch import Act, Memory

NAMES = {"fleet": "AUTOChOp", "balancer": "Progresus-ELB", "target_group": "AUTOChOp", "ssm_prefix": "/checkop/test"}
TODAY = date(2026, 1, 5)


def make_observation(desired: int = 2, **changes: object) -> Observation:
    zones = ("us-east-1a", "us-east-1d")
    instances = tuple(
        Instance(f"i-{number}", zones[number % 2], "InService", "Healthy", 1) for number in range(desired)
    )
    group = Group("AUTOChOp", "lt-1", "1", 2, desired, 4, zones, ("arn",), instances)
    targets = tuple(Target(each.instance_id, "healthy") for each in instances)
    return replace(Observation(group, targets, (Alarm("checkop-5xx", "OK"),), ()), **changes)


def make_facts(**changes: object) -> preflight.Facts:
    image = Image("ami-2", "base-chop-2", "available", "x86_64", "", (), {"checkop:verified": "2026-01-01"})
    facts = preflight.Facts(
        wanted_image="ami-2",
        image=image,
        template=TemplateVersion(1, "ami-1", "t3.xlarge", ""),
        architectures=("x86_64",),
        region="us-east-1",
        observation=make_observation(),
        balancer_state="active",
        missing_alarms=(),
        leftovers=(),
        today=TODAY,
    )
    return replace(facts, **changes)


def make_settings(**changes: object) -> Settings:
    return Settings(**{**NAMES, "alarms": ("checkop-5xx",), **changes})


def image_with(**changes: object) -> Image:
    image = make_facts().image
    assert image is not None
    return replace(image, **changes)


# --- preflight ---


def test_nothing_stands_in_the_way_of_a_good_rollout():
    assert preflight.refusals(make_facts(), make_settings()) == []


@pytest.mark.parametrize(
    ("facts", "settings", "reason"),
    [
        (
            {"image": None},
            {},
            "Image ami-2 does not exist in this account in us-east-1. An AMI is valid in its own region",
        ),
        ({"image": image_with(tags={})}, {}, "has not passed its gates"),
        (
            {"image": image_with(tags={"checkop:verified": "x", "checkop:recalled": "CVE-1"})},
            {},
            "was recalled: CVE-1. Roll out another one",
        ),
        ({"image": image_with(state="pending")}, {}, "is pending; wait until it is available"),
        (
            {"image": image_with(architecture="arm64")},
            {},
            "is arm64, but the fleet's instance type t3.xlarge runs x86_64",
        ),
        ({"balancer_state": "provisioning"}, {}, "The balancer is provisioning, not active"),
        ({"missing_alarms": ("checkop-x",)}, {}, "names checkop-x, which CloudWatch does not have"),
        ({"leftovers": ("Auto Scaling group AUTOChOp-green",)}, {}, "AUTOChOp-green is left from a blue/green release"),
        ({}, {"freeze": {"reason": "month end", "until": "2026-01-05"}}, "frozen until 2026-01-05: month end"),
        ({}, {"freeze": {"reason": "audit"}}, "frozen until further notice: audit"),
        ({}, {"freeze": {"until": "tomorrow"}}, "which is no date; write it as 2026-12-31"),
        ({}, {"min_healthy_percent": 50, "max_healthy_percent": 100}, "could empty us-east-1a"),
        ({}, {"min_healthy_percent": 50, "max_healthy_percent": 150}, "could empty us-east-1a"),
        (
            {"observation": make_observation(3)},
            {"strategy": "blue_green"},
            "Blue/green runs 6 instances at once, but addresses and quotas are laid out for fleet_max_size 4",
        ),
    ],
)
def test_each_bad_input_is_refused_with_reason_and_mend(facts, settings, reason):
    found = preflight.refusals(make_facts(**facts), make_settings(**settings))
    assert len(found) == 1, found
    assert reason in found[0]


@pytest.mark.parametrize("desired", [2, 4])
def test_percentages_that_leave_no_room_are_refused(desired):
    group = replace(make_observation(desired).group, max_size=desired)
    settings = make_settings(min_healthy_percent=100, max_healthy_percent=100)
    [refusal] = preflight.refusals(make_facts(observation=make_observation(desired, group=group)), settings)
    assert f"AUTOChOp is at its maximum of {desired}" in refusal
    assert f"rollout_max_healthy_percent to at least {100 + 100 // desired}" in refusal


def test_ringing_alarm_and_sick_fleet_are_both_named():
    observation = make_observation()
    sick = (replace(observation.targets[0], state="unhealthy", reason="Target.Timeout"), observation.targets[1])
    observation = replace(observation, targets=sick, alarms=(Alarm("checkop-5xx", "ALARM", "13 errors"),))
    found = preflight.refusals(make_facts(observation=observation), make_settings())
    assert any("not at full strength" in each and "i-0 unhealthy Target.Timeout" in each for each in found)
    assert any("Alarm checkop-5xx is in ALARM: 13 errors" in each for each in found)


def test_alarm_does_not_stand_in_the_way_of_a_first_rollout():
    """The balancer in front of an empty group answers 503, which rings."""
    observation = make_observation(0, alarms=(Alarm("checkop-5xx", "ALARM", "503"),))
    assert preflight.refusals(make_facts(observation=observation), make_settings()) == []


def test_refresh_that_has_not_begun_has_no_start():
    refresh = world._refresh({"InstanceRefreshId": "refresh-9", "Status": "Pending"})
    assert refresh.start is None
    found = preflight.refusals(make_facts(observation=make_observation(refreshes=(refresh,))), make_settings())
    assert any("being refreshed already (refresh-9, Pending, 0 %, not begun yet)" in each for each in found)


def test_freeze_that_is_over_does_not_refuse():
    assert preflight.frozen(make_settings(freeze={"reason": "x", "until": "2026-01-04"}), TODAY) == []


def test_suspended_processes_and_protected_instances_are_refused():
    group = make_observation().group
    protected = tuple(replace(each, protected=True) for each in group.instances)
    group = replace(group, suspended=("Launch", "AZRebalance"), instances=protected)
    found = preflight.refusals(make_facts(observation=make_observation(group=group)), make_settings())
    assert any("suspended processes (Launch)" in each for each in found)
    assert any("i-0, i-1 of AUTOChOp is protected from scale in" in each for each in found)


# --- plan ---


@pytest.mark.parametrize(
    ("asked", "steps", "removable"),
    [
        ((2, 100, 150, (50, 100)), [(1, 50), (1, 100)], 0),
        ((2, 100, 200, ()), [(2, 100)], 0),
        ((4, 100, 150, (50, 100)), [(2, 50), (2, 100)], 0),
        ((4, 75, 100, (100,)), [(1, 25), (1, 50), (1, 75), (1, 100)], 1),
        ((2, 100, 100, (100,)), [(1, 50), (1, 100)], 1),
        ((3, 100, 110, (100,)), [(1, 33), (1, 66), (1, 100)], 1),
    ],
)
def test_steps_are_what_the_percentages_allow(asked, steps, removable):
    desired, low, high, checkpoints = asked
    made = plan.make(desired, desired, low, high, checkpoints)
    assert [(step.instances, step.percent) for step in made.steps] == steps
    assert made.removable == removable


@given(
    desired=st.integers(1, 200),
    low=st.integers(0, 100),
    extra=st.integers(0, 100),
    marks=st.sets(st.integers(1, 99)),
)
def test_every_plan_replaces_everybody_and_rests_at_100(desired, low, extra, marks):
    made = plan.make(desired, desired, low, min(100 + extra, low + 100, 200), [*sorted(marks), 100])
    assert sum(step.instances for step in made.steps) == desired
    assert made.steps[-1].percent == 100
    assert all(1 <= step.instances <= made.at_once for step in made.steps)
    assert 0 <= made.removable <= desired


# --- preferences ---


@given(desired=st.integers(1, 50), above=st.integers(0, 50))
def test_a_way_back_is_as_fast_as_the_groups_maximum_allows(desired, above):
    group = replace(make_observation().group, desired=desired, max_size=desired + above)
    chosen = preferences.back(make_settings(), group, 2)
    at_once = plan.headroom(desired, chosen["MaxHealthyPercentage"])
    assert 1 <= at_once <= max(1, above)
    assert chosen["MinHealthyPercentage"] == 100
    assert "CheckpointPercentages" not in chosen


@pytest.mark.parametrize("marks", [(50, 100), (100,), ()])
@pytest.mark.parametrize("pause", ["automatic", "manual"])
def test_auto_scaling_itself_soaks_for_the_whole_time(pause, marks):
    settings = make_settings(pause=pause, soak_seconds=300, checkpoint_delay_seconds=300)
    assert preferences.forward(settings, make_observation().group, 2, marks)["BakeTime"] == 300


def test_manual_pause_holds_for_good_but_for_the_last_leg():
    settings, group = make_settings(pause="manual"), make_observation().group
    assert preferences.forward(settings, group, 2, (50, 100))["CheckpointDelay"] == 172800
    assert preferences.forward(settings, group, 2, (100,))["CheckpointDelay"] == 300
    settings = make_settings(skip_matching=False, pause="manual")
    assert preferences.forward(settings, group, 2, (50, 100))["SkipMatching"]


@pytest.mark.parametrize(("held", "skips"), [("1", True), ("2", False), ("$Default", False), ("$Latest", False)])
def test_nothing_is_skipped_when_the_group_may_name_the_wanted_version_already(held, skips):
    """With skip matching and no change, a refresh succeeds at once and replaces nothing."""
    group = replace(make_observation().group, template_version=held)
    made = (
        preferences.forward(make_settings(), group, 2, (50, 100)),
        preferences.back(make_settings(), group, 2),
        preferences.without_traffic(make_settings(), group, 2),
    )
    assert [each["SkipMatching"] for each in made] == [skips] * 3


# --- what runs ---


def test_strangers_are_in_service_and_known_to_be_of_another_version():
    group = make_observation(4).group
    first, second, third, fourth = group.instances
    instances = (
        first,
        replace(second, template_version=3),
        replace(third, template_version=3, lifecycle_state="Terminating:Wait"),
        replace(fourth, template_version=None),
    )
    group = replace(group, instances=instances)
    assert [each.instance_id for each in group.strangers(1)] == ["i-1"]
    assert [each.instance_id for each in group.strangers(3)] == ["i-0"]
    assert group.strangers(None) == ()


def test_sentence_about_many_strangers_stays_short():
    strangers = replace(make_observation(200).group, template_version="2").strangers(2)
    text = narrate.foreign(strangers, 2)
    assert "i-0 (version 1), i-1 (version 1)" in text
    assert "and 195 more in service instead of launch template version 2" in text


# --- blue/green ---


def make_refresh(version: int, status: str) -> Refresh:
    return Refresh(f"refresh-{version}", status, "", 100, 0, version, None)


def decide_blue_green(serving: tuple[int, ...], refreshes: tuple[Refresh, ...], share: int | None, **changes: object):
    """What is decided at first, and what when it stays so for longer than a check may fail."""
    observation = make_observation(refreshes=refreshes)
    instances = tuple(
        replace(each, template_version=version)
        for each, version in zip(observation.group.instances, serving, strict=True)
    )
    observation = replace(observation, group=replace(observation.group, instances=instances))
    green = Colours(observation.group if share else None, (), "arn:green" if share is not None else "", share)
    entry = make_entry("0002", template_version=2, previous_template_version=1, strategy="blue_green", **changes)
    memory = Memory(0.0, 0.0, share=share, checked={101})
    return [blue_green.decide(observation, green, entry, memory, make_settings(), now) for now in (0.0, 121.0)]


def test_blue_takes_the_traffic_again_only_when_all_of_it_is_new():
    done = (make_refresh(2, "Successful"),)
    assert decide_blue_green((2, 2), done, 100)[0].act is Act.WEIGH
    first, later = decide_blue_green((1, 2), done, 100)
    assert first.act is Act.WAIT
    assert (later.act, later.reason) == (
        Act.RETURN,
        "not all of blue is replaced: i-0 (version 1) in service instead of launch template version 2",
    )


def test_blue_green_succeeds_only_with_all_of_blue_new():
    done = (make_refresh(2, "Successful"),)
    assert decide_blue_green((2, 2), done, None)[0].result == "succeeded"
    first, later = decide_blue_green((1, 2), done, None)
    assert first.act is Act.WAIT
    assert (later.act, later.result) == (Act.FINISH, "failed")
    assert "playbooks/replace.yml -e instance=i-0" in later.reason


def test_blue_that_was_not_brought_back_is_refreshed_while_green_serves():
    taken_back = (make_refresh(2, "RollbackSuccessful"),)
    first, later = decide_blue_green((1, 2), taken_back, 100, returning="abort")
    assert first.act is Act.WAIT
    assert later.act is Act.START_RETURN
    # Once the traffic is on blue nothing is replaced without the old ones serving: a person is told.
    first, later = decide_blue_green((1, 2), taken_back, None, returning="abort")
    assert first.act is Act.WAIT
    assert (later.act, later.result) == (Act.FINISH, "failed")


def test_blue_green_is_rolled_back_only_with_all_of_blue_old():
    back = (make_refresh(1, "Successful"), make_refresh(2, "Failed"))
    assert decide_blue_green((1, 1), back, None, returning="abort")[0].result == "rolled_back"
    assert decide_blue_green((1, 2), back, None, returning="abort")[1].result == "failed"
    # Traffic goes back at once when blue was never touched.
    assert decide_blue_green((1, 2), (), 50, returning="abort")[0].act is Act.WEIGH


# --- settings ---


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"checkpoints": [50]}, r"rollout_checkpoints is \[50\], which does not end at 100"),
        ({"checkpoints": [50, 50, 100]}, "rising percentages"),
        ({"checkpoints": []}, "does not end at 100"),
        ({"weights": [10, 90]}, "rollout_weights"),
        ({"min_healthy_percent": 0, "max_healthy_percent": 150}, "more than 100 above"),
        ({"max_healthy_percent": 250}, "AWS allows 100 to 200"),
        ({"checkpoint_delay_seconds": 200000}, "0 to 172800"),
        ({"min_size": 3}, "must not fall"),
        ({"pause": "sometimes"}, "automatic or manual"),
        ({"soak_seconds": "long"}, "soak_seconds of rollout_settings is 'long', which is no int"),
        ({"colour": "blue"}, "unknown colour"),
    ],
)
def test_values_that_cannot_work_are_refused_by_the_inventorys_name(options, reason):
    with pytest.raises(CheckopError, match=reason):
        from_options({**NAMES, **options})


def test_missing_names_are_refused():
    with pytest.raises(CheckopError, match="missing fleet"):
        from_options({key: value for key, value in NAMES.items() if key != "fleet"})


def test_ansibles_texts_become_the_fields_types():
    settings = from_options({**NAMES, "poll_seconds": "0.5", "auto_rollback": "False", "checkpoints": ["25", "100"]})
    assert (settings.poll_seconds, settings.auto_rollback, settings.checkpoints) == (0.5, False, (25, 100))


# --- forecast ---


def make_entry(release: str, **changes: object) -> Entry:
    base = Entry(release, "rollout", "ami-1", "arn", "ana@host", "2026-01-01T00:00:00+00:00", result="succeeded")
    return replace(base, **changes)


def test_forecast_takes_the_median_step_of_the_newest_releases_alike():
    layout = plan.make(2, 2, 100, 150, (50, 100))
    entries = [
        make_entry("0009", steps=2, timings={"replacing": 800.0, "ending": 40.0}),
        make_entry("0008", steps=1, timings={"replacing": 90.0}, operation="rollback"),
        make_entry("0007", steps=2, timings={"replacing": 400.0}, result="rolled_back"),
        make_entry("0006", steps=2, timings={"replacing": 600.0, "ending": 50.0}),
        make_entry("0005", steps=2, timings={"replacing": 640.0, "ending": 60.0}),
        make_entry("0004", steps=2, timings={"replacing": 9000.0}),
        make_entry("0001", steps=1, timings={"replacing": 150.0}, first=True),
    ]
    made = forecast.make(layout, make_settings(checkpoint_delay_seconds=300, soak_seconds=300), entries)
    assert (made.measured, made.seconds) == (3, 320 + 300 + 320 + 50 + 300)
    assert forecast.make(layout, make_settings(), entries, first=True).lines[0].seconds == 150
    assert forecast.make(plan.make(2, 2, 100, 200, ()), make_settings(), entries, fast=True).seconds == 90
    assert "from 3 earlier releases" in made.table()[-1]


def test_forecast_knows_what_checks_took_beside_steps_and_pauses():
    timings = {"replacing": 200.0, "ending": 20.0, "planned": 600.0, "total": 850.0}
    layout = plan.make(2, 2, 100, 150, (50, 100))
    settings = make_settings(checkpoint_delay_seconds=60, soak_seconds=90)
    assert forecast.planned_seconds(layout, settings) == 60 + 90
    # What a release rested is its settings' business; those of today count.
    made = forecast.make(layout, settings, [make_entry("0002", steps=2, timings=timings)])
    assert made.seconds == 200 + 20 + 30 + 60 + 90


def test_forecast_of_blue_green_learns_from_its_own_kind():
    settings = make_settings(strategy="blue_green", checkpoint_delay_seconds=60, hold_seconds=100)
    layout = plan.make(2, 2, 100, 150, (100,))
    rolled = make_entry("0002", steps=2, timings={"replacing": 200.0, "ending": 20.0})
    green = make_entry("0003", steps=2, strategy="blue_green", timings={"planned": 1000.0, "total": 1270.0})
    assert forecast.planned_seconds(layout, settings) == 60 * 2 + 100
    assert forecast.make(layout, settings, [green, rolled]).seconds == 60 * 2 + 100 + 270
    # What another strategy took says nothing of a rolling one.
    assert forecast.make(layout, make_settings(), [green, rolled]).measured == 1


def test_forecast_of_blue_green_names_every_share():
    made = forecast.make(plan.make(2, 2, 100, 150, (100,)), make_settings(strategy="blue_green"), [])
    texts = [line.text for line in made.lines]
    assert any("10 %" in text for text in texts)
    assert any("50 %" in text for text in texts)
    assert made.table()[-1].endswith("(from defaults, nothing was measured yet)")
