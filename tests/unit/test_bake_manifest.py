"""Manifests: what two images differ in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkop.bake import manifest
from checkop.errors import CheckopError

BEFORE = {
    "packages": {"nginx.x86_64": "1:1.20.1-9", "wget.x86_64": "1.14"},
    "files": {"/etc/hosts": "0:0 0644 aaa"},
    "units": ["nginx.service", "postfix.service"],
    "inputs": {"role baseline": "1"},
}
AFTER = {
    "packages": {"nginx.x86_64": "1:1.20.1-10", "chrony.x86_64": "3.4"},
    "files": {"/etc/hosts": "0:0 0644 bbb"},
    "units": ["nginx.service"],
    "inputs": {"role baseline": "1"},
}


def test_every_kind_of_difference_is_told() -> None:
    found = manifest.differences(BEFORE, AFTER)
    assert found["packages"].added == {"chrony.x86_64": "3.4"}
    assert found["packages"].removed == {"wget.x86_64": "1.14"}
    assert found["packages"].changed == {"nginx.x86_64": ("1:1.20.1-9", "1:1.20.1-10")}
    assert found["units"].removed == {"postfix.service": ""}
    assert not found["inputs"]
    assert manifest.lines(found) == [
        "packages: 3 differ",
        "  + chrony.x86_64 3.4",
        "  - wget.x86_64 1.14",
        "  ~ nginx.x86_64 1:1.20.1-9 -> 1:1.20.1-10",
        "files: 1 differ",
        "  ~ /etc/hosts",
        "units: 1 differ",
        "  - postfix.service",
    ]
    assert "inputs" not in manifest.as_json(found)


def test_the_same_is_said_to_be_the_same() -> None:
    assert manifest.lines(manifest.differences(BEFORE, BEFORE)) == [
        "nothing differs in packages, files, units and inputs"
    ]


def test_a_long_list_is_cut_and_says_so() -> None:
    after = {"files": {f"/etc/{number:03}": "x" for number in range(100)}}
    lines = manifest.lines(manifest.differences({}, after))
    assert lines[0] == "files: 100 differ"
    assert lines[-1] == "  ... and 80 more"


def test_what_was_known_after_the_bake_is_added(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(BEFORE), encoding="utf-8")
    made = manifest.complete(tmp_path, {"inputs": {"role baseline": "2"}})
    assert made == {**BEFORE, "inputs": {"role baseline": "2"}}


def test_a_bake_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckopError, match="no manifest"):
        manifest.complete(tmp_path, {})
