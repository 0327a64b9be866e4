"""How large the fleet is to be: the inventory's limits, a peak's, or those that the first rollout will give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkop.resources.group_sizes import Sizes, wanted_sizes

BASE = Sizes(2, 2, 4)
PEAKS = [Sizes(4, 4, 4), Sizes(2, 2, 4)]


@pytest.mark.parametrize(
    ("current", "remembered", "in_service", "expected"),
    [
        pytest.param(Sizes(2, 2, 4), "2-4", True, Sizes(2, 2, 4), id="as it should be"),
        pytest.param(Sizes(2, 3, 4), "2-4", True, Sizes(2, 3, 4), id="scaled out"),
        pytest.param(Sizes(4, 4, 4), "2-4", True, Sizes(4, 4, 4), id="at a known peak"),
        pytest.param(Sizes(4, 4, 4), "1-3", True, Sizes(2, 4, 4), id="at a peak, but the inventory has changed since"),
        pytest.param(Sizes(1, 1, 8), "2-4", True, Sizes(2, 2, 4), id="changed by hand"),
        pytest.param(Sizes(0, 0, 4), "2-4", True, Sizes(2, 2, 4), id="still empty though an image is in service"),
        pytest.param(Sizes(2, 9, 9), "2-4", True, Sizes(2, 4, 4), id="more than the maximum"),
        pytest.param(Sizes(2, 2, 4), "", True, Sizes(2, 2, 4), id="no memory"),
        pytest.param(Sizes(0, 0, 4), "2-4", False, Sizes(0, 0, 4), id="before the first image"),
        pytest.param(Sizes(2, 2, 4), "2-4", False, Sizes(2, 2, 4), id="while the first rollout is under way"),
        pytest.param(Sizes(0, 0, 9), "2-4", False, Sizes(0, 0, 4), id="before the first image, with another maximum"),
    ],
)
def test_sizes(current: Sizes, remembered: str, in_service: bool, expected: Sizes) -> None:
    assert wanted_sizes(current, remembered, BASE, PEAKS, in_service=in_service) == expected


@given(st.tuples(*[st.integers(0, 10)] * 3), st.sampled_from(["2-4", "1-3", ""]))
def test_a_fleet_in_service_ends_within_limits_and_a_second_look_changes_nothing(
    numbers: tuple[int, int, int], remembered: str
) -> None:
    low, middle, high = sorted(numbers)
    wanted = wanted_sizes(Sizes(low, middle, high), remembered, BASE, PEAKS, in_service=True)
    assert wanted.span in {BASE.span, *(peak.span for peak in PEAKS)}
    assert wanted.minimum <= wanted.desired <= wanted.maximum
    assert wanted_sizes(wanted, str(BASE), BASE, PEAKS, in_service=True) == wanted
