"""Sets of packets as rectangles: an interval of addresses times an interval of ports, both ends included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Iterable, Sequence

    from checkop.paths.model import Ports

T = TypeVar("T")


@dataclass(frozen=True)
class Region:
    """Addresses `low` to `high` (as integers) times ports `first` to `last`."""

    low: int
    high: int
    first: int
    last: int

    def meet(self, other: Region) -> Region | None:
        """Give what both have in common, or None."""
        region = Region(
            max(self.low, other.low),
            min(self.high, other.high),
            max(self.first, other.first),
            min(self.last, other.last),
        )
        return region if region.low <= region.high and region.first <= region.last else None

    def without(self, other: Region) -> list[Region]:
        """Give what is left without the other, as regions that do not overlap."""
        common = self.meet(other)
        if common is None:
            return [self]
        pieces = [
            Region(self.low, common.low - 1, self.first, self.last),
            Region(common.high + 1, self.high, self.first, self.last),
            Region(common.low, common.high, self.first, common.first - 1),
            Region(common.low, common.high, common.last + 1, self.last),
        ]
        return [piece for piece in pieces if piece.low <= piece.high and piece.first <= piece.last]


def region(block: ipaddress.IPv4Network, ports: Ports) -> Region:
    """Give the region of a CIDR block and a range of ports."""
    return Region(int(block.network_address), int(block.broadcast_address), ports.low, ports.high)


def subtract(regions: Iterable[Region], others: Iterable[Region]) -> list[Region]:
    """Give what is left of regions without others."""
    left = list(regions)
    for other in others:
        left = [piece for one in left for piece in one.without(other)]
    return left


@dataclass(frozen=True)
class Decision(Generic[T]):
    """A region and the rule that decides about it; None: no rule matches."""

    region: Region
    rule: T | None


def decide(asked: Iterable[Region], rules: Sequence[tuple[Region, T]]) -> list[Decision[T]]:
    """Split regions by the first rule that matches each part, as a network ACL is evaluated.

    Parameters
    ----------
    asked:
        Regions that do not overlap.
    rules:
        Rules with the region that each matches, in the order of evaluation.
    """
    decisions: list[Decision[T]] = []
    left = list(asked)
    for matched, rule in rules:
        remaining: list[Region] = []
        for one in left:
            common = one.meet(matched)
            if common is None:
                remaining.append(one)
                continue
            decisions.append(Decision(common, rule))
            remaining += one.without(matched)
        left = remaining
    return decisions + [Decision(one, None) for one in left]


def port_spans(regions: Iterable[Region]) -> list[tuple[int, int]]:
    """Give the ports that occur in any region, as sorted spans that do not touch."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted((one.first, one.last) for one in regions):
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], last))
        else:
            spans.append((first, last))
    return spans


def common_spans(one: Iterable[tuple[int, int]], other: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the ports that occur in both."""
    others = list(other)
    met = [(max(a, c), min(b, d)) for a, b in one for c, d in others]
    return sorted((first, last) for first, last in met if first <= last)
