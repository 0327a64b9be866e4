"""Which images go, which stay, and what a recall says: pure decisions, without AWS."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkop.commands import images as command
from checkop.errors import CheckopError
from checkop.images import catalog, recall
from checkop.images.catalog import PRUNE_TAG, Ami
from checkop.images.prune import plan

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def ami(number: int, *, verified: bool = True, due: timedelta | None = None, recalled: str = "") -> Ami:
    """An image made `number` days ago."""
    made = NOW - timedelta(days=number)
    tags = {"checkop:application-version": f"1.0.{number}"}
    if verified:
        tags["checkop:verified"] = made.isoformat()
    if recalled:
        tags["checkop:recalled"] = recalled
    if due is not None:
        tags[PRUNE_TAG] = (NOW + due).isoformat()
    return Ami(f"ami-{number}", f"base-chop-1.0.{number}", "available", made, (f"snap-{number}",), 50, tags)


def verbs(amis: list[Ami], reasons: dict[str, list[str]], keep: int = 2) -> dict[str, str]:
    return {action.ami.image_id: action.verb for action in plan(amis, reasons, keep=keep, now=NOW)}


def test_the_newest_verified_and_everything_reached_stay() -> None:
    amis = [ami(1), ami(2), ami(3), ami(4), ami(5, verified=False)]
    assert verbs(amis, {"ami-4": ["instance i-1"]}) == {
        "ami-1": "keep",
        "ami-2": "keep",
        "ami-3": "deprecate",
        "ami-4": "keep",
        "ami-5": "deprecate",
    }


def test_a_marked_image_waits_for_its_day_and_then_goes() -> None:
    amis = [ami(1), ami(2), ami(3, due=timedelta(days=1)), ami(4, due=timedelta(days=-1))]
    assert verbs(amis, {}) == {"ami-1": "keep", "ami-2": "keep", "ami-3": "wait", "ami-4": "remove"}


def test_a_marked_image_that_is_reached_again_is_restored() -> None:
    assert verbs([ami(9, due=timedelta(days=-1))], {"ami-9": ["release 0001"]}, keep=0) == {"ami-9": "restore"}


def test_a_recalled_image_is_not_one_of_the_newest_but_stays_while_it_runs() -> None:
    amis = [ami(1, recalled="bad"), ami(2), ami(3)]
    assert verbs(amis, {})["ami-1"] == "deprecate"
    assert verbs(amis, {"ami-1": ["instance i-1"]})["ami-1"] == "keep"


@given(
    numbers=st.lists(st.integers(1, 200), unique=True, max_size=12),
    reached=st.sets(st.integers(1, 200)),
    keep=st.integers(0, 5),
    due=st.one_of(st.none(), st.integers(-10, 10)),
)
def test_nothing_that_is_reached_is_ever_on_its_way_out(
    numbers: list[int], reached: set[int], keep: int, due: int | None
) -> None:
    amis = [ami(number, due=None if due is None else timedelta(days=due)) for number in numbers]
    reasons = {f"ami-{number}": ["instance i-1"] for number in reached}
    actions = plan(amis, reasons, keep=keep, now=NOW)
    assert len(actions) == len(amis)
    for action in actions:
        if action.ami.image_id in reasons:
            assert action.verb in {"keep", "restore"}
    assert sum(action.verb in {"keep", "restore"} for action in actions) >= min(keep, len(amis))


def test_the_list_names_state_age_and_cost() -> None:
    rows = [
        command.as_row(ami(1), ["SSM image/in_service", "release 0002"], NOW),
        command.as_row(ami(2), ["release 0001"], NOW),
        command.as_row(ami(3, recalled="bad"), [], NOW),
        command.as_row(ami(4, verified=False), [], NOW),
        command.as_row(ami(5, due=timedelta(days=1)), [], NOW),
        command.as_row(ami(6), [], NOW),
    ]
    assert [row["state"] for row in rows] == ["in service", "way back", "recalled", "unverified", "going", "verified"]
    assert rows[0]["age_days"] == 1.0
    assert rows[0]["usd_a_month"] == 2.5
    lines = command.table(rows)
    assert "SSM image/in_service and 1 more" in lines[1]
    assert lines[-1] == "6 images, 15.00 USD a month at most"
    assert "checkop bake" in command.table([])[0]


def test_the_newest_verified_image_is_one_that_can_be_used() -> None:
    pending = Ami("ami-0", "x", "pending", NOW, (), 50, {"checkop:verified": NOW.isoformat()})
    amis = [pending, ami(1, recalled="bad"), ami(2), ami(3), ami(4, verified=False)]
    found = catalog.newest_verified(amis)
    assert found is not None
    assert found.image_id == "ami-2"
    assert catalog.newest_verified([ami(4, verified=False)]) is None


@pytest.mark.parametrize("reason", ["", "  ", "x" * 257])
def test_a_recall_needs_a_reason_that_fits_a_tag(reason: str) -> None:
    with pytest.raises(CheckopError, match="--reason"):
        recall.check_reason(reason)
