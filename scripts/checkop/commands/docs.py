"""`checkop docs`: make the READMEs of roles from their argument specs, or prove that they are up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from checkop import role_docs
from checkop.errors import CheckopError

if TYPE_CHECKING:
    import argparse

NAME = "docs"
HELP = "make the READMEs of roles from their argument specs, or prove with --check that they are up to date"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a README is out of date")
    parser.add_argument("--roles", type=Path, default=Path("roles"), help="folder of the roles (default: roles)")
    parser.add_argument(
        "--molecule", type=Path, default=Path("molecule"), help="folder of the scenarios (default: molecule)"
    )


def run(args: argparse.Namespace) -> int:
    """Write or check; returns 1 if something is wrong, and says what, with the mend."""
    every = sorted(path for path in args.roles.iterdir() if path.is_dir()) if args.roles.is_dir() else []
    # Roles of AWS use the inventory's variables as they are, and describe none; what has a scenario runs on hosts.
    folders = [path for path in every if (path / role_docs.SPEC).is_file() or any(args.molecule.glob(f"{path.name}-*"))]
    if not folders:
        raise CheckopError(f"there are no roles in {args.roles}: run this in the repository's root, or give --roles.")
    wrong = []
    for folder in folders:
        try:
            role = role_docs.read(folder, args.molecule)
        except CheckopError as error:
            wrong.append(str(error))
            continue
        wrong += role_docs.disagreements(role)
        readme, wanted = folder / role_docs.README, role_docs.render(role)
        if readme.is_file() and readme.read_text(encoding="utf-8") == wanted:
            continue
        if args.check:
            wrong.append(f"{readme} is out of date: run `checkop docs`.")
        else:
            readme.write_text(wanted, encoding="utf-8")
            print(readme)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0
