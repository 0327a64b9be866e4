"""`checkop rollout`: who rolls what, and the operator's word at a pause."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import inventory
from checkop.aws import Clients, guard
from checkop.errors import CheckopError
from checkop.ledger import Ledger
from checkop.rollout.lock import Lock, this_session

if TYPE_CHECKING:
    import argparse

    from checkop.ledger import Entry

NAME = "rollout"
HELP = "Say who rolls what since when; let a release that pauses go on (continue), or take it back (abort)."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("word", choices=["status", "continue", "abort"])
    parser.add_argument("-i", "--inventory", type=Path, default=Path("inventory/rehearsal"), help="inventory folder")


def run(args: argparse.Namespace) -> int:
    """Say or pass on."""
    values = inventory.load(args.inventory)
    clients, prefix = Clients(values["aws_region"]), values["ssm_prefix"]
    session = this_session(guard(clients, values["aws_account_id"], values["aws_endpoint_url"]))
    holder = Lock(clients.ssm, prefix, session).read()
    entry = Ledger(clients.ssm, prefix).get(holder.release) if holder is not None else None
    if args.word == "status":
        pause = f"; it waits for your word at {entry.waiting}" if entry is not None and entry.waiting else ""
        sys.stdout.write(f"{holder.sentence()}{pause}\n" if holder is not None else "nothing is under way\n")
        return 0
    if entry is None or not entry.open:
        raise CheckopError(
            "no release is under way that could hear it (checkop releases shows how the last one ended)."
        )
    if holder is not None and not holder.alive(session, datetime.now(timezone.utc)):
        raise CheckopError(
            f"no process is left that could receive it: {holder.sentence()}. Take the release back with "
            "playbooks/rollback.yml, or attach to it by running playbooks/rollout.yml again."
        )
    clients.ssm.put_parameter(
        Name=f"{prefix}/rollout/word",
        Value=json.dumps(make_word(entry, args.word, session.operator)),
        Type="String",
        Overwrite=True,
    )
    sys.stdout.write(f"release {entry.release} will hear: {args.word}\n")
    return 0


def make_word(entry: Entry, word: str, operator: str) -> dict[str, str]:
    """Return what the release's operator process is to hear.

    Raises
    ------
    CheckopError
        It is a continue, and the release does not pause.
    """
    if word == "continue" and not entry.waiting:
        raise CheckopError(
            f"release {entry.release} does not wait for a word now. A continue counts for one pause; say it when "
            "`checkop rollout status` names one."
        )
    return {"release": entry.release, "word": word, "waiting": entry.waiting, "operator": operator}
