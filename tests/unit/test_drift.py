"""The drift report: from what the roles say in check mode to text, JSON and an exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from checkop.drift.comparison import compare
from checkop.drift.report import Report, as_data, as_text, exit_status, lines, merge, read
from checkop.errors import CheckopError


def event(system: str, *diff: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    return {
        "system": system,
        "task": f"Make {system}",
        "status": "ok",
        "changed": bool(diff),
        "diff": [{"before_header": name, "before": before, "after": after} for name, before, after in diff],
        **more,
    }


def test_nothing_to_do_is_equal() -> None:
    report = read([event("Storage"), event("Storage"), event("Database")])
    assert report.equal
    assert exit_status(report) == 0
    assert as_text(report, "inventory/production") == [
        "Storage: equal",
        "Database: equal",
        "AWS equals inventory/production in what was compared: Storage, Database.",
    ]


def test_a_comparison_of_nothing_is_not_equal() -> None:
    assert not read([]).equal


def test_a_tag_that_no_system_carries_is_refused_before_anything_runs() -> None:
    with pytest.raises(CheckopError, match=r"perimetre.*known are network, perimeter.*Write perimeter"):
        compare([Path("inventory/rehearsal")], tags=["storage", "perimetre"])


def test_each_difference_is_told_with_both_sides() -> None:
    report = read(
        [
            event(
                "Storage",
                ("EFS lifecycle of ChOp-Temp", "TransitionToIA: AFTER_7_DAYS\n", "TransitionToIA: AFTER_30_DAYS\n"),
                ("EFS access point", "", "path: /chop-temp\n"),
                ("EFS mount target in us-east-1f", "zone: us-east-1f\n", ""),
            ),
            event("Database"),
        ]
    )
    assert exit_status(report) == 2
    assert as_text(report, "inventory/production") == [
        "Storage:",
        "  EFS lifecycle of ChOp-Temp: differs",
        "    TransitionToIA: AFTER_7_DAYS, inventory: AFTER_30_DAYS",
        "  EFS access point: missing",
        "  EFS mount target in us-east-1f: unexpected",
        "Database: equal",
        "3 resources differ from inventory/production. To make AWS equal it: "
        "ansible-playbook -i inventory/production playbooks/site.yml",
    ]
    data = as_data(report, "inventory/production")
    assert data["systems"] == {"Storage": 3, "Database": 0}
    assert data["differences"][0]["aws"] == {"TransitionToIA": "AFTER_7_DAYS"}
    assert data["differences"][1]["aws"] is None


def test_nested_attributes_are_named_by_their_path() -> None:
    before = {"tags": {"Name": "x", "a": "1"}, "same": 1, "list": [1, 2]}
    after = {"tags": {"Name": "y", "b": "2"}, "same": 1, "list": [2]}
    assert lines(before, after) == [
        "list: [1, 2], inventory: [2]",
        "tags.Name: x, inventory: y",
        "tags.a: 1, inventory: nothing",
        "tags.b: nothing, inventory: 2",
    ]


def test_a_change_without_a_diff_is_not_lost() -> None:
    report = read([{"system": "Hub", "task": "Make the hub", "status": "ok", "changed": True, "diff": None}])
    assert [difference.resource for difference in report.differences] == ["Make the hub"]
    assert exit_status(report) == 2


def test_diffs_of_other_modules_are_read_too() -> None:
    report = read([event("Fleet") | {"changed": True, "diff": {"before": "a: [", "after": "plain text"}}])
    (difference,) = report.differences
    assert (difference.before, difference.after) == ("a: [", "plain text")


def test_a_failure_is_neither_equal_nor_drift() -> None:
    failure = event("Database") | {"status": "failed", "message": "AccessDenied"}
    report = read([event("Storage", ("thing", "", "a: 1\n")), failure])
    assert exit_status(report) == 1
    assert as_text(report, "i")[-1] == "The comparison ended early, in Database: Make Database: AccessDenied"
    assert not Report(error="x").equal


def test_the_diffs_of_a_loop_are_one_list() -> None:
    assert merge([[{"a": 1}], None, {"b": 2}, []]) == [{"a": 1}, {"b": 2}]
