"""The build of the host image: cached, alone, and gone without a trace when it ends early. Programs are played."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import containers
from lab.errors import LabError
from lab.host_image import build, process, repository

# What podman answers while an image is (not) there.
PODMAN = """#!/bin/sh
echo "$@" >> {log}
case "$1" in images) cat {images} ;; import) cat > /dev/null ;; esac
"""
BUILD = """
import sys
from pathlib import Path
from lab import containers
from lab.host_image import build
build.ensure.__defaults__ = (print, Path(sys.argv[1]))
sys.exit(build.main([]))
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a function that puts a program in front of all others on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.delenv("LAB_CENTOS_IMAGE", raising=False)

    def lay(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        path.chmod(0o755)
        return path

    (tmp_path / "images").write_text("", encoding="utf-8")
    lay("podman", PODMAN.format(log=tmp_path / "podman.log", images=tmp_path / "images"))
    lay("runc", "#!/bin/sh\n")
    return lay


def test_an_image_that_is_there_is_not_made_again(tmp_path: Path, programs: Callable[[str, str], Path]) -> None:
    programs("mmdebstrap", "#!/bin/sh\necho must not run >&2\nexit 1\n")
    (tmp_path / "images").write_text("0123456789ab\n", encoding="utf-8")
    assert build.ensure(log=pytest.fail, state_root=tmp_path / "state") == build.reference()


def test_the_reference_follows_the_sources_and_the_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_CENTOS_IMAGE", raising=False)
    stand_in = build.reference()
    assert stand_in.startswith("localhost/checkop-lab/centos7:")
    monkeypatch.setenv("LAB_CENTOS_IMAGE", "registry.invalid/centos:7")
    assert build.reference() != stand_in


def test_a_failed_program_is_named_with_its_last_words(tmp_path: Path, programs: Callable[[str, str], Path]) -> None:
    programs("mmdebstrap", "#!/bin/sh\necho 'E: no mirror answers' >&2\nexit 25\n")
    with pytest.raises(LabError, match=r"mmdebstrap ended with 25: E: no mirror answers"):
        build.ensure(log=lambda _line: None, state_root=tmp_path / "state")
    assert [path.name for path in (tmp_path / "state" / "host-image").iterdir()] == ["lock"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 1)])
def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, programs: Callable[[str, str], Path], number: signal.Signals, code: int
) -> None:
    mark = tmp_path / "running"
    programs("mmdebstrap", f"#!/bin/sh\necho $$ > {mark}.new && mv {mark}.new {mark}\nexec sleep 60\n")
    state = tmp_path / "state"
    command = [sys.executable, "-c", BUILD, str(state)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not mark.exists():
            assert time.monotonic() < deadline, "the build did not begin"
            time.sleep(0.02)
        child.send_signal(number)
        _output, errors = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == code
    assert "nothing of it is left, run it again" in errors
    assert not Path("/proc", mark.read_text().strip()).exists()
    assert [path.name for path in (state / "host-image").iterdir()] == ["lock"]


def test_a_second_build_waits_for_the_first(tmp_path: Path, programs: Callable[[str, str], Path]) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    programs("mmdebstrap", f"#!/bin/sh\ncat {gate}\nexit 3\n")
    command = [sys.executable, "-c", BUILD, str(tmp_path / "state")]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with gate.open("w"):  # opens once the first build runs mmdebstrap
            second = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            assert second.stderr is not None
            assert second.stderr.readline() == "host image: another build is under way, waiting for it\n"
            second.kill()
            second.communicate()
        assert first.wait(30) == 1
    finally:
        first.kill()


def test_a_missing_program_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="podman is not installed: run `make setup`, or `apt-get install podman`"):
        containers.environment(tmp_path)


def test_engine_settings_stay_below_the_state_folder(tmp_path: Path, programs: Callable[[str, str], Path]) -> None:
    settings = containers.environment(tmp_path / "state")
    assert sorted(settings) == ["CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"]
    folder = tmp_path / "state" / "containers"
    for path in settings.values():
        quoted = [part for part in Path(path).read_text(encoding="utf-8").split('"') if part.startswith("/")]
        assert quoted
        assert all(Path(part).is_relative_to(folder) for part in quoted)


def test_run_time_state_of_an_earlier_boot_is_forgotten(tmp_path: Path, programs: Callable[[str, str], Path]) -> None:
    containers.environment(tmp_path)
    left = tmp_path / "containers" / "run" / "overlay-containers"
    left.mkdir(parents=True)
    containers.environment(tmp_path)
    assert left.exists()
    (tmp_path / "containers" / "boot_id").write_text("another boot\n", encoding="ascii")
    containers.environment(tmp_path)
    assert not left.exists()


def test_a_pipe_fails_with_the_program_that_failed() -> None:
    with pytest.raises(LabError, match="Cannot pour: false ended with 1: it wrote nothing"):
        process.pipe([["false"], ["cat"]], what="pour")
    assert process.pipe([["echo", "water"], ["cat"]], what="pour") == "water\n"


@pytest.mark.parametrize(
    ("debian", "upstream"),
    [
        ("1:8.4p1-5+deb11u3", "8.4p1"),
        ("3:5.56+dfsg-10", "5.56"),
        ("2.33.1-0.1", "2.33.1"),
        ("20210119", "20210119"),
        ("1.2-3:4", "1.2"),
    ],
)
def test_upstream_versions_are_what_rpm_accepts(debian: str, upstream: str) -> None:
    assert repository.upstream_version(debian) == upstream
