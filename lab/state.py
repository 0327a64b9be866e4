"""The folder of one lab, and the slot of loopback addresses that it holds.

Everything that a lab makes lies in its state folder (`build/lab`, or `LAB_STATE_DIR`). Two labs on one machine
differ in the folder, and in the slot: slot N owns the addresses 127.(100+N).x.y.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.containers import STATE_ROOT
from lab.errors import LabError

SLOTS = 100
_FIRST_OCTET = 100
# Connections in this state listen: /proc/net/tcp, column `st` (include/net/tcp_states.h).
_LISTEN = "0A"
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class State:
    """Where one lab keeps what."""

    root: Path

    @property
    def lab_id(self) -> str:
        """A short name, unique on this machine, that prefixes the lab's containers and images."""
        return "lab-" + hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def control_socket(self) -> Path:
        """Unix socket on which the daemon takes commands."""
        return self.root / "control.sock"

    @property
    def log_file(self) -> Path:
        """The daemon's log; it outlives `lab down`."""
        return self.root / "lab.log"

    @property
    def instances(self) -> Path:
        """One folder per instance."""
        return self.root / "instances"

    @property
    def keys(self) -> Path:
        """Certificates and the operator's SSH key pair."""
        return self.root / "keys"

    @property
    def processes(self) -> Path:
        """One record per child process, so that `lab down` finds them after a crash."""
        return self.root / "processes"

    @property
    def run_file(self) -> Path:
        """Facts of the running lab, JSON."""
        return self.root / "lab.json"

    def run(self) -> dict[str, Any] | None:
        """Return the facts that the daemon wrote when it started, or None when there are none."""
        try:
            facts = json.loads(self.run_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def last_port(self) -> int:
        """Return the port of the last API of this folder, 0 before the first: a shell's exports stay right."""
        try:
            return int((self.root / "last_port").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def remember_port(self, port: int) -> None:
        """Keep the API's port for the next lab of this folder."""
        (self.root / "last_port").write_text(f"{port}\n", encoding="ascii")


def locate() -> State:
    """Return the state folder of this checkout, or the one that LAB_STATE_DIR names."""
    named = os.environ.get("LAB_STATE_DIR")
    return State((Path(named) if named else STATE_ROOT / "lab").resolve())


class Lock:
    """An advisory lock on a file that dies with its process (flock(2))."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 0.5) -> bool:
        """Take the lock; False when another process still has it after `patience` seconds.

        A little patience is needed because `held` takes the lock for a moment to see whether it can.
        """
        deadline = time.monotonic() + patience
        while not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _try(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return True

    def holder(self) -> int:
        """Return the process id of whoever took the lock last, 0 when nobody ever did."""
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def held(self) -> bool:
        """Tell whether some process has the lock."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def daemon_lock(state: State) -> Lock:
    """Return the lock that a daemon holds as long as it lives."""
    return Lock(state.root / "daemon.lock")


def daemon_alive(state: State) -> bool:
    """Tell whether a daemon serves this state folder."""
    return state.root.exists() and daemon_lock(state).held()


class Slot:
    """A block of loopback addresses, 127.(100+number).0.0/16, held as long as the process lives."""

    def __init__(self, number: int, lock: Lock) -> None:
        self.number = number
        self._lock = lock

    def address(self, third: int, fourth: int) -> str:
        """Return the address 127.(100+slot).third.fourth."""
        return f"127.{_FIRST_OCTET + self.number}.{third}.{fourth}"

    def release(self) -> None:
        """Let another lab have it."""
        self._lock.release()


def take_slot(folder: Path | None = None, busy: set[int] | None = None) -> Slot:
    """Take the first slot that no other lab holds and on whose addresses nothing listens.

    Args:
        folder: where the locks lie, the same for every lab of the machine.
        busy: second octets of loopback addresses that are in use; by default those that /proc/net/tcp shows.

    Raises:
        LabError: all slots are taken.
    """
    locks = folder or Path(tempfile.gettempdir()) / "checkop-lab-slots"
    in_use = _listening_octets() if busy is None else busy
    for number in range(SLOTS):
        if _FIRST_OCTET + number in in_use:
            continue
        lock = Lock(locks / f"{number:02d}")
        if lock.acquire(patience=0):
            return Slot(number, lock)
    raise LabError(
        f"All {SLOTS} blocks of loopback addresses are in use: end a lab with `lab down` in its own checkout."
    )


def _listening_octets() -> set[int]:
    """Return the second octet of every 127.x.y.z address on which something listens."""
    octets = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        address, state = fields[1].split(":")[0], fields[3]
        # The address is printed as a little-endian word: 127.150.1.12 is 0C01967F.
        if state == _LISTEN and address.endswith("7F"):
            octets.add(int(address[4:6], 16))
    return octets
