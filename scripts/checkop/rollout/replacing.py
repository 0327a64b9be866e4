"""Replace: one sick instance makes way for a fresh one, which serves before it goes wherever the group has room.

The group runs one more, in the sick one's zone, until the fresh one is healthy; then the sick one is drained and ended
and the group has its size again. A larger desired capacity would not do: Auto Scaling launches into any of the emptiest
zones, and evens the zones out afterwards by terminating a healthy instance. Follows "Launch instances synchronously"
and "Suspend and resume processes" of the Amazon EC2 Auto Scaling User Guide.
What was begun is in the lock: its `image` is the instance, its `size` the group's size before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.rollout import preflight
from checkop.rollout.begin import Outcome, find, take_lock
from checkop.rollout.narrate import describe

if TYPE_CHECKING:
    from checkop.rollout.begin import Found
    from checkop.rollout.kit import Tools
    from checkop.rollout.model import Group, Observation
    from checkop.rollout.settings import Settings

OPERATION = "replace"
# Evens out the zones (SuspendProcesses); it would end more than the sick one, and stays away meanwhile.
REBALANCE = "AZRebalance"
# Stands where a release's number would in the lock.
NO_RELEASE = "-"


class LaunchFailedError(CheckopError):
    """The fresh instance could not be launched."""


class Step(Enum):
    """What to do next."""

    GROW = "one more instance boots"
    END = "the sick one finishes open requests and ends"
    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True)
class Task:
    """What is being replaced: the instance, the group's size before, and whether its zones were evened out then."""

    instance: str
    size: int
    rebalance: bool


def next_step(observation: Observation, task: Task) -> Step:
    """Say what to do next. Pure.

    With room below the group's maximum a fresh instance serves before the sick one goes; without, the sick one goes
    first.
    """
    group = observation.group
    sick = next((each for each in group.instances if each.instance_id == task.instance), None)
    others = [each for each in group.instances if each.instance_id != task.instance]
    healthy = observation.healthy_ids()
    if sick is None:
        settled = observation.strong() and len(others) == task.size == group.desired
        return Step.DONE if settled else Step.WAIT
    if not (sick.in_service or sick.lifecycle_state == "Standby"):
        return Step.WAIT
    if sum(1 for each in others if each.in_service and each.instance_id in healthy) >= task.size:
        return Step.END
    if group.desired > task.size:
        return Step.WAIT
    return Step.GROW if task.size < group.max_size else Step.END


def replace_instance(kit: Tools, settings: Settings, instance: str, *, check: bool = False) -> Outcome:
    """Replace one instance of the fleet.

    Parameters
    ----------
    kit:
        Tools of this fleet.
    settings:
        The fleet's times.
    instance:
        Its id.
    check:
        Refusals only.

    Raises
    ------
    CheckopError
        Refused before any change, or it was not done in time, or another process has taken over meanwhile.
    """
    task = _resume(kit, instance, check=check)
    found = find(kit)
    if task is None:
        refused = refusals(found, settings, instance, kit)
        if refused:
            raise CheckopError("Refused, and nothing was changed:\n  - " + "\n  - ".join(refused))
        group = found.observation.group
        task = Task(instance, group.desired, REBALANCE not in group.suspended)
        if check:
            return Outcome(True, f"would replace {instance}: {_how(group)}")
        take_lock(kit, NO_RELEASE, OPERATION, instance, size=task.size, rebalance=task.rebalance)
        kit.tell(f"replacing {instance}: {_how(group)}")
    try:
        _carry_out(kit, settings, task)
    except LaunchFailedError:
        # Nothing was begun, so that nobody has to finish it.
        kit.lock.give_back()
        raise
    kit.lock.give_back()
    return Outcome(True, f"{instance} was replaced, {task.size} instances are healthy in every zone")


def refusals(found: Found, settings: Settings, instance: str, kit: Tools) -> list[str]:
    """Return every reason not to replace; empty: go."""
    observation = found.observation
    group = observation.group
    # A sick instance is mended even while changes are frozen; what is refused is only what would make it worse.
    members = {each.instance_id: each for each in group.instances}
    if instance not in members:
        known = ", ".join(f"{each.instance_id} ({each.zone})" for each in group.instances) or "none"
        return [f"{instance} is no instance of {group.name}. It has: {known}."]
    refused: list[str] = []
    if observation.active_refresh is not None:
        refused.append(f"Group {group.name} is being refreshed, which replaces its instances anyway. Wait for its end.")
    refused += preflight.suspended(group)
    healthy = observation.healthy_ids() - {instance}
    zone = members[instance].zone
    rest = [each for each in group.instances if each.zone == zone and each.instance_id in healthy and each.in_service]
    if group.desired >= group.max_size and not rest:
        refused.append(
            f"{group.name} is at its maximum of {group.max_size} and {instance} is the only healthy one in {zone}: "
            "there is no room for a fresh one first. Raise fleet_max_size (playbooks/fleet.yml), or scale in "
            "(playbooks/scale.yml)."
        )
    return refused


def _resume(kit: Tools, instance: str, *, check: bool) -> Task | None:
    """Return what an operator who is gone has begun, taken over; None when nothing is under way.

    Raises
    ------
    CheckopError
        Something else is under way, or its operator is alive.
    """
    holder = kit.lock.read()
    if holder is None:
        return None
    now = kit.clock.now()
    same = holder.operation == OPERATION and holder.image == instance
    if holder.alive(kit.lock.session, now) or not same:
        raise CheckopError(f"Under way already: {holder.sentence()}. It has to end first; nothing was changed.")
    if check:
        raise CheckopError(f"Interrupted and not finished: {holder.sentence()}. Run without --check to finish it.")
    if not kit.lock.take_over(holder, now):
        raise CheckopError(f"Another operator took over at this very moment. Under way: {holder.sentence()}.")
    kit.tell(f"going on with {holder.sentence()}")
    return Task(instance, holder.size, holder.rebalance)


def _how(group: Group) -> str:
    if group.desired < group.max_size:
        return "a fresh one serves first in the same zone, then it finishes open requests and ends"
    return "the group is at its maximum, so it finishes open requests and ends first, and a fresh one follows"


def _carry_out(kit: Tools, settings: Settings, task: Task) -> None:
    kit.lock.insist(kit.clock.now())
    kit.world.suspend(REBALANCE)
    try:
        _until_done(kit, settings, task)
    finally:
        holder = kit.lock.read()
        # Who took over meanwhile resumes it at its own end.
        if task.rebalance and (holder is None or holder.of(kit.lock.session)):
            kit.world.resume(REBALANCE)


def _until_done(kit: Tools, settings: Settings, task: Task) -> None:
    begun = kit.clock.seconds()
    said, at = "", begun
    while True:
        # First of all: who has lost the lock meanwhile changes nothing any more.
        kit.lock.beat(kit.clock.now())
        observation = kit.world.observe()
        step = next_step(observation, task)
        if step is Step.DONE:
            return
        if step is Step.GROW:
            _launch(kit, observation, task)
        elif step is Step.END:
            # Decrementing only what was added, so that a second run never shrinks the group.
            kit.world.terminate(task.instance, decrement=observation.group.desired > task.size)
        now = kit.clock.seconds()
        text = describe(observation, None) if step is Step.WAIT else step.value
        if text != said or now - at >= 30:  # noqa: PLR2004 - a terminal never looks dead
            kit.tell(f"{int(now - begun):5d} s  {text}")
            said, at = text, now
        if now - begun > settings.timeout_seconds:
            raise CheckopError(
                f"{task.instance} was not replaced within {settings.timeout_seconds} s: {text}. Run the playbook again "
                "to go on, or see docs/when-it-goes-wrong.md."
            )
        kit.clock.sleep(settings.poll_seconds)


def _launch(kit: Tools, observation: Observation, task: Task) -> None:
    zone = next(each.zone for each in observation.group.instances if each.instance_id == task.instance)
    error = kit.world.launch(observation.group, zone)
    if error:
        raise LaunchFailedError(
            f"No instance could be launched in {zone}, the zone of {task.instance} ({error}); nothing was replaced. "
            f"Try again later, or scale out over every zone: playbooks/scale.yml -e size={task.size + 1}."
        )
