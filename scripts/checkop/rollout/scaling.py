"""Scale: another number of instances, with a forecast of time and cost, and every zone served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from checkop import ledger as ledgers
from checkop.errors import CheckopError
from checkop.rollout import forecast, preflight
from checkop.rollout.begin import Outcome, find, idle
from checkop.rollout.narrate import describe

if TYPE_CHECKING:
    from checkop.rollout.begin import Found
    from checkop.rollout.kit import Tools
    from checkop.rollout.model import Observation
    from checkop.rollout.settings import Settings

HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Cost:
    """US dollars: of the instances added (or saved, below zero), an hour and a month of 730 hours."""

    hour: float
    month: float


def cost(before: int, after: int, instance_hour_usd: float) -> Cost:
    """Return what going from one number of instances to another costs."""
    hour = (after - before) * instance_hour_usd
    return Cost(round(hour, 4), round(hour * HOURS_A_MONTH, 2))


def scale(kit: Tools, settings: Settings, size: int, *, check: bool = False) -> Outcome:
    """Give the fleet another size and wait until it has it.

    Parameters
    ----------
    kit:
        Tools of this fleet.
    settings:
        The fleet's bounds and times.
    size:
        Wanted number of instances, within `fleet_min_size` and `fleet_max_size`.
    check:
        Refusals and forecast only.

    Raises
    ------
    CheckopError
        Refused before any change, or the size was not reached in time.
    """
    idle(kit)
    found = find(kit)
    refused = refusals(found, settings, size, kit)
    if refused:
        raise CheckopError("Refused, and nothing was changed:\n  - " + "\n  - ".join(refused))
    before = found.observation.group.desired
    if before == size and _settled(found.observation, size):
        return Outcome(False, f"the fleet has {size} instances already: nothing to do")
    lines = tuple(_forecast(found, settings, before, size))
    for line in lines:
        kit.tell(line)
    if check:
        return Outcome(True, f"would go from {before} to {size} instances", forecast=lines)
    if before != size:
        kit.world.set_desired(found.observation.group, size)
    _wait(kit, settings, found, size)
    return Outcome(True, f"the fleet has {size} instances, healthy in every zone", forecast=lines)


def refusals(found: Found, settings: Settings, size: int, kit: Tools) -> list[str]:
    """Return every reason not to scale; empty: go."""
    group = found.observation.group
    refused = preflight.frozen(settings, kit.clock.now().date())
    if not settings.min_size <= size <= settings.max_size:
        refused.append(
            f"size is {size}, but fleet_min_size is {settings.min_size} and fleet_max_size {settings.max_size}. Give a "
            "number between, or change the bounds in the inventory and run playbooks/fleet.yml."
        )
    elif not group.min_size <= size <= group.max_size:
        refused.append(
            f"size is {size}, but {group.name} has bounds of {group.min_size} to {group.max_size} now (a scheduled "
            "peak, or an inventory not applied yet). Wait for the schedule's end, or run playbooks/fleet.yml."
        )
    if size < len(group.zones):
        refused.append(
            f"size is {size}, which leaves a zone of {', '.join(group.zones)} empty. Give at least {len(group.zones)}."
        )
    if not group.desired:
        refused.append(f"Group {group.name} is empty: a first rollout gives it its size (playbooks/rollout.yml).")
    active = found.observation.active_refresh
    if active is not None:
        refused.append(
            f"Group {group.name} is being refreshed ({active.refresh_id}, {active.status}). Wait for its end."
        )
    return refused


def _forecast(found: Found, settings: Settings, before: int, size: int) -> list[str]:
    price = cost(before, size, settings.instance_hour_usd)
    if size >= before:
        seconds = forecast.boot_seconds(settings, found.entries)
        how = f"{size - before} more boot at once and get healthy in about {seconds:.0f} s"
    else:
        how = f"{before - size} finish open requests, {settings.deregistration_delay_seconds} s at most, and end"
    sign = "+" if price.hour >= 0 else ""
    return [
        f"{before} -> {size} instances: {how}",
        f"cost: {sign}{price.hour:.2f} USD an hour, {sign}{price.month:.2f} a month",
    ]


def _settled(observation: Observation, size: int) -> bool:
    return observation.strong() and len(observation.group.instances) == size


def _wait(kit: Tools, settings: Settings, found: Found, size: int) -> None:
    entry = ledgers.in_service(found.entries)
    begun = kit.clock.seconds()
    said, at = "", begun
    while True:
        observation = kit.world.observe()
        if _settled(observation, size):
            return
        now = kit.clock.seconds()
        text = describe(observation, None)
        if text != said or now - at >= 30:  # noqa: PLR2004 - a terminal never looks dead
            kit.tell(f"{int(now - begun):5d} s  {text}")
            said, at = text, now
        if now - begun > settings.timeout_seconds:
            raise CheckopError(
                f"{observation.group.name} was not at {size} healthy instances within {settings.timeout_seconds} s: "
                f"{text}. Auto Scaling goes on; run the playbook again to go on "
                f"waiting{f', or roll back from {entry.release}' if entry else ''}."
            )
        kit.clock.sleep(settings.poll_seconds)
