"""What must be true before anything is changed. Pure: every refusal is a sentence with the reason and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from checkop.rollout import plan

if TYPE_CHECKING:
    from checkop.rollout.model import Group, Image, Observation, TemplateVersion
    from checkop.rollout.settings import Settings

# Processes of a group (SuspendProcesses) without which instances are not replaced.
NEEDED_PROCESSES = frozenset({"Launch", "Terminate", "HealthCheck", "AddToLoadBalancer", "InstanceRefresh"})


@dataclass(frozen=True)
class Facts:
    """What a preflight looks at.

    `image` is None when the AMI does not exist in this account and region; `template` is the launch template version
    that the new one is made from, or None when it has gone.
    """

    wanted_image: str
    image: Image | None
    template: TemplateVersion | None
    # Architectures that the fleet's instance type runs.
    architectures: tuple[str, ...]
    region: str
    observation: Observation
    balancer_state: str
    missing_alarms: tuple[str, ...]
    # What a blue/green release that was not cleaned up has left.
    leftovers: tuple[str, ...]
    today: date
    # How the image was taken back, if it was and nobody named it.
    taken_back: str = ""


def refusals(facts: Facts, settings: Settings) -> list[str]:
    """Return every reason not to roll; empty: go.

    Parameters
    ----------
    facts:
        The state found.
    settings:
        What is asked for.
    """
    found = frozen(settings, facts.today)
    found += _image(facts)
    found += fleet(facts.observation, facts.balancer_state)
    found += alarms(facts)
    found += percentages(facts.observation, settings)
    found += second_group(facts, settings)
    return found


def frozen(settings: Settings, today: date) -> list[str]:
    """Return the change freeze, if one is on. Its last day counts as frozen."""
    if not settings.freeze:
        return []
    until = str(settings.freeze.get("until", ""))
    reason = settings.freeze.get("reason") or "no reason given"
    if until:
        try:
            end = date.fromisoformat(until)
        except ValueError:
            return [
                f"rollout_freeze.until is {until!r}, which is no date; write it as 2026-12-31 or empty rollout_freeze."
            ]
        if end < today:
            return []
    return [
        f"The fleet is frozen until {until or 'further notice'}: {reason}. Wait, or empty rollout_freeze in the "
        "inventory when the freeze is lifted."
    ]


def _image(facts: Facts) -> list[str]:
    image = facts.image
    if image is None:
        return [
            f"Image {facts.wanted_image} does not exist in this account in {facts.region}. An AMI is valid in its own "
            "region only: copy it here, or take one that `checkop images` lists."
        ]
    found: list[str] = []
    if image.state != "available":
        found.append(
            f"Image {image.image_id} ({image.name}) is {image.state}; wait until it is available, or bake again."
        )
    if facts.taken_back and not image.recalled:
        found.append(
            f"Image {image.image_id} ({image.name}) is the newest verified one, but {facts.taken_back}. Roll it out by "
            f"name with -e image={image.image_id}, or bar it (checkop recall {image.image_id} --reason TEXT), which "
            "makes the newest good image the default."
        )
    if image.recalled:
        found.append(
            f"Image {image.image_id} ({image.name}) was recalled: {image.recalled}. Roll out another one; `checkop "
            "images` shows which are good."
        )
    if not image.verified:
        found.append(
            f"Image {image.image_id} ({image.name}) has not passed its gates (no tag checkop:verified). Run the gates "
            "with `checkop bake`, or take a verified one from `checkop images`."
        )
    if facts.architectures and image.architecture not in facts.architectures:
        found.append(
            f"Image {image.image_id} is {image.architecture}, but the fleet's instance type "
            f"{facts.template.instance_type if facts.template else ''} runs {', '.join(facts.architectures)}. Bake for "
            "that architecture, or change fleet_instance_type."
        )
    return found


def fleet(observation: Observation, balancer_state: str) -> list[str]:
    """Return what is wrong with the group or the balancer before anything is changed."""
    group = observation.group
    found: list[str] = []
    if balancer_state != "active":
        found.append(
            f"The balancer is {balancer_state}, not active. See why with playbooks/balancer.yml --check --diff."
        )
    active = observation.active_refresh
    if active is not None:
        since = f"since {active.start:%H:%M:%S} UTC" if active.start is not None else "not begun yet"
        found.append(
            f"Group {group.name} is being refreshed already ({active.refresh_id}, {active.status}, {active.percentage} "
            f"%, {since}), and not by this toolkit. Wait for it, or take it back: aws "
            f"autoscaling rollback-instance-refresh --auto-scaling-group-name {group.name}"
        )
    found += suspended(group)
    protected = [instance.instance_id for instance in group.instances if instance.protected]
    if protected:
        found.append(
            f"{', '.join(protected)} of {group.name} is protected from scale in and would never be replaced. Remove "
            "the protection (set-instance-protection --no-protected-from-scale-in) when its work is done."
        )
    if group.desired and active is None and not observation.strong():
        by_zone = ", ".join(f"{count} in {zone}" for zone, count in sorted(observation.healthy_by_zone().items()))
        sick = [
            f"{target.instance_id} {target.state} {target.reason}".strip()
            for target in observation.targets
            if target.state not in {"healthy", "draining"}
        ]
        found.append(
            f"Group {group.name} is not at full strength: {group.desired} wanted, healthy behind the balancer "
            f"{by_zone}{' (' + '; '.join(sick) + ')' if sick else ''}. Mend it first: docs/when-it-goes-wrong.md."
        )
    return found


def suspended(group: Group) -> list[str]:
    """Return processes of the group without which nothing would be replaced."""
    blocking = sorted(NEEDED_PROCESSES & set(group.suspended))
    if not blocking:
        return []
    return [
        f"Group {group.name} has suspended processes ({', '.join(blocking)}), so nothing would be replaced. Resume "
        f"them: aws autoscaling resume-processes --auto-scaling-group-name {group.name}"
    ]


def alarms(facts: Facts) -> list[str]:
    """Return watched alarms that ring or do not exist; one without data yet does neither.

    The balancer in front of an empty group answers 503 to whoever asks, which rings by itself: before a first release
    that says nothing.
    """
    ringing = facts.observation.ringing() if facts.observation.group.desired else []
    found = [
        f"Alarm {alarm.name} is in ALARM: {alarm.reason or 'no reason given'}. Find its cause first; an image rolled "
        "out now would be rolled back at once."
        for alarm in ringing
    ]
    if facts.missing_alarms:
        found.append(
            f"monitoring_rollout_alarms names {', '.join(facts.missing_alarms)}, which CloudWatch does not have; "
            "nothing would watch. Run playbooks/monitoring.yml."
        )
    return found


def second_group(facts: Facts, settings: Settings) -> list[str]:
    """Return what stands in the way of a second group beside the first."""
    found = [
        f"{name} is left from a blue/green release. See who needs it, then delete it (docs/when-it-goes-wrong.md)."
        for name in facts.leftovers
    ]
    group = facts.observation.group
    if settings.strategy == "blue_green" and 2 * group.desired > group.max_size:
        found.append(
            f"Blue/green runs {2 * group.desired} instances at once, but addresses and quotas are laid out for "
            f"fleet_max_size {group.max_size}. Scale in first (playbooks/scale.yml), or roll with strategy=rolling."
        )
    return found


def percentages(observation: Observation, settings: Settings) -> list[str]:
    """Return what the percentages would do to a zone."""
    group = observation.group
    if not group.desired or settings.strategy == "blue_green":
        return []
    low, high = settings.min_healthy_percent, settings.max_healthy_percent
    room = (
        f"Set rollout_min_healthy_percent to 100 and rollout_max_healthy_percent to at least {one_more(group.desired)}."
    )
    at_max = f" ({group.name} is at its maximum of {group.max_size})" if group.desired >= group.max_size else ""
    if low == high == 100:  # noqa: PLR2004 - neither one fewer nor one more
        return [
            f"With {group.desired} instances{at_max}, rollout_min_healthy_percent and rollout_max_healthy_percent of "
            f"100 leave no room: none may go first, and none may come first. {room}"
        ]
    layout = plan.make(group.desired, group.desired, low, high, settings.checkpoints)
    zone = plan.empties_zone(layout.removable, group.by_zone())
    if zone is None:
        return []
    return [
        f"With {group.desired} instances{at_max}, rollout_min_healthy_percent {low} and rollout_max_healthy_percent "
        f"{high} take {layout.removable} out before new ones serve, which could empty {zone}. {room}"
    ]


def one_more(desired: int) -> int:
    """Return the MaxHealthyPercentage that lets one instance more than desired run, rounded up."""
    return 100 - (-100 // desired)
