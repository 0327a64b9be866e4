"""The rehearsal that the tests of this folder look at: run once, left for nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def summary() -> dict[str, Any]:
    """Rehearse as `make rehearse` does, and return what it wrote."""
    ended = subprocess.run([sys.executable, "-m", "lab.rehearsal"], cwd=ROOT, check=False)
    written = json.loads((ROOT / "build/rehearsal/summary.json").read_text(encoding="utf-8"))
    assert ended.returncode == 0, written.get("error", written)
    return written
