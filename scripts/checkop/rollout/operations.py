"""Roll out: what a playbook or a command asks for. Decides between starting, attaching and refusing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.rollout import checks, forecast, plan, preflight
from checkop.rollout.begin import Found, Outcome, attach, find, follow, new_entry, say_forecast
from checkop.rollout.colours import green_leftovers

if TYPE_CHECKING:
    from checkop.rollout.kit import Tools
    from checkop.rollout.settings import Settings
    from checkop.rollout.world import World

MEND = "Mend that first, or see that the operator's machine reaches the balancer (docs/when-it-goes-wrong.md)."


def rollout(kit: Tools, settings: Settings, image: str, *, check: bool = False) -> Outcome:
    """Put an image into service.

    Parameters
    ----------
    kit:
        Tools of this fleet.
    settings:
        How to roll.
    image:
        An AMI id, or ``latest``: the newest verified one (SSM ``image/verified``).
    check:
        Preflight and forecast only.

    Raises
    ------
    CheckopError
        Refused before any change; the message has every reason and its mend.
    """
    holder = kit.lock.read()
    entry = attach(kit, holder, check=check) if holder is not None else None
    if entry is not None:
        if image not in {"latest", entry.image}:
            kit.tell(f"{image} has to wait: release {entry.release} of {entry.image} is finished first")
        outcome = follow(kit, settings, entry, resumed=True)
        if outcome.failed or image in {"latest", entry.image}:
            return outcome
    wanted = wanted_image(kit.world, image)
    found = find(kit)
    if found.in_service(wanted):
        desired = found.observation.group.desired
        return Outcome(False, f"image {wanted} is in service on all {desired} instances: nothing to do")
    facts = _facts(kit, settings, wanted, found, by_name=image != "latest")
    first = found.observation.group.desired == 0
    refused = preflight.refusals(facts, settings)
    if not refused:
        # The same requests that will judge the new image; a balancer in front of nobody cannot answer them yet.
        complaint = checks.complaint(kit.ask(), "", all_new=False)
        refused = (
            [f"The checks through the balancer do not pass now: {complaint}. {MEND}"] if complaint and not first else []
        )
    if refused:
        raise CheckopError("Refused, and nothing was changed:\n  - " + "\n  - ".join(refused))
    layout = _plan(found, settings)
    lines = tuple(forecast.make(layout, settings, found.entries, first=first).table())
    say_forecast(kit, wanted, facts.image, lines)
    for alarm in found.observation.ringing() if first else ():
        kit.tell(f"{alarm.name} rings, and counts only once it was quiet: the balancer has nobody behind it yet")
    if check:
        return Outcome(True, f"would roll out {wanted}", forecast=lines)
    entry = kit.ledger.put(
        replace(
            new_entry(kit, "rollout", wanted, facts.image, found),
            # An empty group has nothing to be moved from.
            strategy="rolling" if first else settings.strategy,
            pause=settings.pause,
            first=first,
            instances=settings.desired_size if first else found.observation.group.desired,
            steps=1 if first else len(layout.steps),
        )
    )
    return replace(follow(kit, settings, entry, resumed=False), forecast=lines)


def wanted_image(world: World, image: str) -> str:
    """Return the AMI id that is meant.

    Raises
    ------
    CheckopError
        The latest verified image is meant, and there is none.
    """
    if image != "latest":
        return image
    found = world.parameter("image/verified")
    if not found:
        raise CheckopError(
            "There is no verified image yet (SSM parameter image/verified). Bake one (docs/bake.md), or name an AMI "
            "with image=."
        )
    return found


def _facts(kit: Tools, settings: Settings, wanted: str, found: Found, *, by_name: bool) -> preflight.Facts:
    world = kit.world
    template = found.observation.group.template_id
    known = {alarm.name for alarm in found.observation.alarms}
    return preflight.Facts(
        wanted_image=wanted,
        image=world.image(wanted),
        template=found.wanted,
        architectures=world.architectures(found.wanted.instance_type if found.wanted else ""),
        region=world.region,
        observation=found.observation,
        balancer_state=world.balancer_state(),
        missing_alarms=tuple(name for name in settings.alarms if name not in known),
        leftovers=green_leftovers(world, settings),
        today=kit.clock.now().date(),
        taken_back="" if by_name else found.taken_back(wanted, world.template_versions(template)),
    )


def _plan(found: Found, settings: Settings) -> plan.Plan:
    desired = found.observation.group.desired
    return plan.make(desired, desired, settings.min_healthy_percent, settings.max_healthy_percent, settings.checkpoints)


def preview(kit: Tools, settings: Settings, image: str) -> tuple[list[str], forecast.Forecast]:
    """Return what a rollout would be refused for, and its forecast; nothing is changed."""
    wanted = wanted_image(kit.world, image)
    found = find(kit)
    refused = preflight.refusals(_facts(kit, settings, wanted, found, by_name=image != "latest"), settings)
    first = found.observation.group.desired == 0
    return refused, forecast.make(_plan(found, settings), settings, found.entries, first=first)
