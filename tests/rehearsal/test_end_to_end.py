"""What a rehearsal must have shown, read from its summary and from what is left afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkop import inventory

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.rehearsal


def test_all_went_well(summary):
    assert summary["ok"]


def test_every_system_of_the_document_exists(summary):
    assert len(summary["systems"]) == 12
    assert [name for name, there in summary["systems"].items() if not there] == []


def test_a_second_run_changes_nothing(summary):
    assert summary["site_again_changed"] == 0


def test_no_request_was_lost(summary):
    load = summary["load"]
    assert load["requests"] > 1000
    assert load["failures"] == []
    assert load["failed"] == 0


def test_both_versions_served_and_the_first_again(summary):
    assert set(summary["load"]["versions"]) == {"1.0.0", "1.1.0"}
    # Two zones; the third generation may be given the private addresses of the first, as in AWS.
    assert len(summary["load"]["hosts"]) >= 4


def test_the_ledger_tells_the_story(summary):
    back, second, first = summary["releases"]  # the newest first
    assert [(entry["operation"], entry["result"]) for entry in (first, second, back)] == [
        ("rollout", "succeeded"),
        ("rollout", "succeeded"),
        ("rollback", "succeeded"),
    ]
    assert first["image"] == back["image"] != second["image"]
    assert (first["application_version"], second["application_version"]) == ("1.0.0", "1.1.0")


def test_every_old_instance_completed_its_own_lifecycle_action(summary):
    facts = inventory.load(ROOT / "inventory/rehearsal")
    assert len(summary["drains_seconds"]) == 4
    # Whoever is waited for until the hook's time is over takes longer than that.
    assert max(summary["drains_seconds"]) < facts["fleet_drain_timeout_seconds"]
