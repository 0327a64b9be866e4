"""What to do next, given one look at the fleet: the state machine of a rolling release. Pure."""

# ruff: noqa: PLR0911 - a function for each state, a return for each way out of it

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from checkop.rollout.narrate import ALL, describe, foreign, held, mend, moving, rebalancing, zones_remark

if TYPE_CHECKING:
    from checkop.ledger import Entry, Result
    from checkop.rollout.model import Observation, Refresh
    from checkop.rollout.settings import Settings


class Act(Enum):
    """What the engine can be told to do."""

    CREATE_VERSION = "create the launch template version"
    SIZE = "give the group its size"
    EMPTY = "take the group's instances away"
    START = "start the instance refresh"
    START_RETURN = "start the instance refresh back"
    CANCEL = "cancel the instance refresh, to go on from its checkpoint"
    ROLL_BACK = "roll the instance refresh back"
    RETURN = "decide to go back by a refresh of its own"
    CHECK = "ask through the balancer"
    # Of the blue/green strategy.
    CREATE_TARGET_GROUP = "create the second target group"
    CREATE_GROUP = "create the second group"
    WEIGH = "share the traffic out"
    PROMOTE = "start the instance refresh of the group without traffic"
    EMPTY_GREEN = "take the second group's instances away"
    DELETE_GROUP = "delete the second group"
    DETACH = "take the second target group out of the listeners"
    DELETE_TARGET_GROUP = "delete the second target group"
    WAIT = "wait"
    FINISH = "finish"


@dataclass(frozen=True)
class Decision:
    """What to do, and why: `reason` is a sentence for the operator.

    `percent` belongs to CHECK and WEIGH, and to a WAIT in which the check has to go on passing; `result` to FINISH;
    `point` names the pause that waits for an operator's word.
    """

    act: Act
    reason: str
    percent: int = 0
    result: Result = "rolling"
    point: str = ""


@dataclass
class Memory:
    """What a watcher remembers between looks. Losing it costs a repeated check, never a wrong step.

    Times are seconds of the engine's clock.
    """

    started: float
    progress_at: float
    best: tuple[int, int] = (-1, -1)
    checked: set[int] = field(default_factory=set)
    check_failing_since: float | None = None
    check_complaint: str = ""
    sick_since: dict[str, float] = field(default_factory=dict)
    once_healthy: set[str] = field(default_factory=set)
    full_since: float | None = None
    lopsided_since: float | None = None
    # By launch template version: since when instances of another one serve although all should be replaced.
    mixed_since: dict[int | None, float] = field(default_factory=dict)
    # Alarms that ring since before a first release was at full strength.
    cold_alarms: set[str] = field(default_factory=set)
    ended_at: float | None = None
    word: str = ""
    word_of: str = ""
    paused_at: float | None = None
    looked_at: float = 0.0
    # Share of the second group's traffic, and since when.
    share: int | None = None
    share_since: float = 0.0
    # The share that this process set last, and how somebody else has changed it.
    share_set: int | None = None
    share_odd: int = 0
    interference: str = ""


# The longest delay that AWS allows at a checkpoint, 48 hours: it stands for "until the operator says so".
MANUAL_DELAY_SECONDS = 172800


def ours(observation: Observation, entry: Entry, version: int | None) -> Refresh | None:
    """Return the newest refresh to a version since the release began; refreshes are listed newest first."""
    for refresh in observation.refreshes:
        if refresh.refresh_id == entry.refresh_before:
            return None
        if version is not None and refresh.template_version == version:
            return refresh
    return None


def decide(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> Decision:
    """Say what to do next.

    Parameters
    ----------
    observation:
        The fleet as it is.
    entry:
        The release under way; `returning` is set once it is to be taken back.
    memory:
        Of this watcher; updated.
    settings:
        Bounds and percentages.
    now:
        Seconds of the same clock as the memory's.
    """
    _remember(observation, entry, memory, now)
    if entry.first:
        _listen(observation, memory, settings, now)
    if entry.template_version is None:
        return Decision(Act.CREATE_VERSION, f"image {entry.image} needs a launch template version of its own")
    if entry.first:
        return _first(observation, entry, memory, settings, now)
    if entry.returning:
        return _returning(observation, entry, memory, settings, now)
    refresh = ours(observation, entry, entry.template_version)
    if refresh is None:
        return _not_started(observation, entry)
    if refresh.status in {"Pending", "InProgress", "Baking"}:
        return _under_way(observation, entry, memory, settings, now)
    if refresh.status == "Successful":
        return _replaced(observation, entry, memory, settings, now)
    if refresh.status in {"RollbackInProgress", "Cancelling"}:
        return _ending(refresh, memory, settings, now)
    if refresh.status == "RollbackSuccessful":
        reason = refresh.reason or "Auto Scaling rolled it back"
        return _back(observation, entry, reason, memory, settings, now)
    if refresh.status == "Cancelled" and memory.word == "continue":
        return Decision(Act.START, "the rest of the fleet follows, instances that match are skipped")
    return Decision(Act.RETURN, f"the refresh is {refresh.status}: {refresh.reason or 'no reason given'}")


def _remember(observation: Observation, entry: Entry, memory: Memory, now: float) -> None:
    healthy = observation.healthy_ids()
    new = [each for each in observation.group.instances if each.template_version == entry.template_version]
    good = sum(1 for each in new if each.in_service and each.instance_id in healthy)
    refresh = observation.refreshes[0] if observation.refreshes else None
    best = (refresh.percentage if refresh is not None else 0, good)
    if best > memory.best:
        memory.best, memory.progress_at = best, now
    states = {target.instance_id: target.state for target in observation.targets}
    for each in new:
        if each.instance_id in healthy:
            memory.once_healthy.add(each.instance_id)
            memory.sick_since.pop(each.instance_id, None)
        elif states.get(each.instance_id) == "unhealthy" and each.instance_id in memory.once_healthy:
            memory.sick_since.setdefault(each.instance_id, now)


def _listen(observation: Observation, memory: Memory, settings: Settings, now: float) -> None:
    """Keep which alarms ring because the group was empty: the balancer answered 503 to whoever asked.

    They count again once they have been quiet, or when they still are not long after full strength.
    """
    ringing = {alarm.name for alarm in observation.ringing()}
    if memory.full_since is None:
        memory.cold_alarms = ringing
    elif now - memory.full_since > settings.step_timeout_seconds:
        memory.cold_alarms = set()
    else:
        memory.cold_alarms &= ringing


def _first(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> Decision:
    group = observation.group
    if entry.returning:
        if group.desired:
            return Decision(Act.EMPTY, "there is no release before it to go back to")
        if group.instances:
            return bounded(memory, settings, now, "its instances end")
        return Decision(Act.FINISH, entry.returning, result="failed")
    if group.template_version != str(entry.template_version) or group.desired < settings.desired_size:
        return Decision(Act.SIZE, f"the group is empty; it gets {settings.desired_size} instances of {entry.image}")
    return _replaced(observation, entry, memory, settings, now)


def _not_started(observation: Observation, entry: Entry) -> Decision:
    ringing = observation.ringing()
    if ringing and entry.operation == "rollout":
        return Decision(Act.FINISH, f"alarm {ringing[0].name} went off before the refresh began", result="aborted")
    if observation.active_refresh is not None:
        other = observation.active_refresh
        return Decision(
            Act.FINISH, f"refresh {other.refresh_id} was started by somebody else meanwhile", result="aborted"
        )
    return Decision(Act.START, f"launch template version {entry.template_version} replaces what runs")


def trouble(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> str:
    """Return why a release should be taken back, or empty."""
    if memory.word == "abort":
        return f"{memory.word_of} said abort"
    if entry.operation == "rollout":
        ringing = [alarm for alarm in observation.ringing() if alarm.name not in memory.cold_alarms]
        if ringing:
            return f"alarm {ringing[0].name} is in ALARM: {ringing[0].reason or 'no reason given'}"
    if now - memory.started > settings.timeout_seconds:
        return f"it was not done within rollout_timeout_seconds ({settings.timeout_seconds} s)"
    if memory.check_failing_since is not None and now - memory.check_failing_since > settings.check_timeout_seconds:
        return (
            f"checks through the balancer fail for {now - memory.check_failing_since:.0f} s: {memory.check_complaint}"
        )
    return _sickness(observation, entry, memory, settings, now)


def _sickness(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> str:
    """Return why the new image is to blame for sick instances, or empty.

    An instance that dies is the group's business: it is replaced. The image is to blame when what it runs was
    healthy and no
    longer is, again or for long, while what the old image runs still is.
    """
    if not memory.sick_since:
        return ""
    healthy = observation.healthy_ids()
    group = observation.group
    old = [each for each in group.instances if each.template_version != entry.template_version and each.in_service]
    if old and not any(each.instance_id in healthy for each in old):
        return ""
    present = {each.instance_id for each in group.instances}
    longest = max((now - since for each, since in memory.sick_since.items() if each in present), default=0.0)
    if len(memory.sick_since) > 1 and old:
        return f"{len(memory.sick_since)} new instances were healthy and no longer are, while the old ones still are"
    if longest > settings.check_timeout_seconds:
        return f"an instance of the new image was healthy and is not for {longest:.0f} s"
    return ""


def _under_way(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> Decision:
    refresh = observation.refreshes[0]
    found = trouble(observation, entry, memory, settings, now)
    if found:
        return Decision(Act.ROLL_BACK, found)
    reached = [mark for mark in refresh.checkpoints if mark <= refresh.percentage]
    due = [mark for mark in reached if mark not in memory.checked]
    if due:
        return Decision(Act.CHECK, f"checkpoint {due[-1]} % is reached", percent=due[-1])
    if refresh.checkpoint_delay >= MANUAL_DELAY_SECONDS and refresh.checkpoints[0] <= refresh.percentage:
        return paused(f"{refresh.percentage} % of {refresh.refresh_id}", Act.CANCEL, memory, settings, now)
    idle = now - memory.progress_at
    if idle > settings.step_timeout_seconds + refresh.checkpoint_delay and refresh.percentage < ALL:
        return Decision(
            Act.ROLL_BACK,
            f"nothing has come forward for {idle:.0f} s (rollout_step_timeout_seconds): "
            f"{describe(observation, entry.template_version)}",
        )
    checked = max(reached, default=0)
    if refresh.percentage >= ALL:
        memory.full_since = now if memory.full_since is None else memory.full_since
        text = f"all instances are new: {describe(observation, entry.template_version)}"
        if refresh.status == "Baking" or not moving(observation):
            text = "all instances are new; Auto Scaling watches the alarms until the soak is over"
        return Decision(Act.WAIT, text, percent=checked)
    text = describe(observation, entry.template_version)
    if held(observation, refresh):
        text = f"held at {refresh.percentage} % for {refresh.checkpoint_delay} s at most: time for alarms to ring"
    return Decision(Act.WAIT, text, percent=checked)


def paused(point: str, onward: Act, memory: Memory, settings: Settings, now: float, *, percent: int = 0) -> Decision:
    """Wait for the operator's word at a pause; `onward` (with `percent`) is what continue means there."""
    if memory.paused_at is None:
        memory.paused_at = memory.looked_at = now
    # What the operator takes to decide is not the rollout's time.
    memory.started += now - memory.looked_at
    memory.progress_at = memory.looked_at = now
    if memory.word == "continue":
        return Decision(onward, f"{memory.word_of} said continue", percent=percent)
    if now - memory.paused_at > settings.pause_limit_seconds:
        back = Act.ROLL_BACK if onward is Act.CANCEL else Act.RETURN
        return Decision(back, f"nobody said continue within {settings.pause_limit_seconds} s")
    return Decision(
        Act.WAIT,
        f"paused at {point}, waiting for your word: `checkop rollout continue` or `checkop rollout abort`",
        point=point,
    )


def _replaced(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> Decision:
    """All instances are new: full strength, a look at what runs, a check, the soak, and done."""
    found = trouble(observation, entry, memory, settings, now)
    if found:
        return Decision(Act.RETURN, found)
    strangers = observation.group.strangers(entry.template_version)
    if mixed(observation, entry.template_version, memory, settings, now):
        text = f"not all is replaced: {foreign(strangers, entry.template_version)}"
        if entry.operation == "rollout":
            return Decision(Act.RETURN, text)
        # To go back from a way back would bring the bad release again.
        return Decision(Act.FINISH, f"{text}; {mend(strangers)}", result="failed")
    if strangers:
        return Decision(Act.WAIT, f"still {foreign(strangers, entry.template_version)}")
    if not observation.full():
        if now - memory.progress_at > settings.step_timeout_seconds:
            return Decision(
                Act.RETURN, f"full strength was not reached: {describe(observation, entry.template_version)}"
            )
        return Decision(Act.WAIT, describe(observation, entry.template_version))
    if _lopsided(observation, memory, settings, now):
        return Decision(Act.WAIT, rebalancing(observation))
    memory.full_since = now if memory.full_since is None else memory.full_since
    left = settings.soak_seconds - (now - memory.full_since)
    if left > 0 and entry.operation == "rollout":
        if ALL not in memory.checked:
            return Decision(Act.CHECK, "all instances are new", percent=ALL)
        text = f"soak: {settings.soak_seconds} s under real traffic before it counts as good"
        return Decision(Act.WAIT, text, percent=ALL)
    if memory.cold_alarms:
        names = ", ".join(sorted(memory.cold_alarms))
        return Decision(Act.WAIT, f"{names} has rung since before there were instances: waiting until it is quiet")
    # Checked again at the very end, so that what the ledger says was true when it was written.
    if memory.check_failing_since is not None or ALL + 1 not in memory.checked:
        return Decision(Act.CHECK, "the last check before it counts as good", percent=ALL + 1)
    return Decision(
        Act.FINISH, f"{observation.group.desired} instances healthy{zones_remark(observation)}", result="succeeded"
    )


def mixed(observation: Observation, version: int | None, memory: Memory, settings: Settings, now: float) -> bool:
    """Whether instances of another version than the wanted one serve, and not only at a look between two changes.

    What a refresh has replaced goes in seconds; what it leaves (protected, in standby, skipped) stays.
    """
    if not observation.group.strangers(version):
        memory.mixed_since.pop(version, None)
        return False
    return now - memory.mixed_since.setdefault(version, now) > settings.check_timeout_seconds


def _lopsided(observation: Observation, memory: Memory, settings: Settings, now: float) -> bool:
    """Whether to wait for a zone that is empty although the group is full.

    Auto Scaling chooses the zone of each replacement and balances the zones only afterwards (process AZRebalance).
    That is
    not the image's fault, so that the wait is bounded, and ends well.
    """
    if not observation.empty_zones():
        memory.lopsided_since = None
        return False
    memory.lopsided_since = now if memory.lopsided_since is None else memory.lopsided_since
    return now - memory.lopsided_since < settings.step_timeout_seconds


def _ending(refresh: Refresh, memory: Memory, settings: Settings, now: float) -> Decision:
    return bounded(memory, settings, now, f"Auto Scaling takes it back ({refresh.percentage} %): {refresh.reason}")


def bounded(memory: Memory, settings: Settings, now: float, what: str) -> Decision:
    """Wait for something that is to come by itself, but not for ever."""
    memory.ended_at = now if memory.ended_at is None else memory.ended_at
    if now - memory.ended_at > settings.timeout_seconds:
        return Decision(Act.FINISH, f"gave up after {settings.timeout_seconds} s of waiting: {what}", result="failed")
    return Decision(Act.WAIT, what)


def _back(  # noqa: PLR0917 - as `decide`, and why it goes back
    observation: Observation, entry: Entry, reason: str, memory: Memory, settings: Settings, now: float
) -> Decision:
    """The old release is what the group holds again: look at what runs, and wait for full strength."""
    version = entry.previous_template_version
    strangers = observation.group.strangers(version)
    if mixed(observation, version, memory, settings, now):
        if ours(observation, entry, version) is not None:
            return Decision(Act.FINISH, still_mixed(observation, version, reason), result="failed")
        if not entry.returning:
            return Decision(Act.RETURN, reason)
        memory.mixed_since.clear()
        return Decision(Act.START_RETURN, reason)
    if strangers:
        return Decision(Act.WAIT, f"still {foreign(strangers, version)}")
    if observation.full():
        if _lopsided(observation, memory, settings, now):
            return Decision(Act.WAIT, rebalancing(observation))
        return Decision(Act.FINISH, reason, result="rolled_back")
    counts = ", ".join(f"{count} in {zone}" for zone, count in sorted(observation.healthy_by_zone().items()))
    return bounded(memory, settings, now, f"the release before it comes to full strength (healthy: {counts})")


def still_mixed(observation: Observation, version: int | None, reason: str) -> str:
    """Say how it ended, and that something else than it should be still serves."""
    strangers = observation.group.strangers(version)
    return f"{reason}; but not all is replaced: {foreign(strangers, version)}; {mend(strangers)}"


def _returning(observation: Observation, entry: Entry, memory: Memory, settings: Settings, now: float) -> Decision:
    """It was to be taken back: by AWS's rollback when the refresh was still under way, else by a refresh of our own."""
    forward = ours(observation, entry, entry.template_version)
    if forward is not None and forward.status in {"Pending", "InProgress", "Baking"}:
        return Decision(Act.ROLL_BACK, entry.returning)
    if forward is not None and forward.status in {"RollbackInProgress", "Cancelling"}:
        return _ending(forward, memory, settings, now)
    back = ours(observation, entry, entry.previous_template_version)
    if forward is not None and forward.status == "RollbackSuccessful" and back in {None, forward}:
        return _back(observation, entry, entry.returning, memory, settings, now)
    if back is None:
        strange = [
            each for each in observation.group.instances if each.template_version != entry.previous_template_version
        ]
        if not strange and observation.group.template_version == str(entry.previous_template_version):
            return _back(observation, entry, entry.returning, memory, settings, now)
        return Decision(Act.START_RETURN, entry.returning)
    if back.active:
        return bounded(memory, settings, now, f"the release before it comes back: {back.percentage} %")
    if back.status == "Successful":
        return _back(observation, entry, entry.returning, memory, settings, now)
    return Decision(
        Act.FINISH, f"{entry.returning}; and the way back ended {back.status}: {back.reason}", result="failed"
    )
