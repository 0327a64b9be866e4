"""Child processes of the build: quiet unless they fail, and never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from lab.errors import LabError

_LAST_LINES = 2
_LINE_LENGTH = 200
_GRACE_SECONDS = 20


class InterruptedBuildError(LabError):
    """The build was asked to stop (SIGTERM); SIGINT arrives as KeyboardInterrupt."""


@contextlib.contextmanager
def stop_on_terminate() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that clean-up runs; only the main thread may ask for it."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise InterruptedBuildError("The build of the host image was stopped; nothing of it is left, run it again.")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(command: Sequence[str], *, what: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end.

    Args:
        command: program and arguments.
        what: what it does, for the error's sentence ("import the base image").
        environment: variables added to this process's own.

    Returns:
        Its standard output.

    Raises:
        LabError: it could not be started or failed; carries the last lines it wrote.
    """
    return pipe([command], what=what, environment=environment)


def pipe(commands: Sequence[Sequence[str]], *, what: str, environment: Mapping[str, str] | None = None) -> str:
    """Run commands joined by pipes, as `run` does for one; each of them must succeed."""
    started: list[subprocess.Popen[bytes]] = []
    variables = {**os.environ, **(environment or {})}
    try:
        with contextlib.ExitStack() as stack:
            errors = [stack.enter_context(_scratch()) for _ in commands]
            output = stack.enter_context(_scratch())
            for index, command in enumerate(commands):
                last = index == len(commands) - 1
                process = subprocess.Popen(
                    command,
                    stdin=started[-1].stdout if started else subprocess.DEVNULL,
                    stdout=output.fileno() if last else subprocess.PIPE,
                    stderr=errors[index].fileno(),
                    env=variables,
                    start_new_session=True,
                )
                if started and started[-1].stdout:
                    started[-1].stdout.close()
                started.append(process)
            for process in reversed(started):
                process.wait()
            for process, command, log in zip(started, commands, errors, strict=True):
                if process.returncode != 0:
                    raise LabError(f"Cannot {what}: {command[0]} ended with {process.returncode}: {log.tail()}")
            return output.text()
    except OSError as error:
        raise LabError(f"Cannot {what}: {error}") from error
    finally:
        _end(started)


class _scratch:  # noqa: N801 -- used as a context manager, like contextlib's own
    """A file without a name that takes a child's output."""

    def __enter__(self) -> _scratch:
        self._descriptor = os.memfd_create("output")
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def text(self) -> str:
        return Path(f"/proc/self/fd/{self._descriptor}").read_text(encoding="utf-8", errors="replace")

    def tail(self) -> str:
        lines = [line.strip()[:_LINE_LENGTH] for line in self.text().splitlines() if line.strip()]
        return " | ".join(lines[-_LAST_LINES:]) or "it wrote nothing"


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what still runs, politely first: mmdebstrap and podman take their own temporary folders away."""
    for process in processes:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
