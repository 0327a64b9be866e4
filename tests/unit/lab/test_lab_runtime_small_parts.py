"""Address pools, known hosts, jobs, processes, exits, control."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import control, known_hosts, processes
from lab.addresses import Pool
from lab.errors import LabError
from lab.exits import ExitWatch
from lab.jobs import Jobs
from lab.state import State


def test_returned_address_is_the_last_to_be_used_again() -> None:
    pool = Pool(["a", "b", "c"])
    assert [pool.take(), pool.take()] == ["a", "b"]
    assert pool.release("a")
    assert [pool.take(), pool.take()] == ["c", "a"]


def test_pool_knows_its_own_and_its_end() -> None:
    pool = Pool(["a"])
    assert not pool.release("b")
    assert not pool.release("a")
    pool.take()
    with pytest.raises(LabError, match="All 1 addresses"):
        pool.take()


def test_host_keys_of_reused_addresses_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("127.100.1.1 ssh-ed25519 AAAA\n10.0.0.1 ssh-ed25519 BBBB\n", encoding="ascii")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    path.write_text(path.read_text(encoding="ascii") + "[127.100.1.2]:22 ssh-ed25519 CCCC\n", encoding="ascii")
    known_hosts.forget_addresses(path, ["127.100.1.1", "127.100.1.2"])
    (line,) = path.read_text(encoding="ascii").splitlines()
    assert line.startswith("|1|")
    assert line.endswith("BBBB")
    known_hosts.forget_addresses(tmp_path / "absent", ["127.100.1.1"])


def test_one_resource_is_worked_on_once_and_others_beside_it(until: Callable[..., None]) -> None:
    done, release = threading.Event(), threading.Event()
    jobs = Jobs(done.set)
    assert jobs.submit("a", release.wait)
    assert not jobs.submit("a", release.wait)
    beside = threading.Event()
    assert jobs.submit("b", beside.set)
    assert beside.wait(5)
    assert jobs.busy("a")
    release.set()
    until(lambda: not jobs.busy("a"))
    jobs.stop()
    assert not jobs.submit("a", release.wait)


def test_failure_is_noted_waits_and_is_forgotten_after_success(until: Callable[..., None]) -> None:
    jobs = Jobs(threading.Event().set)

    def fail() -> None:
        raise LabError("no luck")

    jobs.submit("a", fail)
    until(lambda: jobs.failures() == {"a": "LabError: no luck"} and not jobs.busy("a"))
    assert jobs.failure_count("a") == 1
    assert not jobs.submit("a", fail), "tried again at once"
    pause = jobs.next_retry()
    assert pause is not None
    assert 0 < pause <= 1
    until(lambda: jobs.submit("a", lambda: None))
    until(lambda: jobs.failures() == {})
    jobs.stop()


def test_process_is_recorded_and_stopped_with_its_group(tmp_path: Path, until: Callable[..., None]) -> None:
    child = processes.spawn(tmp_path, "nest", ["sh", "-c", "sleep 600 & echo $!; wait"], output=tmp_path / "out")
    until((tmp_path / "out").read_text)
    grandchild = int((tmp_path / "out").read_text())
    assert (tmp_path / "nest.json").exists()
    child.stop()
    until(lambda: processes.start_time(grandchild) is None)
    assert not (tmp_path / "nest.json").exists()


def test_processes_of_a_dead_lab_end_in_order_even_when_stopped(tmp_path: Path, until: Callable[..., None]) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "print('set', flush=True)\nwhile True: time.sleep(0.05)"
    )
    child = processes.spawn(tmp_path, "left", [sys.executable, "-c", code], output=tmp_path / "out")
    until((tmp_path / "out").read_text)
    child.signal(signal.SIGSTOP)
    assert processes.end_recorded(tmp_path) == ["left"]
    assert child.exit_status() == 3, "a process that hangs on request must go on to end in order"


def test_process_that_only_has_the_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    record = tmp_path / "old.json"
    record.write_text(f'{{"pid": {stranger.pid}, "started": "1"}}', encoding="ascii")
    (tmp_path / "broken.json").write_text("{", encoding="ascii")
    assert processes.end_recorded(tmp_path) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert list(tmp_path.iterdir()) == []


def test_end_of_any_process_is_told_once(until: Callable[..., None]) -> None:
    watch, ended = ExitWatch(), []
    process = subprocess.Popen(["sleep", "600"])
    watch.watch(process.pid, lambda: ended.append("first"))
    assert ended == []
    process.kill()
    until(lambda: ended == ["first"])
    process.wait()
    watch.watch(process.pid, lambda: ended.append("already"))
    assert ended == ["first", "already"]
    watch.stop()


def test_commands_reach_the_daemon_below_a_deep_folder(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["deep" * 10] * 5)
    folder.mkdir(parents=True)
    state = State(folder)

    def answer(command: str, arguments: dict[str, object]) -> object:
        if command == "fail":
            raise LabError("it cannot be")
        if command == "break":
            raise KeyError("x")
        return [command, arguments]

    server = control.ControlServer(state.control_socket, answer)
    assert state.control_socket.stat().st_mode & 0o077 == 0
    assert control.ask(state, "status", {"a": 1}) == ["status", {"a": 1}]
    with pytest.raises(LabError, match="it cannot be"):
        control.ask(state, "fail")
    with pytest.raises(LabError, match="KeyError"):
        control.ask(state, "break")
    assert control.ask(state, "again") == ["again", {}], "a failing command ended the server"
    server.close()


def test_somebody_elses_lab_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(LabError, match="sudo"):
        control.ask(State(tmp_path), "status")


def test_no_lab_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="lab up"):
        control.ask(State(tmp_path), "status")
    began = time.monotonic()
    with pytest.raises(LabError, match="lab up"):
        control.ask(State(tmp_path / "absent"), "status")
    assert time.monotonic() - began < 1
