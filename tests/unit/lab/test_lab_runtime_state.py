"""The state folder, its locks, and the blocks of loopback addresses."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import state
from lab.errors import LabError


def test_folder_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path / "x"))
    assert state.locate().root == tmp_path / "x"
    monkeypatch.delenv("LAB_STATE_DIR")
    assert state.locate().root.parts[-2:] == ("build", "lab")


def test_two_folders_are_two_labs(tmp_path: Path) -> None:
    assert state.State(tmp_path / "a").lab_id != state.State(tmp_path / "b").lab_id


def test_two_labs_get_two_blocks(tmp_path: Path) -> None:
    one, other = state.take_slot(tmp_path, busy=set()), state.take_slot(tmp_path, busy=set())
    assert (one.number, other.number) == (0, 1)
    assert other.address(2, 4) == "127.101.2.4"
    one.release()
    assert state.take_slot(tmp_path, busy=set()).number == 0


def test_block_in_which_something_listens_is_left_alone(tmp_path: Path) -> None:
    slot = state.take_slot(tmp_path)
    slot.release()
    with socket.create_server((slot.address(7, 7), 0)):
        assert state.take_slot(tmp_path).number != slot.number


def test_all_blocks_taken_says_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="lab down"):
        state.take_slot(tmp_path, busy=set(range(100, 200)))


def test_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys; from pathlib import Path; from lab.state import Lock\n"
        f"assert Lock(Path({str(path)!r})).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        lock = state.Lock(path)
        assert lock.held()
        assert lock.holder() == process.pid
        assert not lock.acquire(patience=0)
        process.kill()
        process.wait()
    assert not lock.held()
    assert lock.acquire()


def test_facts_of_no_lab_are_none(tmp_path: Path) -> None:
    here = state.State(tmp_path)
    assert here.run() is None
    here.run_file.write_text("{broken", encoding="utf-8")
    assert here.run() is None
    assert here.last_port() == 0
    here.remember_port(4711)
    assert here.last_port() == 4711
    assert not state.daemon_alive(here)
