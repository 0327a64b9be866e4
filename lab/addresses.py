"""Loopback addresses as public and Elastic IP addresses.

Fresh addresses are preferred over returned ones: an SSH client that remembers a host key by its address must not meet a
younger instance there.
"""

from __future__ import annotations

import threading
from collections import deque

from lab.errors import LabError


class Pool:
    """Addresses that are taken and given back; safe to use from any thread."""

    def __init__(self, addresses: list[str]) -> None:
        self._free = deque(addresses)
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(self) -> str:
        """Return an address that nobody holds, the one that lay unused longest.

        Raises:
            LabError: all are held.
        """
        with self._lock:
            if not self._free:
                raise LabError(f"All {len(self._taken)} addresses of the pool are in use: release or terminate some.")
            address = self._free.popleft()
            self._taken.add(address)
            return address

    def release(self, address: str) -> bool:
        """Put an address back; False when this pool did not hand it out."""
        with self._lock:
            if address not in self._taken:
                return False
            self._taken.discard(address)
            self._free.append(address)
            return True
