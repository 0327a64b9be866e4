"""Variables that are missing, and names that nobody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.validate.catalogue import VARIABLES
from checkop.validate.finding import Finding
from checkop.validate.kinds import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIXES = tuple(sorted({f"{name.partition('_')[0]}_" for name in VARIABLES}))


def check_names(names: Iterable[str]) -> list[Finding]:
    """Give the variables that are missing, and names that look like variables of ours and are none.

    A name counts as meant for this toolkit when it begins like one of its concerns, or is a letter or two away from a
    known name.
    """
    present = set(names)
    findings = [
        Finding(name, "nothing", "a value", f"Add it to group_vars of the inventory{_slip(name, present)}")
        for name in VARIABLES
        if name not in present
    ]
    for name in sorted(present - set(VARIABLES)):
        meant = nearest(name, VARIABLES)
        if meant is None and not name.startswith(PREFIXES):
            continue
        mend = f"Write {meant}" if meant else "Remove it, or add it to checkop/validate/catalogue.py with what reads it"
        findings.append(Finding(name, "an unknown variable", "a name of the inventory", mend))
    return findings


def _slip(name: str, present: set[str]) -> str:
    unknown = nearest(name, present - set(VARIABLES))
    return f"; {unknown} stands there instead" if unknown else ""
