"""`checkop validate`: what is wrong with an inventory, without a call to AWS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import inventory
from checkop.validate import report, validate

if TYPE_CHECKING:
    import argparse

NAME = "validate"
HELP = "Say what is wrong with an inventory: names, values, and what does not fit together."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "-i",
        "--inventory",
        type=Path,
        default=Path("inventory/rehearsal"),
        metavar="FOLDER",
        help="folder of the inventory (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Print what is wrong; exit status 1 if anything is."""
    findings = validate(*inventory.resolve(args.inventory))
    if findings:
        sys.stdout.write(report(findings) + "\n")
        return 1
    sys.stdout.write(f"{args.inventory} is fine\n")
    return 0
