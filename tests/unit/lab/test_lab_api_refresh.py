"""The state machine of an instance refresh: percentages, checkpoints, alarms, rollback, skip matching."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.api.autoscaling.refresh import Adopt, Member, Preferences, Refresh, Surplus, Terminate, View


class Fleet:
    """A group that does what the refresh says, as the engine would, one second a step."""

    def __init__(self, desired=2, zones=("a", "d")):
        self.now, self.desired, self.zones = 0.0, desired, zones
        self.members = [Member(f"old-{i}", zones[i % len(zones)], "v1", True, -1000.0) for i in range(desired)]
        self.surplus, self.launched, self.adopted = 0, 0, False
        self.alarms, self.launch_error, self.bad = frozenset(), None, set()
        self.lowest_serving = desired
        self.highest_active = desired

    @property
    def view(self):
        return View(self.desired, tuple(self.members), self.alarms, self.launch_error)

    def start(self, **preferences):
        values = {"min_healthy": 100, "max_healthy": 150, **preferences}
        self.refresh = Refresh("r-1", Preferences(**values), "v2", "v1", self.now, patience=100)
        return self.refresh

    def halfway(self, **preferences):
        """Start a refresh and go on until its checkpoint at half; return it."""
        refresh = self.start(checkpoints=(50, 100), **preferences)
        while refresh.percent < 50:
            self.step()
        return refresh

    def active(self):
        return [m for m in self.members if not m.leaving]

    def step(self, seconds=1.0):
        self.now += seconds
        # What was launched a step ago serves now, unless it is bad; what was leaving is gone.
        self.members = [m for m in self.members if not m.leaving]
        self.members = [
            replace(m, serving=m.configuration not in self.bad, in_service_at=self.now)
            if m.in_service_at is None
            else m
            for m in self.members
        ]
        actions = self.refresh.step(self.now, self.view)
        for action in actions:
            if isinstance(action, Terminate):
                self.members = [
                    replace(m, leaving=True, serving=False) if m.instance_id == action.instance_id else m
                    for m in self.members
                ]
            elif isinstance(action, Surplus):
                self.surplus = action.count
            elif isinstance(action, Adopt):
                self.adopted = True
        while len(self.active()) < self.desired + self.surplus:
            self.launched += 1
            here = [m for m in self.active() if m.instance_id not in self.refresh.outdated]
            zone = min(self.zones, key=lambda z: sum(m.zone == z for m in here))
            self.members.append(Member(f"new-{self.launched}", zone, self.refresh.configuration, False, None))
        self.lowest_serving = min(self.lowest_serving, sum(m.serving for m in self.active()))
        self.highest_active = max(self.highest_active, len(self.active()))
        return actions

    def run(self, limit=300):
        steps = 0
        while self.refresh.active and steps < limit:
            self.step()
            steps += 1
        return self.refresh.status


def test_launches_before_it_terminates_when_no_instance_may_be_missing():
    fleet = Fleet()
    fleet.start(min_healthy=100, max_healthy=150)
    assert fleet.run() == "Successful"
    assert (fleet.lowest_serving, fleet.highest_active, fleet.launched) == (2, 3, 2)
    assert {m.configuration for m in fleet.active()} == {"v2"}
    assert sorted(m.zone for m in fleet.active()) == ["a", "d"]
    assert fleet.adopted
    assert (fleet.refresh.percent, fleet.refresh.remaining) == (100, 0)


def test_terminates_first_when_no_instance_may_be_too_many():
    fleet = Fleet()
    fleet.start(min_healthy=50, max_healthy=100)
    assert fleet.run() == "Successful"
    assert (fleet.lowest_serving, fleet.highest_active) == (1, 2)


@pytest.mark.parametrize(("least", "most"), [(90, 100), (100, 100)])
def test_a_small_group_always_replaces_one_at_a_time(least, most):
    fleet = Fleet()
    fleet.start(min_healthy=least, max_healthy=most)
    assert fleet.run() == "Successful"
    assert fleet.lowest_serving == 1


def test_a_large_group_goes_in_batches():
    fleet = Fleet(desired=20)
    fleet.start(min_healthy=90, max_healthy=110)
    assert fleet.run() == "Successful"
    assert fleet.lowest_serving == 18
    assert fleet.highest_active <= 22


def test_pauses_at_checkpoints_and_goes_on():
    fleet = Fleet()
    refresh = fleet.start(checkpoints=(50, 100), checkpoint_delay=30)
    seen = []
    while refresh.active:
        fleet.step()
        seen.append(refresh.percent)
        assert fleet.now < 200
    assert seen.count(50) >= 30
    # A checkpoint at 100 percent does not pause.
    assert seen.count(100) < 30
    assert "v1" not in {m.configuration for m in fleet.active()}


def test_an_alarm_during_the_bake_time_rolls_back_without_an_operator():
    fleet = Fleet()
    refresh = fleet.start(checkpoints=(50, 100), checkpoint_delay=5, bake=30, auto_rollback=True, alarms=("5xx",))
    while refresh.status != "Baking":
        fleet.step()
        assert fleet.now < 200
    fleet.alarms = frozenset({"5xx"})
    assert fleet.run() == "RollbackSuccessful"
    assert {m.configuration for m in fleet.active()} == {"v1"}


def test_replaces_nothing_during_a_pause():
    fleet = Fleet(desired=4)
    refresh = fleet.start(checkpoints=(25, 100), checkpoint_delay=50)
    while refresh.percent < 25:
        fleet.step()
    for _ in range(45):
        assert Terminate not in [type(action) for action in fleet.step()]
    assert sum(m.configuration == "v1" for m in fleet.active()) == 3


def test_stops_short_of_the_end_when_the_last_checkpoint_does():
    fleet = Fleet(desired=4)
    fleet.start(checkpoints=(50,), checkpoint_delay=5)
    assert fleet.run() == "Successful"
    assert sum(m.configuration == "v1" for m in fleet.active()) == 2


def test_one_instance_pauses_once_for_all_checkpoints_it_reaches():
    fleet = Fleet(desired=1)
    fleet.start(checkpoints=(50, 100), checkpoint_delay=10)
    assert fleet.run() == "Successful"
    assert fleet.now < 20


def test_waits_for_warm_up_before_it_counts_an_instance():
    fleet = Fleet()
    refresh = fleet.start(warmup=60)
    for _ in range(50):
        fleet.step()
    assert refresh.percent == 0
    assert sum(m.configuration == "v1" for m in fleet.active()) == 2
    assert fleet.run() == "Successful"


def test_never_takes_an_old_instance_that_still_warms_up_for_one_that_does_not_serve():
    fleet = Fleet()
    fleet.members = [replace(m, in_service_at=-1.0) for m in fleet.members]
    fleet.start(warmup=60)
    assert fleet.run() == "Successful"
    assert fleet.lowest_serving == 2


def test_skips_what_matches_already():
    fleet = Fleet()
    fleet.members[0] = replace(fleet.members[0], configuration="v2")
    fleet.start(skip_matching=True)
    assert fleet.run() == "Successful"
    assert fleet.launched == 1
    assert fleet.members[0].instance_id == "old-0"


def test_skipping_everything_is_done_at_once():
    fleet = Fleet()
    fleet.members = [replace(m, configuration="v2") for m in fleet.members]
    refresh = fleet.start(skip_matching=True, checkpoints=(50, 100), checkpoint_delay=60, bake=60)
    fleet.step()
    assert (refresh.status, refresh.percent, fleet.launched) == ("Successful", 100, 0)


def test_skipping_without_a_change_of_the_group_replaces_nothing_whatever_runs():
    fleet = Fleet()
    refresh = fleet.halfway(checkpoint_delay=60)
    refresh.cancel()
    assert fleet.run() == "Cancelled"
    for skip, left in ((True, ["v1", "v2"]), (False, ["v1", "v1"])):
        values = Preferences(min_healthy=100, max_healthy=150, skip_matching=skip, bake=60)
        fleet.refresh = Refresh("r-2", values, "v1", "v1", fleet.now, patience=100)
        began = fleet.now
        assert fleet.run() == "Successful"
        assert sorted(m.configuration for m in fleet.active()) == left
        assert (fleet.now - began == 1) == skip
        assert fleet.refresh.percent == 100


def test_without_skip_matching_everything_is_replaced():
    fleet = Fleet()
    fleet.members = [replace(m, configuration="v2") for m in fleet.members]
    fleet.start()
    assert fleet.run() == "Successful"
    assert fleet.launched == 2


def test_an_alarm_fails_it_and_rolls_back():
    fleet = Fleet()
    refresh = fleet.halfway(auto_rollback=True, alarms=("5xx",), checkpoint_delay=60)
    fleet.alarms = frozenset({"5xx", "other"})
    fleet.step()
    assert refresh.status == "RollbackInProgress"
    assert "5xx" in refresh.reason
    assert "other" not in refresh.reason
    assert refresh.rollback["PercentageCompleteOnRollback"] == 50
    assert fleet.run() == "RollbackSuccessful"
    assert {m.configuration for m in fleet.active()} == {"v1"}
    assert fleet.lowest_serving == 2
    assert refresh.percent == 0
    assert not fleet.adopted


def test_an_alarm_without_auto_rollback_only_fails_it():
    fleet = Fleet()
    refresh = fleet.start(alarms=("5xx",))
    fleet.alarms = frozenset({"5xx"})
    fleet.step()
    assert (refresh.status, fleet.surplus) == ("Failed", 0)


def test_an_alarm_while_it_bakes_rolls_back():
    fleet = Fleet()
    refresh = fleet.start(auto_rollback=True, alarms=("5xx",), bake=30)
    while refresh.status != "Baking":
        fleet.step()
    assert not fleet.adopted
    fleet.alarms = frozenset({"5xx"})
    assert fleet.run() == "RollbackSuccessful"
    assert {m.configuration for m in fleet.active()} == {"v1"}


def test_an_image_that_never_serves_keeps_the_old_instances_and_rolls_back_when_patience_ends():
    fleet = Fleet()
    fleet.bad = {"v2"}
    refresh = fleet.start(auto_rollback=True)
    for _ in range(99):
        fleet.step()
    assert (refresh.status, sum(m.serving for m in fleet.active())) == ("InProgress", 2)
    assert fleet.run() == "RollbackSuccessful"
    assert {m.instance_id for m in fleet.active()} == {"old-0", "old-1"}
    assert fleet.lowest_serving == 2


def test_a_launch_that_is_refused_fails_it():
    fleet = Fleet()
    refresh = fleet.start()
    fleet.launch_error = "no such image"
    fleet.step()
    assert refresh.status == "Failed"
    assert "no such image" in refresh.reason


def test_a_rollback_that_cannot_launch_ends_as_failed():
    fleet = Fleet()
    refresh = fleet.halfway(checkpoint_delay=60)
    fleet.bad = {"v1"}
    refresh.start_rollback(fleet.now, "asked", fleet.view)
    assert fleet.run() == "RollbackFailed"


def test_cancelling_leaves_what_is_replaced_and_waits_for_what_is_under_way():
    fleet = Fleet()
    refresh = fleet.halfway(checkpoint_delay=60)
    refresh.cancel()
    assert refresh.status == "Cancelling"
    assert fleet.run() == "Cancelled"
    assert sorted(m.configuration for m in fleet.active()) == ["v1", "v2"]
    assert not fleet.adopted


@pytest.mark.parametrize("choice", ["protected", "standby"])
def test_waits_for_protected_and_standby_instances(choice):
    fleet = Fleet()
    fleet.members[0] = replace(fleet.members[0], **{choice: True})
    refresh = fleet.start()
    for _ in range(20):
        fleet.step()
    assert refresh.status == "InProgress"
    assert "old-0" in refresh.reason
    fleet.members = [replace(m, protected=False, standby=False) for m in fleet.members]
    assert fleet.run() == "Successful"
    assert "old-0" not in {m.instance_id for m in fleet.active()}


def test_ignores_protected_instances_when_told_to():
    fleet = Fleet()
    fleet.members[0] = replace(fleet.members[0], protected=True)
    fleet.start(protected="Ignore")
    assert fleet.run() == "Successful"
    assert "old-0" in {m.instance_id for m in fleet.active()}


def test_a_new_instance_that_dies_is_replaced_and_the_refresh_completes():
    fleet = Fleet()
    fleet.halfway(checkpoint_delay=10)
    fleet.members = [m for m in fleet.members if m.configuration == "v1"]
    assert fleet.run() == "Successful"
    assert [m.configuration for m in fleet.active()] == ["v2", "v2"]


def test_a_group_that_grows_during_the_refresh_ends_all_new():
    fleet = Fleet()
    fleet.halfway(checkpoint_delay=10)
    fleet.desired = 4
    assert fleet.run() == "Successful"
    assert [m.configuration for m in fleet.active()] == ["v2"] * 4


@settings(max_examples=150, deadline=None)
@given(
    desired=st.integers(1, 12),
    least=st.integers(0, 100),
    room=st.integers(0, 100),
    points=st.lists(st.integers(1, 99), unique=True, max_size=3),
    warmup=st.integers(0, 5),
    matching=st.integers(0, 12),
)
def test_every_roll_ends_and_keeps_what_its_percentages_promise(*, desired, least, room, points, warmup, matching):
    most = min(200, max(100, least + room))
    fleet = Fleet(desired)
    fleet.members = [replace(m, configuration="v2") if i < matching else m for i, m in enumerate(fleet.members)]
    checkpoints = (*sorted(points), 100) if points else ()
    fleet.start(
        min_healthy=least,
        max_healthy=most,
        checkpoints=checkpoints,
        checkpoint_delay=2,
        warmup=warmup,
        skip_matching=True,
    )
    assert fleet.run() == "Successful"
    assert [m.configuration for m in fleet.active()] == ["v2"] * desired
    floor = math.ceil(desired * least / 100)
    launches_first = most > 100
    assert fleet.lowest_serving >= (floor if launches_first else min(floor, desired - 1))
    assert fleet.highest_active <= desired + (max(1, desired * most // 100 - desired) if launches_first else 0)
