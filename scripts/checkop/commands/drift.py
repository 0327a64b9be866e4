"""`checkop drift`: does AWS still equal the inventory?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from checkop.drift.comparison import compare
from checkop.drift.report import as_data, as_text, exit_status

if TYPE_CHECKING:
    import argparse

NAME = "drift"
HELP = "Say whether AWS still equals the inventory: exit status 0 equal, 2 drift, 1 could not compare."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-i",
        "--inventory",
        type=Path,
        action="append",
        help="inventory folder or file, several times if need be (default: inventory/rehearsal)",
    )
    parser.add_argument("-t", "--tags", default="", help="systems to compare, for example storage,database")
    parser.add_argument("-e", "--extra-vars", action="append", default=[], help="as for ansible-playbook")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--output", type=Path, help="also write the report as JSON to this file")


def run(args: argparse.Namespace) -> int:
    """Compare and print the report."""
    inventories = args.inventory or [Path("inventory/rehearsal")]
    report = compare(inventories, tags=[tag for tag in args.tags.split(",") if tag], extra_vars=args.extra_vars)
    name = ", ".join(os.path.relpath(inventory) for inventory in inventories)
    data = json.dumps(as_data(report, name), indent=2, default=str) + "\n"
    if args.output:
        args.output.write_text(data, encoding="utf-8")
    if args.json:
        sys.stdout.write(data)
    else:
        sys.stdout.write("\n".join(as_text(report, name)) + "\n")
    return exit_status(report)
