"""`checkop releases`: what was rolled out, when, by whom, and how it ended."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import inventory
from checkop.aws import Clients
from checkop.ledger import Ledger

if TYPE_CHECKING:
    import argparse

    from checkop.ledger import Entry

NAME = "releases"
HELP = "List the releases of the ledger, the newest first."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Print the ledger."""
    values = inventory.load(args.inventory)
    entries = Ledger(Clients(values["aws_region"]).ssm, values["ssm_prefix"]).entries()
    if args.json:
        sys.stdout.write(json.dumps([asdict(entry) | {"seconds": entry.seconds} for entry in entries], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(table(entries)) + "\n")
    return 0


def table(entries: list[Entry]) -> list[str]:
    """Return the ledger as lines of columns."""
    rows = [("RELEASE", "RESULT", "WHAT", "APPLICATION", "IMAGE", "TEMPLATE", "STARTED (UTC)", "SECONDS", "BY")]
    rows += [
        (
            entry.release,
            entry.result,
            f"back to {entry.of_release}" if entry.of_release else entry.strategy,
            entry.application_version or "-",
            entry.image,
            str(entry.template_version or "-"),
            entry.started[:19].replace("T", " "),
            f"{entry.seconds:.0f}" if entry.seconds is not None else "-",
            entry.operator,
        )
        for entry in entries
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
