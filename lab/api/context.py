"""What the replaced backends share: the runtime's hooks, the clock and the lock.

moto creates its backends itself, with a region and an account only, so what they need beyond those is looked up here.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from lab.api.hooks import Hooks

ACCOUNT = "123456789012"
REGION = "us-east-1"

Clock = Callable[[], float]


@dataclass(frozen=True)
class Settings:
    """Durations that AWS fixes and that a rehearsal may shorten; all in seconds."""

    # An instance refresh that makes no progress for so long fails, as with Amazon EC2 Auto Scaling after one hour.
    refresh_patience: float = 3600
    # After a launch failed, the group tries again so much later.
    launch_retry: float = 10


@dataclass
class Context:
    """One running cloud."""

    hooks: Hooks
    clock: Clock = time.time
    settings: Settings = field(default_factory=Settings)
    # Held while a request is answered and while the state machines move: moto is not made for threads.
    lock: threading.RLock = field(default_factory=threading.RLock)


_current: list[Context] = []


def enter(context: Context) -> None:
    """Make a context the current one.

    Raises RuntimeError when another cloud runs in this process: moto's state is global.
    """
    if _current:
        raise RuntimeError("a rehearsal cloud already runs in this process; stop it first")
    _current.append(context)


def leave(context: Context) -> None:
    """Forget the context; no error when it is not the current one."""
    if context in _current:
        _current.remove(context)


def current() -> Context:
    """Return the context of the running cloud.

    Raises RuntimeError when none runs.
    """
    if not _current:
        raise RuntimeError("no rehearsal cloud runs in this process")
    return _current[0]


def now() -> float:
    """Return the cloud's time in seconds since the epoch."""
    return current().clock()


def moment(seconds: float) -> datetime:
    """Return seconds since the epoch as the aware time that API answers carry."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc)
