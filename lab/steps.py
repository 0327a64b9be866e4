"""Running the commands of a rehearsal: the whole output in a log, a line of progress now and then, and the seconds."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError

HEARTBEAT_SECONDS = 10.0
TAIL_LINES = 30
_END_SECONDS = 30
_NEWS = re.compile(r"^(TASK \[|PLAY \[|==> |checkop |lab: |rollout: )")


class Step:
    """A command that runs, with a thread that reads what it prints.

    Parameters
    ----------
    name:
        What to call it.
    command:
        Program and arguments.
    environment:
        Environment of the command.
    log:
        File for its whole output.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        say(f"{name}: {shlex.join(command)}")
        self.name = name
        self.seconds = 0.0
        self._log = log
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._silent = False
        self._began = time.monotonic()
        # It has a session of its own, so that a signal reaches the command with its children.
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def finish(self) -> str:
        """Wait for its end and return what it printed.

        Raises
        ------
        LabError
            The command failed; its last words and the log's place are in the message.
        """
        self._reader.join()
        status = self._process.wait()
        if status != 0:
            tail = "\n".join(self._lines[-TAIL_LINES:])
            ended = f"{self.name} ended with status {status} after {self.seconds:.1f} s"
            raise LabError(f"{tail}\n{ended}; all of it is in {self._log}")
        say(f"{self.name}: done in {self.seconds:.1f} s")
        return "\n".join(self._lines)

    def wait_for(self, words: str, timeout: float) -> str:
        """Wait until it prints a line that has these words in it, and return that line.

        Raises
        ------
        LabError
            It ended without, or the seconds of `timeout` are over.
        """
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for line in self._lines:
                    if words in line:
                        return line
                if self._silent or not self._news.wait(max(deadline - time.monotonic(), 0)):
                    tail = "\n".join(self._lines[-TAIL_LINES:])
                    raise LabError(f"{tail}\n{self.name} did not say {words!r} within {timeout:g} s")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the command and its children, kill who does not heed it, and return how it ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)
        try:
            return self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - it was asked for as a pipe
        shown, news = self._began, ""
        with self._log.open("w", encoding="utf-8") as log:
            for line in stream:
                log.write(line)
                log.flush()
                with self._news:
                    self._lines.append(line.rstrip("\n"))
                    self._news.notify_all()
                if _NEWS.match(line):
                    news = line.strip().rstrip("* ")
                if news and time.monotonic() - shown >= HEARTBEAT_SECONDS:
                    shown = time.monotonic()
                    say(f"{self.name}: {shown - self._began:.0f} s, {news}")
                    news = ""
        self._process.wait()
        self.seconds = time.monotonic() - self._began
        with self._news:
            self._silent = True
            self._news.notify_all()


@dataclass
class Runner:
    """Runs commands with the same environment, one after the other or side by side.

    Parameters
    ----------
    logs:
        Folder for the full output, a file a step.
    environment:
        Environment of every command.
    timings:
        Seconds by step, filled as steps are finished.
    """

    logs: Path
    environment: dict[str, str]
    timings: dict[str, float] = field(default_factory=dict)
    _running: list[Step] = field(default_factory=list)

    def start(self, name: str, command: list[str]) -> Step:
        """Start a command; whoever starts one finishes it."""
        self.logs.mkdir(parents=True, exist_ok=True)
        step = Step(name, command, self.environment, self._new_log(name))
        self._running.append(step)
        return step

    def finish(self, step: Step) -> str:
        """Wait for a step's end and return what it printed.

        Raises
        ------
        LabError
            The command failed; its last words and the log's place are in the message.
        """
        output = step.finish()
        self._running.remove(step)
        self.timings[step.name] = round(self.timings.get(step.name, 0.0) + step.seconds, 2)
        return output

    def run(self, name: str, command: list[str]) -> str:
        """Run a command to its end and return what it printed.

        Raises
        ------
        LabError
            The command failed; its last words and the log's place are in the message.
        """
        return self.finish(self.start(name, command))

    def forget(self, step: Step) -> None:
        """Take no more care of a step, which was ended on purpose."""
        self._running.remove(step)

    def end(self) -> None:
        """End what still runs: after an interruption, or because a step beside it failed."""
        while self._running:
            self._running.pop().end()

    def _new_log(self, name: str) -> Path:
        log = self.logs / f"{len(list(self.logs.iterdir())):02d}-{name}.log"
        log.touch()
        return log


def say(text: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"rehearsal: {text}\n")
    sys.stderr.flush()
