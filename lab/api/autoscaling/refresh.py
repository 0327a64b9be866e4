"""Instance refresh as a state machine without input or output.

`Refresh.step(now, view)` looks at the group's instances and answers what to do next. It follows the API reference of
Amazon EC2 Auto Scaling (StartInstanceRefresh, RollbackInstanceRefresh) and the user guide's "How an instance refresh
works". Healthy percentages: launches come before terminations as far as MaxHealthyPercentage allows, terminations as
far as MinHealthyPercentage allows; with neither, one instance at a time is terminated and replaced.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ACTIVE = ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")


@dataclass(frozen=True)
class Member:
    """One instance of the group, as the refresh needs to know it."""

    instance_id: str
    zone: str
    # What it was launched from; equal to `Refresh.target` when it needs no replacement.
    configuration: str
    # InService, and healthy by every health check that the group uses.
    serving: bool
    # Seconds since the epoch at which it entered service, or None.
    in_service_at: float | None
    # On its way out: Terminating or any state after it.
    leaving: bool = False
    standby: bool = False
    # Protected from scale in.
    protected: bool = False


@dataclass(frozen=True)
class View:
    """What is true of the group now."""

    desired: int
    members: tuple[Member, ...]
    # Names of alarms in state ALARM.
    alarms: frozenset[str] = frozenset()
    # Why the last launch from the refresh's configuration failed, or None.
    launch_error: str | None = None


@dataclass(frozen=True)
class Terminate:
    """Take an instance out of service; its place is filled by the group's own scaling."""

    instance_id: str


@dataclass(frozen=True)
class Surplus:
    """Run so many instances more than the desired capacity."""

    count: int


@dataclass(frozen=True)
class Adopt:
    """Make the desired configuration the group's own."""


Action = Terminate | Surplus | Adopt


@dataclass(frozen=True)
class Preferences:
    """Preferences of StartInstanceRefresh, with every default filled in."""

    min_healthy: int = 90
    max_healthy: int = 100
    # Seconds.
    warmup: float = 0
    checkpoints: tuple[int, ...] = ()
    # Seconds.
    checkpoint_delay: float = 3600
    bake: float = 0
    skip_matching: bool = False
    auto_rollback: bool = False
    protected: Literal["Refresh", "Ignore", "Wait"] = "Wait"
    standby: Literal["Terminate", "Ignore", "Wait"] = "Wait"
    alarms: tuple[str, ...] = ()


@dataclass
class Refresh:
    """One instance refresh: `step` alone moves it, `cancel` and `start_rollback` ask for a change of course."""

    refresh_id: str
    preferences: Preferences
    # Keys of the configuration to reach, and of the one that the group has.
    target: str
    original: str
    started_at: float
    # Seconds without progress after which it fails.
    patience: float = 3600
    # As given, for the answers of the API.
    asked_preferences: Mapping[str, Any] = field(default_factory=dict)
    desired_configuration: Mapping[str, Any] | None = None

    status: str = "Pending"
    reason: str = ""
    ended_at: float | None = None
    percent: int = 0
    remaining: int = 0
    rollback: dict[str, Any] | None = None

    _outdated: set[str] = field(default_factory=set)
    _kept: set[str] = field(default_factory=set)
    _total: int = 0
    _checkpoint: int = 0
    _pause_until: float | None = None
    _progress_at: float = 0
    _progress: tuple[int, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it still moves the group."""
        return self.status in ACTIVE

    @property
    def configuration(self) -> str:
        """Key of the configuration that launches use while the refresh is active."""
        return self.original if self.status == "RollbackInProgress" else self.target

    @property
    def outdated(self) -> frozenset[str]:
        """Ids of the instances that are to be replaced; those go first when the group scales in."""
        return frozenset(self._outdated)

    def cancel(self) -> None:
        """Stop replacing; what is replaced stays so (CancelInstanceRefresh)."""
        self.status, self.reason = "Cancelling", "Cancelled by user request."

    def start_rollback(self, now: float, reason: str, view: View) -> None:
        """Turn round: replace what was launched from the desired configuration (RollbackInstanceRefresh)."""
        self.rollback = {
            "RollbackReason": reason,
            "RollbackStartTime": now,
            "PercentageCompleteOnRollback": self.percent,
            "InstancesToUpdateOnRollback": self.remaining,
        }
        self.status, self.reason = "RollbackInProgress", reason
        self._take_stock(now, view, skip_matching=True)

    def step(self, now: float, view: View) -> list[Action]:
        """Move on and return what is to be done to the group now; an ended refresh does nothing."""
        if self.status == "Cancelling":
            return self._step_cancelling(now, view)
        if not self.active:
            return []
        if self.status == "Pending":
            if self.preferences.skip_matching and self.target == self.original:
                # "Use an instance refresh with skip matching": when none of the settings are changing it succeeds
                # immediately, and replaces nothing, whatever the instances were launched from.
                self.percent = 100
                return self._finish(now)
            self.status = "InProgress"
            self._take_stock(now, view, skip_matching=self.preferences.skip_matching)
        if trouble := self._trouble(now, view):
            return self._fail(now, trouble, view)
        self._count(now, view)
        if self._finished(now, view):
            return self._finish(now)
        return [Surplus(0)] if self.status == "Baking" else list(self._replace(now, view))

    def _step_cancelling(self, now: float, view: View) -> list[Action]:
        if self._in_transition(view):
            return []
        self._end(now, "Cancelled")
        return [Surplus(0)]

    # What is still to be done.

    def _take_stock(self, now: float, view: View, *, skip_matching: bool) -> None:
        staying = [member for member in view.members if not member.leaving]
        outdated = [m for m in staying if not (skip_matching and m.configuration == self.configuration)]
        if self.preferences.protected == "Ignore":
            outdated = [m for m in outdated if not m.protected]
        if self.preferences.standby == "Ignore":
            outdated = [m for m in outdated if not m.standby]
        self._outdated = {member.instance_id for member in outdated}
        self._kept = {member.instance_id for member in staying} - self._outdated
        self._total = len(self._outdated)
        self._pause_until, self._progress_at, self._progress = None, now, ()

    def _old(self, view: View) -> list[Member]:
        return [m for m in view.members if m.instance_id in self._outdated and not m.leaving]

    def _ready(self, now: float, view: View) -> list[Member]:
        """Return the up-to-date members that count: serving, and warm."""
        warmup = self.preferences.warmup
        return [
            m
            for m in view.members
            if m.instance_id not in self._outdated
            and not m.leaving
            and m.serving
            and m.in_service_at is not None
            and now - m.in_service_at >= warmup
        ]

    def _count(self, now: float, view: View) -> None:
        old, ready = len(self._old(view)), self._ready(now, view)
        fresh = sum(1 for member in ready if member.instance_id not in self._kept)
        done = min(self._total - old, fresh)
        if not old and len(ready) >= view.desired:
            done = self._total
        self.remaining = self._total - done
        percent = 100 if not self._total else 100 * done // self._total
        if self.rollback is None:
            self.percent = percent
        else:
            # During a rollback the percentage goes back to zero.
            begun = int(self.rollback["PercentageCompleteOnRollback"])
            self.percent = begun * (100 - percent) // 100
        progress = (done, self._checkpoint, len(ready))
        if progress > self._progress:
            self._progress, self._progress_at = progress, now

    def _in_transition(self, view: View) -> bool:
        return any(m.leaving or (m.in_service_at is None and not m.standby) for m in view.members)

    # How it ends.

    def _trouble(self, now: float, view: View) -> str | None:
        if self.status != "RollbackInProgress":
            if raised := sorted(view.alarms.intersection(self.preferences.alarms)):
                return f"The following alarms are in ALARM state: {', '.join(raised)}."
            if view.launch_error:
                return f"Failed to launch replacement instances: {view.launch_error}"
        if self._pause_until is None and now - self._progress_at >= self.patience and self._progress:
            return "Instances could not be replaced because replacement instances did not become healthy in time."
        return None

    def _fail(self, now: float, reason: str, view: View) -> list[Action]:
        if self.status == "RollbackInProgress":
            self._end(now, "RollbackFailed", reason)
        elif self.preferences.auto_rollback:
            self.start_rollback(now, reason, view)
            return list(self._replace(now, view))
        else:
            self._end(now, "Failed", reason)
        return [Surplus(0)]

    def _finished(self, now: float, view: View) -> bool:
        """Return whether everything is replaced, and the pause or bake after it is over."""
        if self._total - self.remaining < self._goal():
            return False
        if any(m.instance_id in self._outdated and m.leaving for m in view.members):
            return False
        if self._paused(now):
            return False
        if self.status == "InProgress" and self.preferences.bake and self._total:
            self.status, self.reason = "Baking", "Waiting for the bake time to pass."
            self._pause_until = now + self.preferences.bake
            return False
        return True

    def _finish(self, now: float) -> list[Action]:
        if self.status == "RollbackInProgress":
            self._end(now, "RollbackSuccessful", self.reason)
            return [Surplus(0)]
        self._end(now, "Successful", "")
        return [Surplus(0), Adopt()]

    def _end(self, now: float, status: str, reason: str | None = None) -> None:
        self.status, self.ended_at = status, now
        if reason is not None:
            self.reason = reason

    # Checkpoints.

    def _instances_at(self, checkpoint: int) -> int:
        """Return how many instances are replaced at a checkpoint, by its index."""
        return math.ceil(self._total * self.preferences.checkpoints[checkpoint] / 100)

    def _limit(self) -> int:
        """Return how many instances may be replaced for now."""
        points = self.preferences.checkpoints
        if self.status == "RollbackInProgress" or not points:
            return self._total
        return self._instances_at(min(self._checkpoint, len(points) - 1))

    def _goal(self) -> int:
        """Return how many instances are replaced in all: a last checkpoint below 100 percent leaves the rest."""
        if self.status == "RollbackInProgress" or not self.preferences.checkpoints:
            return self._total
        return self._instances_at(len(self.preferences.checkpoints) - 1)

    def _paused(self, now: float) -> bool:
        """Begin, keep or end the pause of a checkpoint, or the bake; return whether one lasts."""
        if self._pause_until is not None:
            if now < self._pause_until:
                return True
            self._pause_until, self._progress_at = None, now
            if self.status == "InProgress":
                self._checkpoint, self.reason = self._checkpoint + 1, ""
            return False
        points, done = self.preferences.checkpoints, self._total - self.remaining
        if self.status != "InProgress" or self._checkpoint >= len(points) or not self._total or done < self._limit():
            return False
        # Few instances may reach several checkpoints at once: one pause, at the last of them.
        while self._checkpoint + 1 < len(points) and self._instances_at(self._checkpoint + 1) <= done:
            self._checkpoint += 1
        if done == self._total:
            # A checkpoint at 100 percent does not pause, the bake time follows ("Add checkpoints to an instance
            # refresh").
            self._checkpoint += 1
            return False
        self._pause_until = now + self.preferences.checkpoint_delay
        self.reason = f"Waiting at the checkpoint of {points[self._checkpoint]} percent."
        return True

    # Replacing.

    def _replace(self, now: float, view: View) -> Iterator[Action]:
        if self._paused(now):
            yield Surplus(0)
            return
        old = self._old(view)
        movable = sum(1 for member in old if self._may_go(member))
        quota = min(movable, max(0, self._limit() - (self._total - len(old))))
        going = list(self._candidates(now, view))[:quota]
        for member in going:
            yield Terminate(member.instance_id)
        yield Surplus(min(self._surplus(view.desired), quota - len(going)))
        if self.status == "InProgress":
            self.reason = self._waiting_for(now, view)

    def _surplus(self, desired: int) -> int:
        """Return how many instances beyond the desired capacity MaxHealthyPercentage allows."""
        if self.preferences.max_healthy <= 100:  # noqa: PLR2004 - percent
            return 0
        return max(1, desired * self.preferences.max_healthy // 100 - desired)

    def _candidates(self, now: float, view: View) -> Iterator[Member]:
        """Yield the outdated members that may go now: what serves nobody first, then from the fullest zone."""
        floor = math.ceil(view.desired * self.preferences.min_healthy / 100)
        if not self._surplus(view.desired):
            # Small groups: one instance at a time is always replaced.
            floor = min(floor, view.desired - 1)
        old = [m for m in self._old(view) if self._may_go(m)]
        serving = sum(1 for m in self._old(view) if m.serving) + len(self._ready(now, view))
        zones: dict[str, int] = {}
        for member in view.members:
            if not member.leaving:
                zones[member.zone] = zones.get(member.zone, 0) + 1
        for member in sorted(old, key=lambda m: m.serving):
            if not member.serving:
                zones[member.zone] -= 1
                yield member
        rest = [member for member in old if member.serving]
        while rest and serving > floor:
            member = max(rest, key=lambda m: (zones[m.zone], -(m.in_service_at or 0)))
            rest.remove(member)
            zones[member.zone] -= 1
            serving -= 1
            yield member

    def _may_go(self, member: Member) -> bool:
        if member.protected and self.preferences.protected == "Wait":
            return False
        return not (member.standby and self.preferences.standby == "Wait")

    def _waiting_for(self, now: float, view: View) -> str:
        pending = [m for m in view.members if m.instance_id not in self._outdated and not m.leaving]
        ready = {m.instance_id for m in self._ready(now, view)}
        waiting = [m.instance_id for m in pending if m.instance_id not in ready]
        held = [m.instance_id for m in self._old(view) if not self._may_go(m)]
        if waiting:
            return f"Waiting for instances to become healthy and warm: {', '.join(sorted(waiting))}."
        if held:
            return f"Waiting for instances that are protected or in standby: {', '.join(sorted(held))}."
        return ""
