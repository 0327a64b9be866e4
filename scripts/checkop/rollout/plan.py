"""How an instance refresh will go: how many instances at a time, in how many steps, and what could go empty.

Follows "Instance maintenance policies" and "How an instance refresh works" of the Amazon EC2 Auto Scaling User Guide:
the minimum is rounded up; with a maximum above 100 new instances are launched before old ones end; where the
percentages leave no room, one instance at a time is still replaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Step:
    """One batch: so many instances replaced at once, reaching `percent` of the group."""

    instances: int
    percent: int
    checkpoint: bool


@dataclass(frozen=True)
class Plan:
    """The steps of a refresh.

    `removable` is the largest number of instances that can be out at the same moment.
    """

    steps: tuple[Step, ...]
    at_once: int
    removable: int


def headroom(desired: int, max_healthy_percent: int) -> int:
    """Return how many instances may run above the desired number."""
    return desired * max_healthy_percent // 100 - desired


def make(
    desired: int, to_replace: int, min_healthy_percent: int, max_healthy_percent: int, checkpoints: Sequence[int]
) -> Plan:
    """Lay out a refresh.

    Parameters
    ----------
    desired:
        The group's desired capacity.
    to_replace:
        Instances that do not match the desired configuration yet.
    min_healthy_percent, max_healthy_percent:
        Of the desired capacity, 0-100 and 100-200.
    checkpoints:
        Rising percentages of replaced instances, the last one 100; empty: none.
    """
    spare = headroom(desired, max_healthy_percent)
    may_go = desired - math.ceil(desired * min_healthy_percent / 100)
    removable = may_go if spare > 0 else max(1, may_go)
    at_once = max(1, spare, may_go)
    steps: list[Step] = []
    replaced = desired - to_replace
    for mark in [*checkpoints, *([] if checkpoints else [100])]:
        goal = math.ceil(desired * mark / 100)
        while replaced < goal:
            batch = min(at_once, goal - replaced)
            replaced += batch
            steps.append(Step(batch, replaced * 100 // desired, replaced >= goal and bool(checkpoints)))
    return Plan(tuple(steps), at_once, min(removable, desired) if to_replace else 0)


def empties_zone(removable: int, by_zone: Mapping[str, int]) -> str | None:
    """Return a zone that could lose its last instance when `removable` are out at once, or None."""
    return next((zone for zone, count in sorted(by_zone.items()) if 0 < count <= removable), None)
