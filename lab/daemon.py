"""The lab's one process: the AWS API, the reconciler, and the control socket.

Started by `lab up` as `python -m lab.daemon`. It reports its start on standard output, a JSON object a line
(`progress`, then `ready` or `failed`), and everything else in its log.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab import cleanup, exports, report
from lab.assembly import Lab
from lab.control import ControlServer
from lab.errors import LabError
from lab.state import State, daemon_lock

log = logging.getLogger("lab")

# How often the daemon looks whether its folder is still there: nobody could reach it any more otherwise.
_LOOK_SECONDS = 5.0


class Daemon:
    """Builds a lab, serves it until it is told to end, and takes it apart.

    Args:
        state: its folder.
        host_image: what is known of the container image behind the upstream AMI; its name is `reference`.
    """

    def __init__(self, state: State, host_image: dict[str, str]) -> None:
        self._state = state
        self._host_image = host_image
        self._ending = threading.Event()

    def end(self) -> None:
        """Let `serve` return."""
        self._ending.set()

    def serve(self) -> None:
        """Run the lab; returns when it is told to end, with everything removed.

        Raises:
            LabError: the lab cannot start; what was begun is removed.
        """
        with ExitStack() as stack:
            folder = os.open(self._state.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(self._remove_all, folder)
            announce("progress", "keys, file systems, balancer and API start")
            lab = Lab(self._state, self._host_image["reference"], stack)
            control = ControlServer(self._state.control_socket, lambda *request: self._answer(lab, *request))
            stack.callback(control.close)
            lab.start()
            announce("ready", self._state.run())
            log.info("ready")
            while not self._ending.wait(_LOOK_SECONDS) and self._state.run_file.exists():
                pass
            log.info("ending" if self._ending.is_set() else "ending, because the state folder was taken away")

    def _remove_all(self, folder: int) -> None:
        """Remove everything, also when `rm` or a tool that clears temporary folders was there before us."""
        where = Path(os.readlink(f"/proc/self/fd/{folder}"))  # noqa: PTH115 (a name of the kernel's, not a file's)
        os.close(folder)
        cleanup.remove_all(self._state, None if where == self._state.root else where)

    def _answer(self, lab: Lab, command: str, arguments: dict[str, Any]) -> Any:
        """Carry out a command of `lab.control`."""
        if command == "status":
            facts = {"lab": self._state.run(), "host_image": self._host_image}
            return {**facts, **report.collect(lab.runtime, lab.reconciler, lab.desk)}
        if command == "names":
            balancer = lab.runtime.balancer
            made = {
                one.dns_name: {zone: balancer.zone_address(one, zone) for zone in one.zones}
                for one in balancer.load_balancers()
            }
            return {exports.expected_dns_name(): lab.nodes, **made}
        if command == "console":
            return lab.runtime.instances.console(str(arguments["instance_id"]))
        if command == "fault":
            return lab.desk.apply(str(arguments.pop("kind")), arguments)
        if command == "down":
            self.end()
            return None
        raise LabError(f"The lab knows no command {command}.")


def announce(word: str, value: Any) -> None:
    """Tell whoever started the daemon; nobody need listen any more."""
    try:
        sys.stdout.write(json.dumps({word: value}) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        log.debug("nobody listens")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, SIGHUP or `lab down`; exit 0, or 1 when the lab could not start."""
    parser = argparse.ArgumentParser(prog="python -m lab.daemon", description=main.__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--host-image", required=True, type=json.loads, help="facts of the image, JSON")
    args = parser.parse_args(argv)
    state = State(args.state)
    level = os.environ.get("LAB_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    lock = daemon_lock(state)
    if not lock.acquire():
        announce("failed", f"A lab already runs in {state.root}: see `lab status`.")
        return 1
    daemon = Daemon(state, args.host_image)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: daemon.end())
    try:
        daemon.serve()
    except LabError as error:
        log.exception("the lab cannot run")
        announce("failed", str(error))
        return 1
    except Exception as error:
        log.exception("the lab cannot run")
        announce("failed", f"{type(error).__name__}: {error}; see {state.log_file}.")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
