"""`checkop images`: every image of the environment, what it is, why it stays, and what it costs."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.images import catalog, reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from checkop.images.catalog import Ami

NAME = "images"
HELP = "List the environment's images: in service, ways back, verified, recalled, age, cost."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    values = inventory.load(args.inventory)
    clients = Clients(values["aws_region"])
    guard(clients, values["aws_account_id"], values["aws_endpoint_url"])
    amis = catalog.read(clients.ec2, values["checkop_environment"])
    reasons = reach.Reach(clients, values).collect()
    now = datetime.now(timezone.utc)
    rows = [as_row(ami, reasons.get(ami.image_id, []), now) for ami in amis]
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(table(rows)) + "\n")
    return 0


def as_row(ami: Ami, reasons: list[str], now: datetime) -> dict[str, Any]:
    """Return one image as plain data; `age_days` is counted to `now`, `usd_a_month` is at most."""
    return {
        "image": ami.image_id,
        "name": ami.name,
        "application_version": ami.version,
        "state": state(ami, reasons),
        "verified": ami.verified,
        "recalled": ami.recalled,
        "prune_after": ami.prune_after.isoformat() if ami.prune_after else "",
        "age_days": round((now - ami.created).total_seconds() / 86400, 1),
        "size_gb": ami.size_gb,
        "usd_a_month": round(ami.usd_a_month, 2),
        "reached_by": reasons,
    }


def state(ami: Ami, reasons: list[str]) -> str:
    """Name what matters most about an image in a word or two."""
    if ami.recalled:
        return "recalled"
    if "SSM image/in_service" in reasons:
        return "in service"
    if any(reason.startswith("release ") for reason in reasons):
        return "way back"
    if ami.verified:
        return "going" if ami.prune_after else "verified"
    return "unverified"


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rows as lines of columns, with the sum of the costs."""
    if not rows:
        return ["no image yet: make one with checkop bake (docs/bake.md)"]
    cells = [("IMAGE", "APPLICATION", "STATE", "AGE (DAYS)", "GB", "USD/MONTH (AT MOST)", "NAME", "REACHED BY")]
    for row in rows:
        reached = list(row["reached_by"])
        cells.append(
            (
                row["image"],
                row["application_version"] or "-",
                row["state"],
                f"{row['age_days']:.1f}",
                str(row["size_gb"]),
                f"{row['usd_a_month']:.2f}",
                row["name"],
                (reached[0] + (f" and {len(reached) - 1} more" if len(reached) > 1 else "")) if reached else "-",
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    total = sum(row["usd_a_month"] for row in rows)
    return [*lines, f"{len(rows)} images, {total:.2f} USD a month at most"]
