"""Variables that are missing, and names that nobody reads."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from checkop.validate.catalogue import VARIABLES
from checkop.validate.finding import Finding
from checkop.validate.kinds import ALIKE_WORDS, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the playbooks themselves take with -e, beside the inventory's variables.
PLAYBOOK_VARIABLES = frozenset(
    ("confirm", "drift_report", "final_snapshot", "host_group", "image", "instance", "pause", "size", "strategy", "to")
)
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
    for name in sorted(present - set(VARIABLES) - PLAYBOOK_VARIABLES):
        meant = nearest(name, VARIABLES)
        if meant is None and not name.startswith(PREFIXES):
            continue
        mend = f"Write {meant}" if meant else "Remove it, or add it to checkop/validate/catalogue.py with what reads it"
        findings.append(Finding(name, "an unknown variable", "a name of the inventory", mend))
    return findings


def _slip(name: str, present: set[str]) -> str:
    unknown = nearest(name, present - set(VARIABLES))
    return f"; {unknown} stands there instead" if unknown else ""


def check_extra_variables(names: Iterable[str]) -> list[Finding]:
    """Give the variables of the command line that nothing reads: a slip there would silently mean the default."""
    known = {*VARIABLES, *PLAYBOOK_VARIABLES}
    findings = []
    for name in sorted(set(names) - known):
        if name.startswith("ansible_"):
            continue
        near = difflib.get_close_matches(name, known, n=3, cutoff=ALIKE_WORDS)
        remedy = f"Write {' or '.join(near)}" if near else "Remove it"
        findings.append(
            Finding(name, "an unknown variable after -e", "a variable of the inventory or of the playbook", remedy)
        )
    return findings
