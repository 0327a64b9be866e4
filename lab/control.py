"""How commands reach the daemon: one JSON object a line over a unix socket that only its user can open."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.state import State

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 60.0
_REQUEST_SECONDS = 10.0


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a socket by its folder's descriptor: addresses hold 107 characters, checkouts may lie deeper."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlServer:
    """Answers commands in a thread each.

    Args:
        path: the socket.
        answer: takes a command and its arguments and returns what the caller gets; may raise LabError.
    """

    def __init__(self, path: Path, answer: Callable[[str, dict[str, Any]], Any]) -> None:
        self._answer = answer
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        previous = os.umask(0o177)
        try:
            with _short(path) as address:
                self._socket.bind(address)
        finally:
            os.umask(previous)
        self._socket.listen(16)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        """Take no more commands."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(_REQUEST_SECONDS)
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            try:
                request = json.loads(stream.readline())
                reply = {"result": self._answer(str(request["command"]), dict(request.get("arguments") or {}))}
            except LabError as error:
                reply = {"error": str(error)}
            except Exception as error:  # a failing command must not end the lab
                log.exception("command failed")
                reply = {"error": f"{type(error).__name__}: {error}; see the lab's log."}
            try:
                stream.write(json.dumps(reply).encode() + b"\n")
                stream.flush()
            except OSError as error:
                log.debug("nobody waited for the answer: %s", error)


def ask(state: State, command: str, arguments: dict[str, Any] | None = None) -> Any:
    """Let the daemon of a state folder carry out a command and return its answer.

    Raises:
        LabError: no lab runs there, or the command failed; the sentence is the daemon's.
    """
    try:
        with _short(state.control_socket) as address, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(address)
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps({"command": command, "arguments": arguments or {}}).encode() + b"\n")
                stream.flush()
                line = stream.readline()
    except TimeoutError as error:
        raise LabError(
            f"The lab did not answer `{command}` within {_ANSWER_SECONDS:.0f} s: see {state.log_file}."
        ) from error
    except PermissionError as error:
        raise LabError(f"The lab in {state.root} belongs to another user: run the same command with sudo.") from error
    except OSError as error:
        raise LabError(f"No lab runs in {state.root}: start one with `lab up`.") from error
    if not line:
        raise LabError(f"The lab ended while it answered `{command}`: see {state.log_file}.")
    reply = json.loads(line)
    if "error" in reply:
        raise LabError(reply["error"])
    return reply["result"]
