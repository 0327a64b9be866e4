"""The rehearsal that the tests of this folder look at, and whose service they let things go wrong in: run once."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.rehearsal import OUTPUT, exported, own_environment
from tests.rehearsal.service import Service

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def summary() -> Iterator[dict[str, Any]]:
    """Rehearse as `make rehearse` does, with the lab kept for the tests, and return what it wrote."""
    base = own_environment()
    try:
        ended = subprocess.run([sys.executable, "-m", "lab.rehearsal", "--keep"], cwd=ROOT, check=False)
        written = json.loads((ROOT / OUTPUT / "summary.json").read_text(encoding="utf-8"))
        assert ended.returncode == 0, written.get("error", written)
        yield written
    finally:
        subprocess.run(["lab", "down"], cwd=ROOT, env=base, check=True)
    asked = subprocess.run(["lab", "status"], cwd=ROOT, env=base, check=False, capture_output=True, text=True)
    assert asked.returncode == 1
    assert "No lab runs" in asked.stderr


@pytest.fixture(scope="session")
def environment(summary: dict[str, Any]) -> dict[str, str]:
    """What `lab env` exports for the rehearsal's lab."""
    return exported(own_environment())


@pytest.fixture(scope="session")
def service(environment: dict[str, str]) -> Iterator[Service]:
    """The rehearsal's service, with both of its releases at hand."""
    # A process that is killed leaves its temporary files behind; they go with the folder. Sockets want short names.
    with tempfile.TemporaryDirectory(prefix="op-") as folder:
        yield Service({**environment, "TMPDIR": folder})
