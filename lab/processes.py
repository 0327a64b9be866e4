"""Child processes that a crash of the daemon must not leave behind.

Each runs in a session of its own and is noted in a record (process id and start time), so that the next `lab down` or
`lab up` ends exactly those and no process that merely got the same number.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

# Field 22 of /proc/<pid>/stat, counted after the name's closing bracket (proc(5)).
_START_TIME_AFTER_NAME = 19
_POLL_SECONDS = 0.02


def start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since boot, or None when there is no such living process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[_START_TIME_AFTER_NAME]


class Child:
    """A process of the lab with its record."""

    def __init__(self, record: Path, process: subprocess.Popen[bytes]) -> None:
        self._record = record
        self._process = process

    @property
    def pid(self) -> int:
        """Process id; also the id of its process group."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """Return how the process ended (negative: by that signal), or None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the process alone; harmless when it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, timeout: float = 10.0) -> None:
        """End the whole process group: SIGTERM first, SIGKILL after `timeout` seconds."""
        _end_group(self.pid, timeout, alive=lambda: self._process.poll() is None)
        self._process.wait()
        self._record.unlink(missing_ok=True)


def spawn(
    folder: Path,
    name: str,
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    output: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Child:
    """Start a process and note it.

    Args:
        folder: where records lie (`State.processes`).
        name: what it is, unique in the lab; the record's file name.
        command: program and arguments.
        cwd: working directory.
        output: file that receives its output, appended; None: nowhere.
        environment: its environment; None: this process's.

    Raises:
        OSError: the program cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (output or Path(os.devnull)).open("ab") as sink:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    record = folder / f"{name}.json"
    record.write_text(
        json.dumps({"pid": process.pid, "started": start_time(process.pid), "command": list(command)}),
        encoding="utf-8",
    )
    return Child(record, process)


def end_recorded(folder: Path, timeout: float = 5.0) -> list[str]:
    """End every process that a record of `folder` names and return their names; for a lab whose daemon is dead."""
    ended = []
    for record in sorted(folder.glob("*.json")):
        try:
            facts = json.loads(record.read_text(encoding="utf-8"))
            pid, started = int(facts["pid"]), facts["started"]
        except (ValueError, KeyError, TypeError):
            record.unlink()
            continue
        if start_time(pid) == started and started is not None:
            _end_group(pid, timeout, alive=partial(_is_same, pid, started))
            ended.append(record.stem)
        record.unlink()
    return ended


def _is_same(pid: int, started: str) -> bool:
    return start_time(pid) == started


def _end_group(pid: int, timeout: float, alive: Callable[[], bool]) -> None:
    """Ask a process group to end, then make it: a stopped one is continued first, or it could not obey."""
    for number, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, timeout)):
        try:
            os.killpg(pid, number)
            os.killpg(pid, signal.SIGCONT)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if not alive():
            break
    # Members of the group that outlived its leader, such as workers of a killed master.
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
