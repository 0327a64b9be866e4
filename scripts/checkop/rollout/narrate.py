"""What a fleet is doing, in words for the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checkop.rollout.model import Instance, Observation, Refresh

ALL = 100
# So many names are read.
NAMES = 5


def describe(observation: Observation, version: int | None) -> str:
    """Say what the fleet is waiting for, in a line; with a launch template version, how many instances have it."""
    group = observation.group
    states = {target.instance_id: target for target in observation.targets}
    waits: list[str] = []
    for each in sorted(group.instances, key=lambda item: item.instance_id):
        target = states.get(each.instance_id)
        name = f"{each.instance_id} in {each.zone}"
        if each.lifecycle_state.startswith("Pending"):
            waits.append(f"{name} boots")
        elif each.lifecycle_state.startswith("Terminating"):
            draining = target is not None and target.state == "draining"
            waits.append(f"{name} {'finishes open requests' if draining else 'ends'}")
        elif each.in_service and target is not None and target.state != "healthy":
            waits.append(
                f"{name} is {target.state} behind the balancer{f' ({target.reason})' if target.reason else ''}"
            )
    good = observation.healthy_ids()
    new = sum(1 for each in group.instances if each.template_version == version and each.instance_id in good)
    healthy = sum(observation.healthy_by_zone().values())
    head = f"{healthy} of {group.desired} healthy" + (f", {new} of them new" if version is not None else "")
    return f"{head}; waiting: {'; '.join(waits)}" if waits else f"{head}; waiting for Auto Scaling's next step"


def held(observation: Observation, refresh: Refresh) -> bool:
    """Whether a refresh rests at a checkpoint: one is reached, and no instance comes or goes."""
    reached = bool(refresh.checkpoints) and refresh.checkpoints[0] <= refresh.percentage < ALL
    return reached and not moving(observation)


def moving(observation: Observation) -> bool:
    """Whether an instance comes or goes."""
    return any(each.lifecycle_state.startswith(("Pending", "Terminating")) for each in observation.group.instances)


def rebalancing(observation: Observation) -> str:
    """Say which zones are empty although the fleet is full."""
    zones = ", ".join(observation.empty_zones())
    return f"all are healthy, but {zones} has none: waiting for Auto Scaling to balance the zones"


def foreign(strangers: Sequence[Instance], version: int | None) -> str:
    """Say which instances run another launch template version than they should."""
    names = ", ".join(f"{each.instance_id} (version {each.template_version})" for each in strangers[:NAMES])
    names += f" and {len(strangers) - NAMES} more" if len(strangers) > NAMES else ""
    return f"{names} in service instead of launch template version {version}"


def mend(strangers: Sequence[Instance]) -> str:
    """Say how instances of another launch template version are got rid of."""
    return f"replace each of them, first: ansible-playbook playbooks/replace.yml -e instance={strangers[0].instance_id}"


def zones_remark(observation: Observation) -> str:
    """Say over which zones the instances are, as the end of a sentence."""
    empty = observation.empty_zones()
    return f", but none in {', '.join(empty)}: see docs/when-it-goes-wrong.md" if empty else " over every zone"
