"""Tells when a process ends, without asking again and again (pidfd_open(2))."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ExitWatch:
    """One thread that waits for the end of any number of processes, children or not."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._wait, name="exits", daemon=True)
        self._thread.start()

    def watch(self, pid: int, ended: Callable[[], None]) -> None:
        """Call `ended` once, from another thread, when process `pid` ends; at once when it has already."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            ended()
            return
        with self._lock:
            self._selector.register(descriptor, selectors.EVENT_READ, ended)
        self._wake_writer.send(b"+")

    def stop(self) -> None:
        """End the thread; nothing is called any more."""
        self._wake_writer.close()
        self._thread.join(timeout=5)

    def _wait(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._wake_reader.recv(1024):
                        return
                    continue
                with self._lock:
                    self._selector.unregister(key.fileobj)
                os.close(key.fd)
                key.data()
