"""Work on resources side by side: one job per resource at a time, failures noted and tried again later."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_WORKERS = 8
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass
class Failure:
    """What went wrong with a resource, how often in a row, and when it may be tried again (monotonic seconds)."""

    text: str
    count: int
    retry_at: float


class Jobs:
    """Runs jobs in threads.

    Args:
        done: called after every job, from its thread; wakes the reconciler.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._pool = ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="job")
        self._busy: set[str] = set()
        self._failures: dict[str, Failure] = {}
        self._stopped = False
        self._lock = threading.Lock()

    def submit(self, key: str, work: Callable[[], None]) -> bool:
        """Start work on a resource.

        Args:
            key: names the resource, for example `instance/i-0123`.
            work: what to do; may raise anything.

        Returns:
            False when the resource is being worked on, failed too short a time ago, or no work is taken any more.
        """
        with self._lock:
            failure = self._failures.get(key)
            if self._stopped or key in self._busy or (failure and time.monotonic() < failure.retry_at):
                return False
            self._busy.add(key)
            self._pool.submit(self._run, key, work)
        return True

    def busy(self, key: str) -> bool:
        """Tell whether a resource is being worked on."""
        return key in self._busy

    def forget(self, key: str) -> None:
        """Drop what is known of a resource that is gone."""
        with self._lock:
            self._failures.pop(key, None)

    def failures(self) -> dict[str, str]:
        """Return the failures that stand, resource: sentence."""
        with self._lock:
            return {key: failure.text for key, failure in sorted(self._failures.items())}

    def failure_count(self, key: str) -> int:
        """Return how often in a row work on a resource has failed."""
        with self._lock:
            return self._failures[key].count if key in self._failures else 0

    def next_retry(self) -> float | None:
        """Return the seconds until a failed resource may be tried again, or None when none waits."""
        with self._lock:
            waiting = [failure.retry_at for failure in self._failures.values()]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def stop(self) -> None:
        """Take no more work and wait for what is under way."""
        with self._lock:
            self._stopped = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, key: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # one resource's failure must not stop the others
            log.exception("%s failed", key)
            self._note(key, f"{type(error).__name__}: {error}")
        else:
            with self._lock:
                self._failures.pop(key, None)
        finally:
            with self._lock:
                self._busy.discard(key)
            self._done()

    def _note(self, key: str, text: str) -> None:
        with self._lock:
            count = (self._failures[key].count if key in self._failures else 0) + 1
            pause = min(_FIRST_PAUSE_SECONDS * 2 ** (count - 1), _LONGEST_PAUSE_SECONDS)
            self._failures[key] = Failure(text, count, time.monotonic() + pause)
