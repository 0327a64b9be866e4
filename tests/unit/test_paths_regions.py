"""Regions are split without loss and without overlap, whatever the rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from checkop.paths.regions import Region, common_spans, decide, port_spans, subtract

SIDE = 6
POINTS = [(address, port) for address in range(SIDE) for port in range(SIDE)]


@st.composite
def regions(draw: st.DrawFn) -> Region:
    low, first = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
    return Region(low, draw(st.integers(low, SIDE - 1)), first, draw(st.integers(first, SIDE - 1)))


def holds(region: Region, point: tuple[int, int]) -> bool:
    address, port = point
    return region.low <= address <= region.high and region.first <= port <= region.last


@given(regions(), st.lists(regions(), max_size=5))
def test_decide_gives_every_point_to_the_first_rule_that_holds_it(asked: Region, rules: list[Region]) -> None:
    decisions = decide([asked], [(rule, index) for index, rule in enumerate(rules)])
    for point in POINTS:
        deciders = [decision.rule for decision in decisions if holds(decision.region, point)]
        if not holds(asked, point):
            assert deciders == []
            continue
        expected = next((index for index, rule in enumerate(rules) if holds(rule, point)), None)
        assert deciders == [expected]


@given(regions(), st.lists(regions(), max_size=4))
def test_subtract_leaves_exactly_what_no_other_holds(whole: Region, others: list[Region]) -> None:
    left = subtract([whole], others)
    for point in POINTS:
        expected = holds(whole, point) and not any(holds(other, point) for other in others)
        assert sum(holds(one, point) for one in left) == int(expected)


@given(st.lists(regions(), max_size=5), st.lists(regions(), max_size=5))
def test_common_spans_are_the_ports_of_both(one: list[Region], other: list[Region]) -> None:
    common = common_spans(port_spans(one), port_spans(other))
    for port in range(SIDE):
        expected = all(any(region.first <= port <= region.last for region in side) for side in (one, other))
        assert any(first <= port <= last for first, last in common) == expected
