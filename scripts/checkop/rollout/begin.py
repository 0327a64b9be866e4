"""Between an operator's wish and a release under way: whose turn it is, what is attached to, what the ledger gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from checkop import ledger as ledgers
from checkop.errors import CheckopError
from checkop.ledger import Entry, timestamp
from checkop.rollout.blue_green import BlueGreen
from checkop.rollout.engine import Roll
from checkop.rollout.rolling import Rolling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checkop.rollout.kit import Tools
    from checkop.rollout.lock import Holder
    from checkop.rollout.model import Image, Observation, TemplateVersion
    from checkop.rollout.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """How an operation ended: what changed, whether it failed, what to say, and the release if there is one."""

    changed: bool
    message: str
    entry: Entry | None = None
    forecast: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True)
class Found:
    """What an operation starts from.

    `current` is the launch template version in service, `wanted` the default one, which has the inventory's settings;
    None: it has gone.
    """

    observation: Observation
    current: TemplateVersion | None
    wanted: TemplateVersion | None
    entries: list[Entry]

    def taken_back(self, image: str, versions: Sequence[TemplateVersion]) -> str:
        """Say how an image was taken back, or return empty: by the ledger, or by AWS alone when its operator was gone.

        AWS keeps a refresh for six weeks (DescribeInstanceRefreshes); `versions` are those of the launch template.
        """
        entry = ledgers.taken_back(self.entries).get(image)
        if entry is not None and entry.operation == "rollback":
            return f"release {entry.release} brought {entry.image} back in its place"
        if entry is not None:
            return f"release {entry.release} of it {entry.result.replace('_', ' ')}: {entry.reason}"
        numbers = {version.number for version in versions if version.image_id == image}
        refresh = next((each for each in self.observation.refreshes if each.template_version in numbers), None)
        if refresh is None or not refresh.status.startswith("Rollback"):
            return ""
        good = [each.finished for each in self.entries if each.image == image and each.result == "succeeded"]
        if refresh.start and any(datetime.fromisoformat(finished) > refresh.start for finished in good):
            return ""
        return f"AWS rolled it back (refresh {refresh.refresh_id}, {refresh.status}: {refresh.reason or 'no reason'})"

    def in_service(self, image: str) -> bool:
        """Whether an image, with the inventory's settings, is what the whole fleet runs."""
        current, wanted = self.current, self.wanted
        if current is None or current.image_id != image:
            return False
        return self.runs(current.number) and (wanted is None or wanted.settings == current.settings)

    def runs(self, version: int | None) -> bool:
        """Whether a launch template version is what the whole fleet runs, and nothing is under way."""
        group = self.observation.group
        return (
            group.desired > 0
            and group.template_version == str(version)
            and self.observation.active_refresh is None
            and all(each.template_version == version for each in group.instances if each.in_service)
        )


def find(kit: Tools) -> Found:
    """Look at the fleet and the ledger."""
    observation = kit.world.observe()
    group = observation.group
    current = kit.world.template_version(group.template_id, group.template_version)
    return Found(observation, current, kit.world.template_version(group.template_id, "$Default"), kit.ledger.entries())


def attach(kit: Tools, holder: Holder, *, check: bool) -> Entry | None:
    """Return the open release of a lock whose holder is dead, taken over; None when there is nothing to go on with.

    Raises
    ------
    CheckopError
        The holder is alive: says who rolls what since when. Or this is a check, which takes nothing over.
    """
    now = kit.clock.now()
    if holder.alive(kit.lock.session, now):
        raise CheckopError(f"Under way already: {holder.sentence()}. Watch it there, or ask them; nothing was changed.")
    if holder.operation == "replace":
        raise CheckopError(
            f"Interrupted and not finished: {holder.sentence()}. Finish it first: ansible-playbook "
            f"playbooks/replace.yml -e instance={holder.image}"
        )
    if check:
        raise CheckopError(f"Interrupted and not finished: {holder.sentence()}. Run without --check to finish it.")
    entry = kit.ledger.get(holder.release)
    if not kit.lock.take_over(holder, now):
        raise CheckopError(f"Another operator took over at this very moment. Under way: {holder.sentence()}.")
    if entry is not None and entry.open:
        kit.tell(f"attaching to {holder.sentence()}")
        return entry
    # Killed before the ledger knew of it, or after its last word there: nothing is under way but the lock.
    kit.tell(f"taking the lock from {holder.user}@{holder.host}, who is gone")
    kit.lock.give_back()
    return None


def idle(kit: Tools) -> None:
    """Insist that nothing is under way.

    Raises
    ------
    CheckopError
        Something is; says who does what since when, and how it ends.
    """
    holder = kit.lock.read()
    if holder is None:
        return
    if holder.alive(kit.lock.session, kit.clock.now()):
        raise CheckopError(f"Under way already: {holder.sentence()}. Wait for its end; nothing was changed.")
    how = (
        f"replace.yml -e instance={holder.image}" if holder.operation == "replace" else "rollout.yml (or rollback.yml)"
    )
    raise CheckopError(
        f"Interrupted and not finished: {holder.sentence()}. Finish it first: ansible-playbook playbooks/{how}."
    )


def take_lock(kit: Tools, release: str, operation: str, image: str, **before: Any) -> None:
    """Take the lock (as `Lock.take`).

    Raises
    ------
    CheckopError
        Somebody else was faster.
    """
    if kit.lock.take(release, operation, image, kit.clock.now(), **before):
        return
    other = kit.lock.read()
    raise CheckopError(
        f"Somebody was faster: {other.sentence() if other else 'the lock is taken'}. Nothing was changed."
    )


def new_entry(
    kit: Tools, operation: Literal["rollout", "rollback"], wanted: str, image: Image | None, found: Found
) -> Entry:
    """Take the lock for the next release and return its entry, with what it starts from."""
    release = ledgers.next_release(found.entries)
    take_lock(kit, release, operation, wanted)
    before = ledgers.in_service(found.entries)
    refreshes = found.observation.refreshes
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
        previous_image=found.current.image_id if found.current else "",
        previous_template_version=found.current.number if found.current else None,
        refresh_before=refreshes[0].refresh_id if refreshes else "",
    )


def follow(kit: Tools, settings: Settings, entry: Entry, *, resumed: bool) -> Outcome:
    """Carry a release to its end and say how it ended."""
    settings = replace(settings, pause="manual" if entry.pause == "manual" else "automatic")
    strategy = BlueGreen(kit.world, settings) if entry.strategy == "blue_green" else Rolling()
    ended = Roll(kit, settings, entry, strategy, resumed=resumed).run()
    told = {
        "succeeded": f"release {ended.release}: image {ended.image} is in service, {ended.reason}",
        "rolled_back": f"release {ended.release} was taken back, {ended.previous_image} is in service: {ended.reason}",
        "aborted": f"release {ended.release} was not begun: {ended.reason}",
    }
    message = told.get(ended.result, f"release {ended.release} failed: {ended.reason}. See docs/when-it-goes-wrong.md")
    return Outcome(True, message + recall_hint(ended), ended, failed=ended.result != "succeeded")


def recall_hint(ended: Entry) -> str:
    """Return how to bar the image that a release which has ended took out of service, or empty."""
    image = ledgers.taken_back([ended])
    return "".join(f". Bar {name} everywhere if it is bad: checkop recall {name} --reason TEXT" for name in image)


def say_forecast(kit: Tools, wanted: str, image: Image | None, lines: tuple[str, ...]) -> None:
    """Show the forecast."""
    name = f" ({image.name}, application {image.application_version or 'unknown'})" if image else ""
    kit.tell(f"forecast for {wanted}{name}:")
    for line in lines:
        kit.tell(f"  {line}")
