"""`checkop prune`: remove images that nothing needs any more. Tells what it would do, unless --apply is given."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.images import catalog, reach
from checkop.images.prune import Pruner, plan

NAME = "prune"
HELP = "Deprecate images that nothing reaches, and remove those whose waiting time is over; a dry run without --apply."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--apply", action="store_true", help="do it; without this nothing is changed")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Plan, tell and, with --apply, prune."""
    values = inventory.load(args.inventory)
    clients = Clients(values["aws_region"])
    guard(clients, values["aws_account_id"], values["aws_endpoint_url"])
    now = datetime.now(timezone.utc)
    amis = catalog.read(clients.ec2, values["checkop_environment"])
    actions = plan(amis, reach.Reach(clients, values).collect(), keep=values["image_keep"], now=now)
    removed = []
    if args.apply:
        pruner = Pruner(clients.ec2, timedelta(days=values["image_prune_wait_days"]), now)
        removed = pruner.apply(actions, lambda image: image not in reach.Reach(clients, values).collect())
    if args.json:
        data = {
            "applied": args.apply,
            "actions": [
                {"verb": action.verb, "image": action.ami.image_id, "name": action.ami.name, "reasons": action.reasons}
                for action in actions
            ],
            "removed": [asdict(each) for each in removed],
        }
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return 0
    for action in actions:
        sys.stdout.write(f"{action.verb:<10} {action.ami.image_id}  {action.ami.name}: {'; '.join(action.reasons)}\n")
    for each in removed:
        for snapshot, holder in each.left.items():
            sys.stdout.write(f"{'left':<10} {snapshot} of {each.image}: {holder}\n")
    if not args.apply and any(action.verb in {"deprecate", "restore", "remove"} for action in actions):
        sys.stdout.write("nothing was changed: run it again with --apply\n")
    return 0
