"""The `lab` command: data on stdout, progress on stderr, exit status 0 (done), 1 (refused or failed), 2 (usage)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from lab import control, exports, lifecycle, preflight, report
from lab.errors import LabError
from lab.state import State, locate

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of the rehearsal cloud.

    Args:
        argv: arguments without the program's name; by default those of the process.

    Returns:
        Exit status for the shell.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.run(locate(), args))
    except LabError as error:
        sys.stderr.write(f"lab {args.command}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"lab {args.command}: interrupted\n")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="A rehearsal cloud on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the rehearsal cloud; says so when it runs already")
    up.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="return when it is ready (the default)"
    )
    up.set_defaults(run=_up)
    commands.add_parser("env", help='print export lines: eval "$(lab env)"').set_defaults(run=_env)
    status = commands.add_parser("status", help="show what runs")
    status.add_argument("--json", action="store_true", help="for machines")
    status.set_defaults(run=_status)
    logs = commands.add_parser("logs", help="print the lab's log, or an instance's console")
    logs.add_argument("instance_id", nargs="?", metavar="INSTANCE", help="its console instead of the lab's log")
    logs.add_argument("--lines", type=int, default=100, help="the last so many (default: 100)")
    logs.set_defaults(run=_logs)
    commands.add_parser("down", help="end it and remove everything it made").set_defaults(run=_down)
    _add_faults(commands.add_parser("fault", help="let something go wrong"))
    return parser


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_fault)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")

    def kind(name: str, text: str) -> argparse.ArgumentParser:
        return kinds.add_parser(name, help=text, description=text)

    for name, text in (
        ("kill-instance", "end an instance at once, as a failed machine does"),
        ("hang-app", "stop the application's processes on an instance"),
        ("resume-app", "let a hung application go on"),
    ):
        kind(name, text).add_argument("instance_id", metavar="INSTANCE")
    for name, text in (
        ("cut-zone", "cut a zone's instances and balancer node off"),
        ("restore-zone", "connect a zone again"),
    ):
        kind(name, text).add_argument("zone", metavar="ZONE")
    alarm = kind("alarm", "set an alarm's state")
    alarm.add_argument("name", metavar="ALARM")
    alarm.add_argument("--state", choices=("OK", "ALARM", "INSUFFICIENT_DATA"), default="ALARM")
    for name, text in (("api-throttle", "throttle calls of the API"), ("api-fail", "fail calls of the API")):
        api = kind(name, text)
        api.add_argument("--every", type=int, default=10, help="every n-th call (default: 10)")
        api.add_argument("--service", help="only calls of this service, for example ec2")
        api.add_argument("--operation", help="only this operation, for example DescribeImages")
        api.add_argument("--times", type=int, help="end after so many failures")
    kind("api-restore", "answer every call of the API again")
    for name, text in (
        ("full-file-system", "leave no space on a file system"),
        ("hang-file-system", "let every access to a file system wait"),
        ("restore-file-system", "let a file system answer and give its space back"),
    ):
        kind(name, text).add_argument("file_system_id", nargs="?", metavar="FILE_SYSTEM")
    database = kind("stop-database", "take a database away for a while")
    database.add_argument("identifier", nargs="?", metavar="DATABASE")
    database.add_argument("--seconds", type=float, default=20, help="for so long (default: 20)")
    kind("drain-broken", "cut deregistered targets off at once")
    kind("drain-restore", "let deregistered targets finish what they answer")
    slow = kind("slow-boot", "let instances take longer to start")
    slow.add_argument("--seconds", type=float, default=20, help="so much longer; 0 ends it (default: 20)")
    kind("clear", "end every fault that lasts")


def _up(state: State, args: argparse.Namespace) -> int:
    run = state.run() if lifecycle.alive(state) else None
    last = [f"http://127.0.0.1:{port}" for port in (state.last_port(),) if port]
    if problems := preflight.problems(state.root, ours=tuple(last)):
        raise LabError(problems[0])
    if run is not None:
        sys.stderr.write(f"lab up: a lab already runs in {state.root}, API {run['endpoint']}\n")
        return 0
    lifecycle.start(state, _say, wait=args.wait)
    return 0


def _env(state: State, _args: argparse.Namespace) -> int:
    found = control.ask(state, "names")
    run = state.run()
    if run is None:
        raise LabError(f"No lab runs in {state.root}: start one with `lab up`.")
    sys.stdout.write(exports.shell_lines(exports.variables(run, exports.resolve(found))))
    return 0


def _status(state: State, args: argparse.Namespace) -> int:
    status = control.ask(state, "status")
    print(json.dumps(status, indent=2) if args.json else report.table(status))
    return 0


def _logs(state: State, args: argparse.Namespace) -> int:
    if args.instance_id:
        lines = str(control.ask(state, "console", {"instance_id": args.instance_id})).splitlines()
        print("\n".join(lines[-args.lines :]))
        return 0
    try:
        lines = state.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError as error:
        raise LabError(f"There is no log in {state.root}: no lab has run there.") from error
    print("\n".join(lines[-args.lines :]))
    return 0


def _down(state: State, _args: argparse.Namespace) -> int:
    for sentence in lifecycle.stop(state):
        _say(sentence)
    return 0


def _fault(state: State, args: argparse.Namespace) -> int:
    arguments = {name: value for name, value in vars(args).items() if name not in {"run", "command"}}
    print(control.ask(state, "fault", arguments))
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    raise SystemExit(main())
