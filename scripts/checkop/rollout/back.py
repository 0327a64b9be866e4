"""Roll back: an earlier release comes into service again, and a rollout under way is taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from checkop import ledger as ledgers
from checkop.errors import CheckopError
from checkop.rollout import forecast, plan, preferences
from checkop.rollout.begin import Found, Outcome, attach, find, follow, new_entry, recall_hint, say_forecast

if TYPE_CHECKING:
    from checkop.ledger import Entry
    from checkop.rollout.kit import Tools
    from checkop.rollout.model import Image
    from checkop.rollout.settings import Settings


def rollback(kit: Tools, settings: Settings, release: str = "", *, check: bool = False) -> Outcome:
    """Bring an earlier release back, as fast as replacing can be; a rollout under way is taken back first.

    Parameters
    ----------
    kit:
        Tools of this fleet.
    settings:
        How to roll.
    release:
        Number of the release to bring back; empty: the last good one, or, while one is under way, what it replaces.
    check:
        Proof and forecast only.

    Raises
    ------
    CheckopError
        There is nothing to go back to, or its image, snapshots or launch template version are gone.
    """
    aborted = _take_back_what_is_under_way(kit, settings, check=check)
    if aborted is not None and (aborted.failed or not release or check):
        return aborted
    found = find(kit)
    goal = _goal(found, release)
    image = _prove(kit, found, goal)
    if found.runs(goal.template_version):
        message = f"release {goal.release} with image {goal.image} is in service: nothing to do"
        return Outcome(aborted is not None, message)
    group, active = found.observation.group, found.observation.active_refresh
    if active is not None:
        raise CheckopError(
            f"Refresh {active.refresh_id} of {group.name} is under way ({active.status}) and was not started by this "
            "toolkit. Take it back first: aws autoscaling rollback-instance-refresh --auto-scaling-group-name "
            f"{group.name}"
        )
    layout = plan.make(group.desired, group.desired, 100, preferences.fast_maximum(group), ())
    lines = tuple(forecast.make(layout, settings, found.entries, fast=True).table())
    say_forecast(kit, goal.image, image, lines)
    if check:
        return Outcome(True, f"would bring release {goal.release} back", forecast=lines)
    entry = kit.ledger.put(
        replace(
            new_entry(kit, "rollback", goal.image, image, found),
            template_version=goal.template_version,
            of_release=goal.release,
            instances=group.desired,
            steps=len(layout.steps),
        )
    )
    return replace(follow(kit, settings, entry, resumed=False), forecast=lines)


def _goal(found: Found, release: str) -> Entry:
    goal = ledgers.find(found.entries, release) if release else ledgers.last_good(found.entries)
    if goal is None:
        raise CheckopError(
            "The ledger knows no earlier good release with another image, so there is nothing to go back to. See "
            "`checkop releases`, or roll a good image out."
        )
    if goal.result != "succeeded":
        raise CheckopError(
            f"Release {goal.release} ended as {goal.result} ({goal.reason}); it was never good. Take one that "
            "succeeded (checkop releases)."
        )
    return goal


def _take_back_what_is_under_way(kit: Tools, settings: Settings, *, check: bool) -> Outcome | None:
    """Take a rollout under way back, whoever began it; None when there is none."""
    holder = kit.lock.read()
    if holder is None:
        return None
    entry = kit.ledger.get(holder.release)
    if entry is None or not entry.open or entry.operation == "rollback":
        resumed = attach(kit, holder, check=check)
        return follow(kit, settings, resumed, resumed=True) if resumed is not None else None
    if check:
        return Outcome(True, f"would take back {holder.sentence()}")
    kit.tell(f"taking back {holder.sentence()}")
    if holder.alive(kit.lock.session, kit.clock.now()):
        word = {"release": entry.release, "word": "abort", "operator": kit.lock.session.operator}
        kit.world.put_parameter("rollout/word", json.dumps(word))
        return _wait_for_other(kit, settings, entry)
    resumed = attach(kit, holder, check=False)
    if resumed is None:
        return None
    # The ledger says so first: whoever follows it, now or later, goes back and not on.
    reason = resumed.returning or f"taken back by {kit.lock.session.operator}"
    return _expected(follow(kit, settings, kit.ledger.put(replace(resumed, returning=reason)), resumed=True))


def _wait_for_other(kit: Tools, settings: Settings, entry: Entry) -> Outcome:
    """Wait until the living operator's process has taken its rollout back."""
    end = kit.clock.seconds() + settings.timeout_seconds
    while kit.clock.seconds() < end:
        found = kit.ledger.get(entry.release)
        if found is not None and not found.open:
            text = f"release {found.release} ended as {found.result}: {found.reason}{recall_hint(found)}"
            return _expected(Outcome(True, text, found))
        kit.clock.sleep(settings.poll_seconds)
    raise CheckopError(
        f"Release {entry.release} was not taken back within {settings.timeout_seconds} s; see "
        "docs/when-it-goes-wrong.md."
    )


def _expected(outcome: Outcome) -> Outcome:
    """Being taken back is what was asked for here."""
    ended = outcome.entry
    return replace(outcome, failed=ended is not None and ended.result not in {"rolled_back", "aborted"})


def _prove(kit: Tools, found: Found, goal: Entry) -> Image:
    """Prove that what a release needs still exists.

    Raises
    ------
    CheckopError
        Its image, a snapshot or its launch template version is gone, or the image was recalled.
    """
    gone: list[str] = []
    image = kit.world.image(goal.image)
    if image is None:
        gone.append(f"its image {goal.image} is gone")
    else:
        if image.state != "available":
            gone.append(f"its image {goal.image} is {image.state}")
        if image.recalled:
            gone.append(f"its image {goal.image} was recalled: {image.recalled}")
        snapshots = kit.world.missing_snapshots(image)
        if snapshots:
            gone.append(f"snapshots {', '.join(snapshots)} of its image are gone")
    template = found.observation.group.template_id
    version = kit.world.template_version(template, str(goal.template_version))
    if version is None or version.image_id != goal.image:
        gone.append(f"launch template version {goal.template_version} is gone or names another image")
    if gone or image is None:
        raise CheckopError(
            f"Release {goal.release} cannot be brought back: {'; '.join(gone)}. Nothing was changed. Take another one "
            "with to= (checkop releases), or roll a good image out."
        )
    return image
