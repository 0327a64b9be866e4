"""Starting and ending the daemon of a lab."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from lab import cleanup, control, processes
from lab.containers import PROJECT_ROOT
from lab.errors import LabError
from lab.host_image import build
from lab.state import Lock, State, daemon_alive, daemon_lock

if TYPE_CHECKING:
    from collections.abc import Callable

_END_SECONDS = 60.0
_POLL_SECONDS = 0.05


def alive(state: State) -> bool:
    """Tell whether a lab runs in a state folder."""
    return daemon_alive(state)


def start(state: State, say: Callable[[str], None], *, wait: bool) -> None:
    """Start a lab; when it cannot start, nothing of it is left.

    Args:
        state: its folder.
        say: takes progress, a line each.
        wait: return when it is ready instead of when its process has been started.

    Raises:
        LabError: it cannot start; the sentence says why.
    """
    try:
        state.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"The state folder {state.root} cannot be made: {error.strerror}.") from error
    starting = _starting(state)
    if not starting.acquire():
        raise LabError(
            f"Another `lab up` (process {starting.holder()}) is starting a lab in {state.root}: wait for it."
        )
    try:
        if cleanup.leftovers(state):
            removed = cleanup.remove_all(state)
            say(f"removed what an earlier lab left behind: {', '.join(removed) or 'files only'}")
        _launch(state, _host_image(say), say, wait=wait)
    finally:
        starting.release()


def stop(state: State) -> list[str]:
    """End a lab and remove what it made, whether its daemon runs, hangs or died.

    Returns:
        Sentences for people.

    Raises:
        LabError: something resists; the sentence names it.
    """
    starting = _starting(state)
    if starting.held() and not daemon_alive(state):
        raise LabError(
            f"`lab up` (process {starting.holder()}) is starting a lab in {state.root}: interrupt it, or wait."
        )
    if daemon_alive(state):
        _end_daemon(state)
        cleanup.remove_all(state)
        return ["the lab is down"]
    if not cleanup.leftovers(state):
        return [f"no lab runs in {state.root}"]
    removed = cleanup.remove_all(state)
    return [f"removed what a dead lab left behind: {', '.join(removed) or 'files only'}"]


def _starting(state: State) -> Lock:
    """Return the lock of whoever starts a lab; beside the folder, which a start may empty."""
    return Lock(state.root.parent / f".{state.root.name}.starting")


def _host_image(say: Callable[[str], None]) -> dict[str, str]:
    """Return what instances of the upstream AMI are made of: `kind`, `reference` and what else is known of it."""
    named = os.environ.get("LAB_HOST_IMAGE")
    if named:
        return {"kind": "named by LAB_HOST_IMAGE", "reference": named}
    build.ensure(say)
    return build.describe()


def _launch(state: State, image: dict[str, str], say: Callable[[str], None], *, wait: bool) -> None:
    command = [sys.executable, "-m", "lab.daemon", "--state", str(state.root), "--host-image", json.dumps(image)]
    with state.log_file.open("ab") as sink:
        daemon = subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            # A lab talks to nobody's AWS: the endpoint of a caller's shell is none of its business.
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
            text=True,
        )
    if not wait:
        say(f"starting in the background, process {daemon.pid}; see `lab status`")
        return
    try:
        _await(state, daemon, say)
    except BaseException:
        _kill(state, daemon)
        raise


def _await(state: State, daemon: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    began = time.monotonic()
    for line in daemon.stdout or ():
        message = json.loads(line)
        if "progress" in message:
            say(message["progress"])
        elif "failed" in message:
            raise LabError(message["failed"])
        elif "ready" in message:
            run = message["ready"]
            say(f"ready after {time.monotonic() - began:.1f} s, API {run['endpoint']}, slot {run['slot']}")
            return
    raise LabError(f"The lab's process ended before it was ready (status {daemon.wait()}): see {state.log_file}.")


def _kill(state: State, daemon: subprocess.Popen[str]) -> None:
    """Leave nothing of a lab that did not become ready."""
    if daemon.poll() is None:
        daemon.terminate()
        try:
            daemon.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    cleanup.remove_all(state)


def _end_daemon(state: State) -> None:
    """Let the daemon end by itself; by force when it does not."""
    pid = daemon_lock(state).holder()
    try:
        control.ask(state, "down")
    except LabError:
        # It hangs, or is only starting or ending: the signal below reaches it all the same.
        _signal(pid, signal.SIGTERM)
    for patience in (_END_SECONDS, _END_SECONDS):
        deadline = time.monotonic() + patience
        while daemon_alive(state) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if not daemon_alive(state):
            return
        _signal(pid, signal.SIGKILL)
    raise LabError(f"The lab in {state.root} (process {pid}) does not end, not even killed: it waits for the kernel.")


def _signal(pid: int, number: signal.Signals) -> None:
    if processes.start_time(pid) is not None:
        os.kill(pid, number)
