"""`checkop forecast`: what a rollout would take, step by step, and what it would be refused for; nothing is changed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.progress import tell
from checkop.rollout import operations
from checkop.rollout.kit import tools
from checkop.rollout.settings import from_options

if TYPE_CHECKING:
    import argparse

NAME = "forecast"
HELP = "Say how long a rollout would take, step by step, and what it would be refused for."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--image", default="latest", help="AMI id; by default the newest verified one")
    parser.add_argument("--strategy", choices=["rolling", "blue_green"], help="by default the inventory's")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Print the forecast; the exit status is 1 when the rollout would be refused."""
    values = inventory.load(args.inventory)
    clients = Clients(values["aws_region"])
    guard(clients, values["aws_account_id"], values["aws_endpoint_url"])
    settings = from_options(values["rollout_settings"])
    settings = replace(settings, strategy=args.strategy or settings.strategy)
    refused, found = operations.preview(tools(clients, settings, lambda _: None), settings, args.image)
    if args.json:
        steps = [{"step": line.text, "seconds": round(line.seconds, 1)} for line in found.lines]
        data = {"refused": refused, "steps": steps, "seconds": round(found.seconds, 1), "measured": found.measured}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(found.table()) + "\n")
        for reason in refused:
            tell(f"would be refused: {reason}")
    return 1 if refused else 0
