"""One thing that is wrong with the inventory, as a person can mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fact of the inventory that cannot work.

    Parameters
    ----------
    variable:
        Name of the variable, with the place in it, for example ``network_subnets: data-1a``.
    found:
        What stands there.
    allowed:
        What may stand there.
    mend:
        What to do, as a sentence without its full stop.
    """

    variable: str
    found: str
    allowed: str
    mend: str

    def __str__(self) -> str:
        """Write it as one line."""
        return f"{self.variable}: found {self.found}; allowed is {self.allowed}. {self.mend}."
