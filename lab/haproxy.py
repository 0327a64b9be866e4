"""One HAProxy in master-worker mode: start, hitless reload, commands.

See HAProxy's management guide, "Unix Socket commands" and "Master CLI". Sockets lie in HAProxy's working directory and
are named relatively, because a socket's address has at most 107 characters and checkouts may lie deep.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from lab import processes
from lab.balancer_config import RUN_SOCKET, STATE_FILE
from lab.errors import LabError
from lab.preflight import which

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_MASTER_SOCKET = "master.sock"
_CONFIGURATION = "haproxy.cfg"
_READY_SECONDS = 10.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 5.0


class HAProxy:
    """The process and its two sockets.

    Args:
        folder: its working directory.
        process_records: see `lab.processes`.
    """

    def __init__(self, folder: Path, process_records: Path) -> None:
        self._folder = folder
        self._records = process_records
        self._child: processes.Child | None = None

    def alive(self) -> bool:
        """Tell whether the master runs."""
        return self._child is not None and self._child.exit_status() is None

    def apply(self, configuration: str) -> None:
        """Run with a configuration: start, or reload without dropping a connection or a server's health.

        Raises:
            LabError: HAProxy refuses the configuration, or does not come up with it; the old one runs on.
        """
        self._check(configuration)
        (self._folder / _CONFIGURATION).write_text(configuration, encoding="utf-8")
        if not self.alive():
            self._start()
            return
        assert self._child is not None  # noqa: S101 (alive() says so)
        (self._folder / STATE_FILE).write_text(self.command("show servers state"), encoding="utf-8")
        before, failed_before = self._workers()
        self._child.signal(signal.SIGUSR2)
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            try:
                now, failed = self._workers()
            except OSError:  # the master executes itself anew, its socket is away for a moment
                continue
            if failed > failed_before:
                raise LabError(f"HAProxy did not reload: {self._last_alert()}")
            if now and now != before:
                return
        raise LabError(f"HAProxy did not reload within {_READY_SECONDS:.0f} s: {self._last_alert()}")

    def note(self, configuration: str) -> None:
        """Write the configuration that the running worker already has, for whoever reads or restarts it."""
        (self._folder / _CONFIGURATION).write_text(configuration, encoding="utf-8")

    def command(self, *commands: str) -> str:
        """Send commands to the present worker and return its answer.

        Raises:
            OSError: it does not answer.
        """
        return self._ask(RUN_SOCKET, "; ".join(commands))

    def statistics(self) -> list[dict[str, str]]:
        """Return one row for each server of the present worker, columns as in `show stat`."""
        return _rows(self.command("show stat -1 4 -1"))

    def old_statistics(self) -> list[list[dict[str, str]]]:
        """Return the rows of each former worker that still serves open connections."""
        pids = self._old_workers()
        return [_rows(self._ask(_MASTER_SOCKET, f"@!{pid} show stat -1 4 -1")) for pid in pids]

    def command_old(self, *commands: str) -> None:
        """Send commands to every former worker that still serves open connections."""
        for pid in self._old_workers():
            for command in commands:
                self._ask(_MASTER_SOCKET, f"@!{pid} {command}")

    def stop(self) -> None:
        """End it with all its workers."""
        if self._child is not None:
            self._child.stop(timeout=2)
            self._child = None

    def _start(self) -> None:
        (self._folder / STATE_FILE).write_text("", encoding="utf-8")
        command = [str(which("haproxy")), "-W", "-S", f"unix@{_MASTER_SOCKET},level,admin", "-f", _CONFIGURATION]
        self._child = processes.spawn(
            self._records, "haproxy", command, cwd=self._folder, output=self._folder / "haproxy.log"
        )
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and self._child.exit_status() is None:
            try:
                self.command("show info")
            except OSError:
                time.sleep(_POLL_SECONDS)
            else:
                return
        self.stop()
        raise LabError(f"HAProxy does not start: {self._last_alert()}")

    def _check(self, configuration: str) -> None:
        """Let HAProxy judge a configuration before it is used."""
        draft = self._folder / "draft.cfg"
        draft.write_text(configuration, encoding="utf-8")
        command = [str(which("haproxy")), "-c", "-f", draft.name]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            alerts = [line for line in done.stderr.splitlines() if "[ALERT]" in line and "Fatal" not in line]
            raise LabError(f"HAProxy refuses the configuration: {' / '.join(alerts[:3]) or done.stderr.strip()}")

    def _workers(self) -> tuple[list[str], int]:
        """Return the present workers' ids and how many reloads have failed since the last good one."""
        present, failed, section = [], 0, ""
        for line in self._ask(_MASTER_SOCKET, "show proc").splitlines():
            if line.startswith("#"):
                section = line.strip("# ").lower()
            elif "master" in line and "failed:" in line:
                failed = int(line.partition("failed:")[2].partition("]")[0])
            elif section == "workers" and line.split():
                present.append(line.split()[0])
        return present, failed

    def _old_workers(self) -> list[str]:
        section, found = "", []
        for line in self._ask(_MASTER_SOCKET, "show proc").splitlines():
            if line.startswith("#"):
                section = line.strip("# ").lower()
            elif section == "old workers" and line.split():
                found.append(line.split()[0])
        return found

    def _ask(self, name: str, command: str) -> str:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.connect(f"/proc/self/fd/{folder}/{name}")
                connection.sendall(command.encode() + b"\n")
                if name == _MASTER_SOCKET:
                    # The master only ends its answer when it sees that nothing more is asked.
                    connection.shutdown(socket.SHUT_WR)
                answer = bytearray()
                while chunk := connection.recv(65536):
                    answer += chunk
                return answer.decode("utf-8", errors="replace")
        finally:
            os.close(folder)

    def _last_alert(self) -> str:
        try:
            text = (self._folder / "haproxy.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "it wrote no log"
        alerts = [line for line in text.splitlines() if "[ALERT]" in line]
        return alerts[-1] if alerts else text[-200:]


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("# "))))
