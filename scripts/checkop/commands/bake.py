"""`checkop bake`: make a tested AMI of one application version, or find that it exists."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.bake import publication
from checkop.bake import request as requests
from checkop.bake.run import Bake, Outcome
from checkop.errors import CheckopError
from checkop.progress import tell
from checkop.validate import report, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "bake"
HELP = "Bake the base-chop AMI with Packer, pass it through its gates and publish it."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--version", default="", help="application version, for example 1.4.0")
    parser.add_argument("--archive", default="", help="the release: a path, s3://bucket/key or https address")
    parser.add_argument("--sha256", default="", help="SHA-256 of the archive")
    parser.add_argument(
        "--from",
        dest="origin",
        choices=["source", "instance"],
        default="source",
        help="from the CentOS 7 AMI and the roles (source), or from a copy of the running hub (instance)",
    )
    parser.add_argument("--source-ami", default="", help="AMI to start from instead of the inventory's")
    parser.add_argument("--operator-cidr", action="append", default=[], help="address that may reach the builder")
    parser.add_argument("--force", action="store_true", help="bake even if a verified image has the same key")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="tell what would be baked, and change nothing")
    instead.add_argument("--verify", default="", metavar="AMI", help="bake nothing: pass this image through the gates")
    instead.add_argument(
        "--clear", default="", metavar="RUN", help="bake nothing: remove what a killed bake left (tag checkop:bake-run)"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Bake."""
    values = inventory.load(args.inventory)
    if findings := validate(values):
        raise CheckopError(report(findings))
    clients = Clients(values["aws_region"])
    if args.verify or args.clear:
        guard(clients, values["aws_account_id"], values["aws_endpoint_url"])
        version = publication.version_of(clients.ec2, args.verify) if args.verify else ""
        request = requests.Request(args.inventory, version)
    else:
        request = requests.make(
            args.inventory,
            values,
            version=args.version,
            archive=args.archive,
            sha256=args.sha256,
            origin=args.origin,
            source_ami_id=args.source_ami,
            force=args.force,
        )
        guard(clients, values["aws_account_id"], values["aws_endpoint_url"])
    bake = Bake(clients, values, request, args.operator_cidr or values["perimeter_administrator_cidrs"], say)
    if args.clear:
        removed = bake.clear(args.clear)
        sys.stdout.write(json.dumps(removed) + "\n" if args.json else f"removed: {', '.join(removed)}\n")
        return 0
    if args.dry_run:
        return _dry_run(bake, as_json=args.json)
    with termination_is_an_interrupt():
        outcome = bake.verify(args.verify) if args.verify else bake.run()
    _print(outcome, as_json=args.json)
    return 0


def say(text: str) -> None:
    """Tell the person who waits."""
    tell(f"checkop bake: {text}")


@contextmanager
def termination_is_an_interrupt() -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP end the bake in order, so that everything it made is removed.

    A terminal's end (SIGHUP) is one of them unless it is ignored, as under nohup(1).
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def interrupt(_number: int, _frame: object) -> None:
        # A second one would stop the cleaning up halfway; every wait in there has a bound.
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _dry_run(bake: Bake, *, as_json: bool) -> int:
    source, key = bake.plan()
    existing = bake.unchanged(key.digest)
    if as_json:
        data = {"key": key.digest, "parts": key.parts, "source_ami": source, "image": existing or None}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return 0
    for name, digest in key.parts.items():
        sys.stdout.write(f"{name:<28} {digest[:16]}\n")
    verdict = f"nothing to bake: {existing} is verified and has it" if existing else "would bake"
    sys.stdout.write(f"{'bake key':<28} {key.digest[:16]}: {verdict}\n")
    return 0


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(outcome), indent=2) + "\n")
        return
    if outcome.skipped:
        sys.stdout.write(f"{outcome.image} is verified and has the same inputs (key {outcome.key[:16]}): not baked\n")
        return
    timings = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in outcome.timings.items())
    sys.stdout.write(f"{outcome.image} is verified and published ({timings})\n")
