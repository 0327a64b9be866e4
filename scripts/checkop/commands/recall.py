"""`checkop recall`: bar an image everywhere, and say who runs it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.images import recall

NAME = "recall"
HELP = "Bar an image everywhere, so that it is never rolled out again, and say who runs it."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("image", help="id of the AMI in the environment's region")
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--reason", default="", help="why it must not be used")
    what.add_argument("--lift", action="store_true", help="take the recall back")
    parser.add_argument("--dry-run", action="store_true", help="tell, and change nothing")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Recall, or lift a recall."""
    values = inventory.load(args.inventory)
    regions = recall.region_clients(values, Clients)
    guard(regions[values["aws_region"]], values["aws_account_id"], values["aws_endpoint_url"])
    if args.lift:
        done = recall.lift(regions, values, args.image, dry_run=args.dry_run)
    else:
        done = recall.recall(regions, values, args.image, args.reason, dry_run=args.dry_run)
    if args.json:
        sys.stdout.write(json.dumps(asdict(done), indent=2) + "\n")
        return 0
    would = "would be " if args.dry_run else ""
    word = "free again" if args.lift else "barred"
    for region, ids in done.barred.items():
        sys.stdout.write(f"{', '.join(ids)} in {region}: {would}{word}\n")
    for user in done.used_by:
        sys.stdout.write(f"still used by {user}\n")
    if not args.lift:
        sys.stdout.write(f"newest verified image: {done.verified_now or 'none; bake one before the next rollout'}\n")
    return 0
