"""The `checkop` command: data on stdout, progress on stderr, exit status 0 (done), 1 (refused or failed), 2 (usage)."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from checkop import commands
from checkop.errors import CheckopError
from checkop.progress import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


class Command(Protocol):
    """What a module in `checkop.commands` offers."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's options to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work and return the exit status."""


def discover() -> list[Command]:
    """Import every module of `checkop.commands`, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
    return [cast("Command", importlib.import_module(f"{commands.__name__}.{name}")) for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Parameters
    ----------
    argv:
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status for the shell.
    """
    parser = argparse.ArgumentParser(prog="checkop", description="CheckOP's environment on AWS.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in discover():
        subparser = subparsers.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.configure(subparser)
        subparser.set_defaults(run=command.run)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except CheckopError as error:
        tell(f"checkop {args.command}: {error}")
        return 1
    except (BotoCoreError, ClientError) as error:
        tell(f"checkop {args.command}: AWS answered: {error}")
        return 1
    except KeyboardInterrupt:
        tell(f"checkop {args.command}: interrupted; run it again to go on")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
