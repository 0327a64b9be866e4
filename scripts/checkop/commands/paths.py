"""`checkop paths`: which flows pass the perimeter, proved from the inventory without a call to AWS."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import inventory
from checkop.paths import model
from checkop.paths.proof import Prover

if TYPE_CHECKING:
    import argparse

NAME = "paths"
HELP = "Prove from the inventory that every wanted flow passes the perimeter and no forbidden one does."


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
    parser.add_argument("--unused", action="store_true", help="also list rules that no wanted flow needs")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")


def run(args: argparse.Namespace) -> int:
    """Print one line per flow; exit status 1 if one is not as it should be."""
    perimeter = model.parse(inventory.load(args.inventory))
    prover = Prover(perimeter)
    verdicts = [prover.judge(flow, wanted=True) for flow in perimeter.wanted]
    unused = prover.unused()
    verdicts += [prover.judge(flow, wanted=False) for flow in perimeter.forbidden]
    ok = all(verdict.ok for verdict in verdicts)
    if args.json:
        flows = [
            {
                "flow": str(verdict.flow),
                "wanted": verdict.wanted,
                "passes": verdict.passes,
                "ok": verdict.ok,
                "because": list(verdict.because),
            }
            for verdict in verdicts
        ]
        sys.stdout.write(json.dumps({"ok": ok, "flows": flows, "unused": unused}, indent=2) + "\n")
        return 0 if ok else 1
    for verdict in verdicts:
        sys.stdout.write(f"{'ok     ' if verdict.ok else 'REFUSED'} {verdict}\n")
    if args.unused:
        for line in unused:
            sys.stdout.write(f"unused  {line}\n")
    return 0 if ok else 1
