"""`checkop releases`: what was rolled out, when, by whom, and how it ended; and what two releases differ in."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.bake import manifest
from checkop.bake.manifest_store import ManifestStore
from checkop.errors import CheckopError
from checkop.ledger import Ledger, find

if TYPE_CHECKING:
    import argparse

    from checkop.ledger import Entry

NAME = "releases"
HELP = "List the releases, the newest first; `releases diff A B` says what two of them differ in."
# What a release is made of, as a diff compares it.
COMPARED = ("application_version", "git_revision", "image", "image_name", "template_version")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", nargs="*", metavar="diff A B", help="compare releases A and B")
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")
    parser.add_argument("--json", action="store_true", help="for machines")


def run(args: argparse.Namespace) -> int:
    """Print the ledger, or a difference."""
    values = inventory.load(args.inventory)
    clients = Clients(values["aws_region"])
    guard(clients, values["aws_account_id"], values["aws_endpoint_url"])
    entries = Ledger(clients.ssm, values["ssm_prefix"]).entries()
    if not args.what:
        if args.json:
            rows = [asdict(entry) | {"seconds": entry.seconds} for entry in entries]
            sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        else:
            sys.stdout.write("\n".join(table(entries)) + "\n")
        return 0
    match args.what:
        case ["diff", first, second]:
            before, after = find(entries, first), find(entries, second)
        case _:
            raise CheckopError(
                f"{' '.join(args.what)!r} is not known; say `checkop releases diff 6 7`, or nothing to list."
            )
    parts = contents(before, after, ManifestStore(clients.s3, values["image_manifest_bucket"]))
    if args.json:
        sys.stdout.write(
            json.dumps({"release": changes(before, after), "image": manifest.as_json(parts)}, indent=2) + "\n"
        )
    else:
        lines = [f"{name}: {old or '-'} -> {new or '-'}" for name, (old, new) in changes(before, after).items()]
        sys.stdout.write("\n".join([*lines, *manifest.lines(parts)]) + "\n")
    return 0


def changes(before: Entry, after: Entry) -> dict[str, tuple[Any, Any]]:
    """Return which facts of two releases differ, name -> (before, after)."""
    old, new = asdict(before), asdict(after)
    return {name: (old[name], new[name]) for name in COMPARED if old[name] != new[name]}


def contents(before: Entry, after: Entry, manifests: ManifestStore) -> dict[str, manifest.Difference]:
    """Return what the images of two releases differ in: packages, files, units, inputs.

    Raises
    ------
    CheckopError
        An image has no manifest.
    """
    if before.image == after.image:
        return {}
    return manifest.differences(*(_manifest_of(entry, manifests) for entry in (before, after)))


def _manifest_of(entry: Entry, manifests: ManifestStore) -> dict[str, Any]:
    found = manifests.load(entry.image)
    if found is None:
        raise CheckopError(
            f"{manifests.place(entry.image)} is not there: image {entry.image} of release {entry.release} was verified "
            "on another machine than it was baked on (checkop bake --verify), so that its packages are not known."
        )
    return found


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
