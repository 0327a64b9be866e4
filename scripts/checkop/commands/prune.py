"""`checkop prune`: remove images that nothing needs any more. Tells what it would do, unless --apply is given."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.images import catalog, reach
from checkop.images.prune import Pruner, plan
from checkop.images.recall import region_clients

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from checkop.images.prune import Action, Removed

NAME = "prune"
HELP = "Deprecate images that nothing reaches, and remove those whose waiting time is over; a dry run without --apply."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--apply", action="store_true", help="do it; without this nothing is changed")
    parser.add_argument("--json", action="store_true", help="for machines")


@dataclass
class Pruned:
    """What was planned and removed in one region."""

    region: str
    actions: list[Action]
    removed: list[Removed]


def run(args: argparse.Namespace) -> int:
    """Plan, tell and, with --apply, prune."""
    values = inventory.load(args.inventory)
    home, *abroad = region_clients(values, Clients).values()
    guard(home, values["aws_account_id"], values["aws_endpoint_url"])
    now = datetime.now(timezone.utc)
    first = _prune(home, values, set(), now, keep=values["image_keep"], apply=args.apply)
    originals = {action.ami.name for action in first.actions if action.verb != "remove"}
    pruned = [first, *(_prune(clients, values, originals, now, keep=0, apply=args.apply) for clients in abroad)]
    if args.json:
        sys.stdout.write(json.dumps(_as_data(pruned, applied=args.apply), indent=2) + "\n")
    else:
        _print(pruned, applied=args.apply)
    return 0


def _prune(
    clients: Clients, values: Mapping[str, Any], originals: set[str], now: datetime, *, keep: int, apply: bool
) -> Pruned:
    """Plan for one region and carry it out; copies stay as long as an image of `originals` has their name."""
    amis = catalog.read(clients.ec2, values["checkop_environment"])
    reasons = reach.Reach(clients, values).collect()
    for ami in amis:
        if ami.name in originals:
            reasons.setdefault(ami.image_id, []).append(f"copy of an image that is still in {values['aws_region']}")
    actions = plan(amis, reasons, keep=keep, now=now)
    if not apply:
        return Pruned(clients.region, actions, [])
    pruner = Pruner(clients.ec2, timedelta(days=values["image_prune_wait_days"]), now)
    removed = pruner.apply(actions, lambda image: image not in reach.Reach(clients, values).collect())
    return Pruned(clients.region, actions, removed)


def _as_data(pruned: Sequence[Pruned], *, applied: bool) -> dict[str, Any]:
    return {
        "applied": applied,
        "actions": [
            {
                "region": each.region,
                "verb": action.verb,
                "image": action.ami.image_id,
                "name": action.ami.name,
                "reasons": action.reasons,
            }
            for each in pruned
            for action in each.actions
        ],
        "removed": [{"region": each.region, **asdict(removed)} for each in pruned for removed in each.removed],
    }


def _print(pruned: Sequence[Pruned], *, applied: bool) -> None:
    for each in pruned:
        for action in each.actions:
            what = f"{action.ami.image_id} in {each.region}  {action.ami.name}"
            sys.stdout.write(f"{action.verb:<10} {what}: {'; '.join(action.reasons)}\n")
        for removed in each.removed:
            for snapshot, holder in removed.left.items():
                sys.stdout.write(f"{'left':<10} {snapshot} of {removed.image}: {holder}\n")
    planned = {action.verb for each in pruned for action in each.actions}
    if not applied and planned & {"deprecate", "restore", "remove"}:
        sys.stdout.write("nothing was changed: run it again with --apply\n")
