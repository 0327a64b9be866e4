"""Progress for a person who waits, on stderr: stdout is for data."""

from __future__ import annotations

import sys
from contextlib import suppress


def tell(text: str) -> None:
    """Write a line. A terminal that is gone does not keep the work, or its cleaning up, from going on."""
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
