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
import socket
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab import certificates, cleanup, containers, exports, instances, metadata, report
from lab.addresses import Pool
from lab.api import Cloud
from lab.balancer import Balancer, zone_address
from lab.control import ControlServer
from lab.database import Databases
from lab.engine import Engine
from lab.errors import LabError
from lab.exits import ExitWatch
from lab.faults import FaultDesk
from lab.filesystem import FileSystems
from lab.first_boot import HOST_FROM_INSIDE
from lab.haproxy import HAProxy
from lab.host_image import build
from lab.images import Images
from lab.jobs import Jobs
from lab.known_hosts import forget_addresses
from lab.reconciler import Reconciler, Runtime
from lab.state import State, daemon_lock, take_slot

log = logging.getLogger("lab")

_PUBLIC_OCTET = 1
_ELASTIC_OCTET = 9
_ELASTIC_ADDRESSES = 32
_LAST_OCTET = 254
_ZONES = ("us-east-1a", "us-east-1d")


class Daemon:
    """Builds a lab, serves it until it is told to end, and takes it apart.

    Args:
        state: its folder.
        host_image: container image behind the upstream AMI.
    """

    def __init__(self, state: State, host_image: str) -> None:
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
            stack.callback(cleanup.remove_all, self._state)
            self._build(stack)
            announce("ready", self._state.run())
            log.info("ready")
            self._ending.wait()
            log.info("ending")

    def _build(self, stack: ExitStack) -> None:
        state = self._state
        slot = take_slot()
        stack.callback(slot.release)
        state.root.chmod(0o755)
        authority = certificates.Authority(state.keys)
        nodes = {zone: zone_address(slot, zone) for zone in _ZONES}
        dns_name = exports.expected_dns_name()
        names = [*exports.served_names(), f"*.{exports.REGION}.elb.amazonaws.com", dns_name]
        names += [f"{zone}.{dns_name}" for zone in _ZONES]
        balancer_files = authority.issue("balancer", [*dict.fromkeys(names), *nodes.values()])
        ssh_key = certificates.ssh_key_pair(state.keys)
        public = [slot.address(_PUBLIC_OCTET, last) for last in range(1, _LAST_OCTET + 1)]
        elastic = [slot.address(_ELASTIC_OCTET, last) for last in range(1, _ELASTIC_ADDRESSES + 1)]
        forget_addresses(containers.STATE_ROOT / "known_hosts", [*public, *elastic])

        # The listener is open before anything may ask for its port.
        port = _free_port(state.last_port())
        wake = threading.Event()
        engine = Engine(containers.environment(), state.lab_id)
        jobs = Jobs(wake.set)
        exits = ExitWatch()
        file_systems = FileSystems(state.root / "efs", state.processes, jobs)
        databases = Databases(state.root / "databases", state.processes, authority, jobs, exports.REGION)
        machines = instances.Instances(
            instances.Settings(
                lab_id=state.lab_id,
                folder=state.instances,
                ca_file=authority.file,
                file_systems=file_systems.shared,
                environment={
                    "AWS_ENDPOINT_URL": f"http://{HOST_FROM_INSIDE}:{port}",
                    "AWS_DEFAULT_REGION": exports.REGION,
                    "AWS_REGION": exports.REGION,
                },
            ),
            engine,
            Pool(public),
            metadata.MetadataService(lambda instance_id: self._latest(machines, instance_id)),
            exits,
            jobs,
            image=lambda image_id: images.reference(image_id),
            names=lambda: dict.fromkeys(databases.hosts(), HOST_FROM_INSIDE),
        )
        images = Images(state.lab_id, engine, jobs, self._host_image, machines)
        balancer = Balancer(
            state.root / "haproxy",
            HAProxy(state.root / "haproxy", state.processes),
            slot,
            lambda instance_id: machines.address(instance_id),
            elastic,
            wake.set,
        )
        runtime = Runtime(machines, images, file_systems, databases, balancer, Pool(elastic), jobs)

        announce("progress", "file systems, balancer and API start")
        file_systems.open()
        balancer.start()
        stack.callback(balancer.stop)
        cloud = Cloud(runtime)
        cloud.start("127.0.0.1", port)
        stack.callback(cloud.stop)
        # What jobs and measurements report wakes the same loop as a request does.
        threading.Thread(target=_forward, args=(wake, cloud.changed), name="wake", daemon=True).start()
        desk = FaultDesk(cloud, runtime, engine)
        reconciler = Reconciler(cloud, runtime)
        stack.callback(databases.close)
        stack.callback(jobs.stop)
        state.remember_port(cloud.port)
        state.run_file.write_text(
            json.dumps(
                {
                    "id": state.lab_id,
                    "pid": os.getpid(),
                    "slot": slot.number,
                    "port": cloud.port,
                    "endpoint": f"http://127.0.0.1:{cloud.port}",
                    "folder": str(state.root),
                    "ssh_key": str(ssh_key),
                    "ca_file": str(authority.file),
                    "certificate_file": str(balancer_files.certificate),
                    "certificate_key_file": str(balancer_files.key),
                    "nodes": nodes,
                },
                indent=2,
            )
            + "\n",
            encoding="utf-8",
        )
        control = ControlServer(
            state.control_socket, lambda command, arguments: self._answer(runtime, reconciler, desk, command, arguments)
        )
        stack.callback(control.close)
        reconciler.start()
        stack.callback(reconciler.stop)

    def _answer(
        self, runtime: Runtime, reconciler: Reconciler, desk: FaultDesk, command: str, arguments: dict[str, Any]
    ) -> Any:
        if command == "status":
            facts = {"lab": self._state.run(), "host_image": build.describe()}
            return {**facts, **report.collect(runtime, reconciler, desk)}
        if command == "names":
            dns_names = [balancer.dns_name for balancer in runtime.balancer.load_balancers()]
            nodes = (self._state.run() or {})["nodes"]
            return {"dns_names": dns_names or [exports.expected_dns_name()], "nodes": nodes}
        if command == "fault":
            return desk.apply(str(arguments.pop("kind")), arguments)
        if command == "down":
            self.end()
            return None
        raise LabError(f"The lab knows no command {command}.")

    @staticmethod
    def _latest(machines: instances.Instances, instance_id: str) -> dict[str, Any] | None:
        view = machines.view(instance_id)
        if view is None:
            return None
        credentials = (exports.ACCESS_KEY_ID, exports.SECRET_ACCESS_KEY)
        return metadata.tree(view, account=exports.ACCOUNT, region=exports.REGION, credentials=credentials)


def announce(word: str, value: Any) -> None:
    """Tell whoever started the daemon; nobody need listen any more."""
    try:
        sys.stdout.write(json.dumps({word: value}) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        log.debug("nobody listens")


def _forward(source: threading.Event, target: threading.Event) -> None:
    while True:
        source.wait()
        source.clear()
        target.set()


def _free_port(wanted: int) -> int:
    """Return the wanted port when it is free, else any."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    raise LabError("No port is free on 127.0.0.1.")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or `lab down`; exit 0, or 1 when the lab could not start."""
    parser = argparse.ArgumentParser(prog="python -m lab.daemon", description=main.__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--host-image", required=True)
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
