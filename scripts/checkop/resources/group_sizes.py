"""The fleet's sizes: the inventory's limits, a known peak's, or those that the first release will give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Sizes:
    """Minimum, desired and maximum number of instances."""

    minimum: int
    desired: int
    maximum: int

    @property
    def span(self) -> tuple[int, int]:
        """Minimum and maximum."""
        return self.minimum, self.maximum

    def __str__(self) -> str:
        """Write the span as the group's tag remembers it."""
        return f"{self.minimum}-{self.maximum}"


def wanted_sizes(current: Sizes, remembered: str, base: Sizes, peaks: Sequence[Sizes], *, in_service: bool) -> Sizes:
    """Decide the sizes of a group that exists.

    Desired stays where scaling has put it, within the limits. Limits that a scheduled action sets stay as well, unless
    the inventory's own have changed since. A group without an image in service keeps its sizes: the first rollout
    gives it others.

    Parameters
    ----------
    remembered:
        The span that the group's tag has, as `Sizes` writes it.
    base, peaks:
        The inventory's sizes, and those that its scheduled actions set.
    """
    if not in_service:
        return Sizes(current.minimum, current.desired, base.maximum)
    known = {base.span, *(peak.span for peak in peaks)}
    span = current.span if remembered == str(base) and current.span in known else base.span
    return Sizes(span[0], min(max(current.desired, span[0]), span[1]), span[1])
