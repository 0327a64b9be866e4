"""Waits that end: each says what it waits for and what it saw last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(
    what: str,
    look: Callable[[], tuple[bool, str]],
    *,
    timeout_seconds: float,
    interval_seconds: float = 5.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look until it is done or the time is up.

    The first looks come quickly and the interval doubles up to ``interval_seconds``, so that what is ready at once
    costs nothing and what takes minutes is not asked for too often.

    Parameters
    ----------
    what:
        What is waited for, for example ``EFS file system fs-1 to become available``.
    look:
        Returns whether it is done, and what was seen.
    timeout_seconds, interval_seconds:
        Bound of the whole wait and the longest pause between two looks.
    clock, sleep:
        For tests.

    Raises
    ------
    CheckopError
        The time is up; the message has what was waited for and what was seen last.
    """
    deadline = clock() + timeout_seconds
    pause = min(0.1, interval_seconds)
    while True:
        done, seen = look()
        if done:
            return
        if clock() >= deadline:
            raise CheckopError(
                f"Waited {timeout_seconds:.0f} s for {what}, last seen: {seen}. Nothing is lost: run the same "
                "command again to go on waiting."
            )
        sleep(pause)
        pause = min(pause * 2, interval_seconds)
