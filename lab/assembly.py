"""Puts the parts of one lab together: keys, processes, API, reconciler."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from lab import certificates, containers, exports, first_boot, instances, metadata
from lab.addresses import Pool
from lab.api import Cloud, Settings
from lab.balancer import Balancer, zone_address
from lab.database import Databases
from lab.engine import Engine
from lab.errors import LabError
from lab.exits import ExitWatch
from lab.faults import FaultDesk
from lab.filesystem import FileSystems
from lab.haproxy import HAProxy
from lab.images import Images
from lab.jobs import Jobs
from lab.known_hosts import forget_addresses
from lab.reconciler import Reconciler, Runtime
from lab.state import take_slot

if TYPE_CHECKING:
    from contextlib import ExitStack

    from lab.state import Slot, State

_PUBLIC_OCTET = 1
_ELASTIC_OCTET = 9
_ELASTIC_ADDRESSES = 32
_LAST_OCTET = 254
# A roll whose new instances never get healthy fails after so long, where AWS waits an hour; more than a boot, a drain
# and a lifecycle hook of the rehearsal together.
_REFRESH_PATIENCE_SECONDS = 90.0
# The zones of the environment; any other works as well, but no certificate names its node.
_ZONES = ("us-east-1a", "us-east-1d")


class Lab:
    """Everything that one daemon serves.

    Args:
        state: its folder.
        host_image: name of the container image behind the upstream AMI.
        stack: takes what ends each part, in the order that they must end.

    Raises:
        LabError: something cannot start.
    """

    def __init__(self, state: State, host_image: str, stack: ExitStack) -> None:
        self._state = state
        slot = take_slot()
        state.root.chmod(0o755)
        self.nodes = {zone: zone_address(slot, zone) for zone in _ZONES}
        public = [slot.address(_PUBLIC_OCTET, last) for last in range(1, _LAST_OCTET + 1)]
        elastic = [slot.address(_ELASTIC_OCTET, last) for last in range(1, _ELASTIC_ADDRESSES + 1)]
        forget_addresses(containers.STATE_ROOT / "known_hosts", [*public, *elastic])
        authority = certificates.Authority(state.keys)
        keys = self._issue(authority)
        port = _free_port(state.last_port())

        engine = Engine(containers.environment(), state.lab_id)
        wake = threading.Event()
        jobs = Jobs(wake.set)
        file_systems = FileSystems(state.root / "efs", state.processes, jobs)
        databases = Databases(state.root / "databases", state.processes, authority, jobs, exports.REGION)
        machines = instances.Instances(
            settings=instances.Settings(
                lab_id=state.lab_id,
                folder=state.instances,
                file_systems=file_systems.shared,
                environment={
                    "AWS_ENDPOINT_URL": f"http://{first_boot.HOST_FROM_INSIDE}:{port}",
                    "AWS_DEFAULT_REGION": exports.REGION,
                    "AWS_REGION": exports.REGION,
                },
            ),
            engine=engine,
            pool=Pool(public),
            metadata=metadata.MetadataService(lambda instance_id: _latest(machines, instance_id)),
            exits=ExitWatch(),
            jobs=jobs,
            image=lambda image_id: images.reference(image_id),  # noqa: PLW0108 (made below, from the instances)
            names=lambda: dict.fromkeys(databases.hosts(), first_boot.HOST_FROM_INSIDE),
        )
        images = Images(state.lab_id, engine, jobs, host_image, machines)
        haproxy = HAProxy(state.root / "haproxy", state.processes)
        balancer = Balancer(
            folder=state.root / "haproxy",
            haproxy=haproxy,
            slot=slot,
            address=machines.address,
            elastic_addresses=elastic,
            expected=exports.expected_dns_name(),
            changed=wake.set,
        )
        self.runtime = Runtime(
            instances=machines,
            images=images,
            file_systems=file_systems,
            databases=databases,
            balancer=balancer,
            elastic=Pool(elastic),
            jobs=jobs,
        )
        file_systems.open()
        stack.callback(balancer.stop)
        balancer.start()
        cloud = Cloud(self.runtime, settings=Settings(refresh_patience=_REFRESH_PATIENCE_SECONDS))
        cloud.start("127.0.0.1", port)
        stack.callback(cloud.stop)
        self.desk = FaultDesk(cloud, self.runtime, engine)
        self.reconciler = Reconciler(cloud, self.runtime)
        stack.callback(databases.close)
        stack.callback(file_systems.close)
        stack.callback(jobs.stop)
        stack.callback(self.reconciler.stop)
        # What jobs and measurements report wakes the same loop as a request does.
        threading.Thread(target=_forward, args=(wake, cloud.changed), name="wake", daemon=True).start()
        self._write_run_file(slot, cloud.port, keys)

    def start(self) -> None:
        """Begin to reconcile."""
        self.reconciler.start()

    def _issue(self, authority: certificates.Authority) -> dict[str, str]:
        """Make the operator's keys and return their paths as `lab.exports` names them."""
        dns_name = exports.expected_dns_name()
        names = [*exports.served_names(), f"*.{exports.REGION}.elb.amazonaws.com", dns_name]
        names += [f"{zone}.{dns_name}" for zone in _ZONES]
        balancer = authority.issue("balancer", [*dict.fromkeys(names), *self.nodes.values()])
        return {
            "ssh_key": str(certificates.ssh_key_pair(self._state.keys)),
            "ca_file": str(authority.file),
            "certificate_file": str(balancer.certificate),
            "certificate_key_file": str(balancer.key),
        }

    def _write_run_file(self, slot: Slot, port: int, keys: dict[str, str]) -> None:
        self._state.remember_port(port)
        facts = {
            "id": self._state.lab_id,
            "pid": os.getpid(),
            "slot": slot.number,
            "port": port,
            "endpoint": f"http://127.0.0.1:{port}",
            "folder": str(self._state.root),
            **keys,
        }
        self._state.run_file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _latest(machines: instances.Instances, instance_id: str) -> dict[str, Any] | None:
    view = machines.view(instance_id)
    if view is None:
        return None
    credentials = (exports.ACCESS_KEY_ID, exports.SECRET_ACCESS_KEY)
    return metadata.tree(view, account=exports.ACCOUNT, region=exports.REGION, credentials=credentials)


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
