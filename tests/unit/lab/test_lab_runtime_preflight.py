"""What keeps a lab from starting: one sentence each, with its mend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from lab import preflight

REPOSITORY = Path(__file__).parents[3]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _good_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "which", lambda command: f"/usr/bin/{command}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1, 0, 100 * 1024**3))
    monkeypatch.setattr(Path, "exists", lambda _path: True)


def test_good_machine_has_no_problem(tmp_path: Path) -> None:
    assert preflight.problems(tmp_path) == []


def test_without_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (sentence,) = preflight.problems(tmp_path)
    assert "user id 1000" in sentence
    assert "sudo" in sentence


def test_missing_programs_are_named_as_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "which", lambda command: None if command in {"podman", "mariadbd"} else "/x")
    assert preflight.missing_packages() == ["mariadb-server-core", "podman"]
    (sentence,) = preflight.problems(tmp_path)
    assert "apt-get install mariadb-server-core podman" in sentence


def test_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1, 1, 1024**3))
    (sentence,) = preflight.problems(tmp_path / "not" / "yet")
    assert "1.0 GB are free" in sentence
    assert "LAB_STATE_DIR" in sentence


@pytest.mark.parametrize("endpoint", ["https://ec2.us-east-1.amazonaws.com", "http://127.0.0.1:4566"])
def test_other_cloud_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    (sentence,) = preflight.problems(tmp_path, ours=("http://127.0.0.1:1234",))
    assert endpoint in sentence
    assert "unset AWS_ENDPOINT_URL" in sentence


def test_own_endpoint_is_welcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1234/")
    assert preflight.problems(tmp_path, ours=("http://127.0.0.1:1234",)) == []


def test_runs_before_the_virtual_environment_exists() -> None:
    # -S -I: no site-packages, no environment: standard library only.
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from lab import preflight; preflight.main(['--missing'])"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    known = {*preflight.REQUIRED.values(), *preflight.OPERATOR.values(), "python3-venv"}
    assert set(done.stdout.split()) <= known
