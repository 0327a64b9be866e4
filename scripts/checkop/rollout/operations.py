"""What a playbook or a command asks for: roll out, roll back. Decides between starting, attaching and refusing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from checkop import ledger as ledgers
from checkop.errors import CheckopError
from checkop.ledger import Entry, Ledger, timestamp
from checkop.rollout import checks, forecast, plan, preflight
from checkop.rollout.engine import RealClock, Roll, Tools
from checkop.rollout.lock import Lock, this_session
from checkop.rollout.nodes import balancer_nodes
from checkop.rollout.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from checkop.aws import Clients
    from checkop.rollout.engine import Clock
    from checkop.rollout.lock import Holder
    from checkop.rollout.model import Image, Observation, TemplateVersion
    from checkop.rollout.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """How an operation ended: whether anything changed, what to say, and the release if there was one."""

    changed: bool
    message: str
    entry: Entry | None = None
    forecast: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether what was asked for did not come about."""
        return self.entry is not None and self.entry.result not in {"succeeded", "rolling"}


def tools(clients: Clients, settings: Settings, say: Callable[[str], None], clock: Clock | None = None) -> Tools:
    """Put the real tools together for one fleet."""
    world = World(clients, settings)
    nodes: dict[str, str] = {}

    def ask() -> list[checks.ZoneResult]:
        if not nodes:
            nodes.update(balancer_nodes(clients, settings.balancer, settings.resolve))
        return checks.ask(
            settings.check_host, nodes, settings.check_paths, settings.check_requests, ca_file=settings.ca_file
        )

    return Tools(
        world=world,
        ledger=Ledger(clients.ssm, settings.ssm_prefix),
        lock=Lock(clients.ssm, settings.ssm_prefix, this_session(world.caller())),
        clock=clock or RealClock(),
        say=say,
        ask=ask,
    )


# --- roll out --------------------------------------------------------------------------------------------------------


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
    if holder is not None:
        entry = _attach(kit, holder, check=check)
        if entry is not None:
            if image not in {"latest", entry.image}:
                raise CheckopError(
                    f"Release {entry.release} ({entry.operation} of {entry.image}) is still under way; {image} "
                    "cannot start "
                    "before it ends. Run the playbook without image= to finish it, or playbooks/rollback.yml to take "
                    "it back."
                )
            return _follow(kit, settings, entry, resumed=True)
    entries = kit.ledger.entries()
    wanted = _wanted_image(kit.world, image)
    observation = kit.world.observe()
    facts = _facts(kit, settings, wanted, observation)
    current = facts.current
    if _in_service(observation, current, wanted):
        return Outcome(
            False, f"image {wanted} is in service on all {observation.group.desired} instances: nothing to do"
        )
    found = preflight.refusals(facts, settings)
    if found:
        raise CheckopError("Refused, and nothing was changed:\n  - " + "\n  - ".join(found))
    first = observation.group.desired == 0
    layout = _plan(observation, settings)
    lines = tuple(forecast.table(forecast.make(layout, settings, entries, first=first)))
    _say_forecast(kit, wanted, facts.image, lines)
    if check:
        return Outcome(True, f"would roll out {wanted}", forecast=lines)
    release = _take_lock(kit, holder, ledgers.next_release(entries), "rollout", wanted)
    entry = kit.ledger.put(
        replace(
            _entry(kit, release, "rollout", wanted, facts.image, observation, current, entries),
            strategy=settings.strategy,
            pause=settings.pause,
            first=first,
            instances=settings.desired_size if first else observation.group.desired,
            steps=1 if first else len(layout.steps),
        )
    )
    return replace(_follow(kit, settings, entry, resumed=False), forecast=lines)


def rollback(kit: Tools, settings: Settings, release: str = "", *, check: bool = False) -> Outcome:
    """Bring an earlier release back, as fast as replacing can be; a roll under way is taken back first.

    Parameters
    ----------
    kit:
        Tools of this fleet.
    settings:
        How to roll.
    release:
        Number of the release to bring back; empty: the last good one, or, while a roll is under way, what it replaces.
    check:
        Proof and forecast only.

    Raises
    ------
    CheckopError
        There is nothing to go back to, or its image, snapshots or launch template version are gone.
    """
    aborted = _abort_under_way(kit, settings, check=check)
    if aborted is not None and (not release or check):
        return aborted
    entries = kit.ledger.entries()
    goal = ledgers.find(entries, release) if release else ledgers.last_good(entries)
    if goal is None:
        raise CheckopError(
            "The ledger knows no earlier good release with another image, so there is nothing to go back to. See "
            "`checkop releases`, or roll a good image out."
        )
    if goal.result != "succeeded":
        raise CheckopError(
            f"Release {goal.release} ended as {goal.result} ({goal.reason}); it was never good. Take one that "
            "succeeded "
            "(checkop releases)."
        )
    observation = kit.world.observe()
    image = _prove(kit, observation, goal)
    current = kit.world.template_version(observation.group.template_id, observation.group.template_version)
    if _in_service(observation, current, goal.image):
        return Outcome(
            aborted is not None, f"image {goal.image} of release {goal.release} is in service: nothing to do"
        )
    active = observation.active_refresh
    if active is not None:
        raise CheckopError(
            f"Refresh {active.refresh_id} of {observation.group.name} is under way ({active.status}) and was not "
            "started by this "
            f"toolkit. Take it back first: aws autoscaling rollback-instance-refresh --auto-scaling-group-name "
            f"{observation.group.name}"
        )
    layout = plan.make(observation.group.desired, observation.group.desired, 100, 200, ())
    lines = tuple(forecast.table(forecast.make(layout, settings, entries, fast=True)))
    _say_forecast(kit, goal.image, image, lines)
    if check:
        return Outcome(True, f"would bring release {goal.release} back", forecast=lines)
    number = _take_lock(kit, kit.lock.read(), ledgers.next_release(entries), "rollback", goal.image)
    entry = kit.ledger.put(
        replace(
            _entry(kit, number, "rollback", goal.image, image, observation, current, entries),
            template_version=goal.template_version,
            of_release=goal.release,
            instances=observation.group.desired,
            steps=len(layout.steps),
        )
    )
    return replace(_follow(kit, settings, entry, resumed=False), forecast=lines)


# --- parts -----------------------------------------------------------------------------------------------------------


def _attach(kit: Tools, holder: Holder, *, check: bool) -> Entry | None:
    """Return the open release of a lock whose holder is dead, taken over; None when there is nothing to go on with.

    Raises
    ------
    CheckopError
        The holder is alive: says who rolls what since when.
    """
    now = kit.clock.now()
    if holder.alive(kit.lock.session, now):
        raise CheckopError(f"Under way already: {holder.sentence()}. Watch it there, or ask them; nothing was changed.")
    entry = kit.ledger.get(holder.release)
    if check:
        raise CheckopError(f"Interrupted and not finished: {holder.sentence()}. Run without --check to finish it.")
    if not kit.lock.take_over(holder, now):
        raise CheckopError(f"Another operator took over at this very moment. Under way: {holder.sentence()}.")
    if entry is None:
        kit.tell(f"taking over from {holder.user}@{holder.host}, who got no further than the lock")
        return None
    if not entry.open:
        kit.tell(f"release {entry.release} had ended ({entry.result}) but for its lock, which is given back")
        kit.lock.give_back()
        return None
    kit.tell(f"attaching to {holder.sentence()}")
    return entry


def _take_lock(kit: Tools, holder: Holder | None, release: str, operation: str, image: str) -> str:
    """Take the lock and return the release's number.

    Raises
    ------
    CheckopError
        Somebody else was faster.
    """
    if holder is not None and kit.lock.holds():
        # Taken over from an operator who got no further than the lock.
        kit.lock.give_back()
    if kit.lock.take(release, operation, image, kit.clock.now()):
        return release
    other = kit.lock.read()
    raise CheckopError(
        f"Somebody was faster: {other.sentence() if other else 'the lock is taken'}. Nothing was changed."
    )


def _follow(kit: Tools, settings: Settings, entry: Entry, *, resumed: bool) -> Outcome:
    settings = replace(settings, pause="manual" if entry.pause == "manual" else "automatic")
    ended = Roll(kit, settings, entry, resumed=resumed).run()
    told = {
        "succeeded": f"release {ended.release}: image {ended.image} is in service, {ended.reason}",
        "rolled_back": f"release {ended.release} was taken back, {ended.previous_image} is in service: {ended.reason}",
        "aborted": f"release {ended.release} was not begun: {ended.reason}",
    }
    message = told.get(ended.result, f"release {ended.release} failed: {ended.reason}. See docs/when-it-goes-wrong.md")
    return Outcome(True, message, ended)


def _abort_under_way(kit: Tools, settings: Settings, *, check: bool) -> Outcome | None:
    """Take a rollout under way back, whoever started it; None when there is none."""
    holder = kit.lock.read()
    if holder is None:
        return None
    entry = kit.ledger.get(holder.release)
    if entry is None or not entry.open:
        if not check:
            _attach(kit, holder, check=False)
        return None
    if entry.operation == "rollback":
        resumed = _attach(kit, holder, check=check)
        return _follow(kit, settings, resumed, resumed=True) if resumed else None
    if check:
        return Outcome(True, f"would take back {holder.sentence()}")
    reason = f"taken back by {kit.lock.session.operator}"
    kit.tell(f"taking back {holder.sentence()}")
    alive = holder.alive(kit.lock.session, kit.clock.now())
    # Its ledger entry says so first: whoever watches it, now or later, goes back and not on.
    entry = kit.ledger.put(replace(entry, returning=reason))
    if not alive:
        kit.lock.take_over(holder, kit.clock.now())
        return _follow(kit, settings, entry, resumed=True)
    return _wait_for_other(kit, settings, entry)


def _wait_for_other(kit: Tools, settings: Settings, entry: Entry) -> Outcome:
    """Wait until the living operator's process has taken its roll back."""
    end = kit.clock.seconds() + settings.timeout_seconds
    while kit.clock.seconds() < end:
        found = kit.ledger.get(entry.release)
        if found is not None and not found.open:
            return Outcome(True, f"release {found.release} ended as {found.result}: {found.reason}", found)
        kit.clock.sleep(settings.poll_seconds)
    raise CheckopError(
        f"Release {entry.release} was not taken back within {settings.timeout_seconds} s; see "
        "docs/when-it-goes-wrong.md."
    )


def _wanted_image(world: World, image: str) -> str:
    if image != "latest":
        return image
    found = world.parameter("image/verified")
    if not found:
        raise CheckopError(
            "There is no verified image yet (SSM parameter image/verified). Bake one: docs/bake.md, or name an AMI "
            "with image=."
        )
    return found


def _facts(kit: Tools, settings: Settings, wanted: str, observation: Observation) -> preflight.Facts:
    world = kit.world
    group = observation.group
    current = world.template_version(group.template_id, group.template_version)
    known = {alarm.name for alarm in observation.alarms}
    return preflight.Facts(
        wanted_image=wanted,
        image=world.image(wanted),
        current=current,
        architectures=world.architectures(current.instance_type if current else ""),
        region=world.region,
        observation=observation,
        balancer_state=world.balancer_state(),
        missing_alarms=tuple(name for name in settings.alarms if name not in known),
        today=kit.clock.now().date(),
    )


def _plan(observation: Observation, settings: Settings) -> plan.Plan:
    desired = observation.group.desired
    return plan.make(desired, desired, settings.min_healthy_percent, settings.max_healthy_percent, settings.checkpoints)


def _in_service(observation: Observation, current: TemplateVersion | None, image: str) -> bool:
    group = observation.group
    return (
        current is not None
        and current.image_id == image
        and group.desired > 0
        and observation.active_refresh is None
        and all(each.template_version == current.number for each in group.instances if each.in_service)
    )


def _entry(  # noqa: PLR0917 - gathers what the entry shall remember
    kit: Tools,
    release: str,
    operation: Any,
    wanted: str,
    image: Image | None,
    observation: Observation,
    current: TemplateVersion | None,
    entries: list[Entry],
) -> Entry:
    before = ledgers.in_service(entries)
    return Entry(
        release=release,
        operation=operation,
        image=wanted,
        image_name=image.name if image else "",
        application_version=image.application_version if image else "",
        git_revision=image.git_revision if image else "",
        who=kit.lock.session.who,
        operator=kit.lock.session.operator,
        started=timestamp(kit.clock.now()),
        previous_release=before.release if before else "",
        previous_image=current.image_id if current else "",
        previous_template_version=current.number if current else None,
        refresh_before=observation.refreshes[0].refresh_id if observation.refreshes else "",
    )


def _prove(kit: Tools, observation: Observation, goal: Entry) -> Image:
    """Prove that what a release needs still exists.

    Raises
    ------
    CheckopError
        Its image, a snapshot or its launch template version is gone, or the image was recalled.
    """
    found: list[str] = []
    image = kit.world.image(goal.image)
    if image is None:
        found.append(f"its image {goal.image} is gone")
    else:
        if image.state != "available":
            found.append(f"its image {goal.image} is {image.state}")
        if image.recalled:
            found.append(f"its image {goal.image} was recalled: {image.recalled}")
        gone = kit.world.missing_snapshots(image)
        if gone:
            found.append(f"snapshots {', '.join(gone)} of its image are gone")
    version = kit.world.template_version(observation.group.template_id, str(goal.template_version))
    if version is None or version.image_id != goal.image:
        found.append(f"launch template version {goal.template_version} is gone or names another image")
    if found or image is None:
        raise CheckopError(
            f"Release {goal.release} cannot be brought back: {'; '.join(found)}. Nothing was changed. Take another "
            "one with to= "
            "(checkop releases), or roll a good image out."
        )
    return image


def _say_forecast(kit: Tools, wanted: str, image: Image | None, lines: tuple[str, ...]) -> None:
    name = f"{image.name}, application {image.application_version or 'unknown'}" if image else ""
    kit.tell(f"forecast for {wanted} ({name}):")
    for line in lines:
        kit.tell(f"  {line}")
