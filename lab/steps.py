"""Running the commands of a rehearsal: the whole output in a log, a line of progress now and then, and the seconds."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError

HEARTBEAT_SECONDS = 10.0
TAIL_LINES = 30
_NEWS = re.compile(r"^(TASK \[|PLAY \[|==> |checkop |lab: |rollout: )")


@dataclass
class Runner:
    """Runs one command after the other with the same environment.

    Parameters
    ----------
    logs:
        Folder for the full output, a file a step.
    environment:
        Environment of every command.
    timings:
        Seconds by step, filled as steps end.
    """

    logs: Path
    environment: dict[str, str]
    timings: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, command: list[str]) -> str:
        """Run a command to its end and return what it printed.

        Raises
        ------
        LabError
            The command failed; its last words and the log's place are in the message.
        """
        say(f"{name}: {shlex.join(command)}")
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{len(list(self.logs.iterdir())):02d}-{name}.log"
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        lines: list[str] = []
        try:
            with log.open("w", encoding="utf-8") as stream:
                self._follow(process, stream, lines, name, began)
        except BaseException:
            # The command and its children end with us; it had a session of its own so that this reaches them all.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)
            raise
        status = process.wait()
        seconds = time.monotonic() - began
        self.timings[name] = round(self.timings.get(name, 0.0) + seconds, 2)
        if status != 0:
            tail = "\n".join(lines[-TAIL_LINES:])
            raise LabError(f"{tail}\n{name} ended with status {status} after {seconds:.1f} s; all of it is in {log}")
        say(f"{name}: done in {seconds:.1f} s")
        return "\n".join(lines)

    @staticmethod
    def _follow(process: subprocess.Popen[str], stream: object, lines: list[str], name: str, began: float) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        shown, news = began, ""
        for line in process.stdout:
            stream.write(line)  # type: ignore[attr-defined]
            stream.flush()  # type: ignore[attr-defined]
            lines.append(line.rstrip("\n"))
            if _NEWS.match(line):
                news = line.strip().rstrip("* ")
            if news and time.monotonic() - shown >= HEARTBEAT_SECONDS:
                shown = time.monotonic()
                say(f"{name}: {shown - began:.0f} s, {news}")
                news = ""


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"rehearsal: {text}\n")
    sys.stderr.flush()
