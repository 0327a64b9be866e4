"""The gates between an AMI and its publication: what two clones of it must do, side by side in both zones."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.bake.clones import Clone, each
from checkop.bake.expectations import SERVICES, Service
from checkop.errors import CheckopError
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from checkop.aws import Clients

# What the agent measures on every host, in a group or not.
METRIC = "mem_used_percent"
# How far clocks may be apart: ours, the clones', AWS's. A metric's time is also cut to its minute.
CLOCK_SECONDS = 120


@dataclass(frozen=True)
class Passed:
    """A gate that was passed: its name, what was seen, and the seconds it took."""

    name: str
    seen: str
    seconds: float


@dataclass(frozen=True)
class Gates:
    """The gates of one image.

    Parameters
    ----------
    clients:
        Clients of the region, to read logs and metrics back.
    values:
        The inventory's variables.
    clones:
        Instances of the image, one in each zone.
    version:
        The application version that they have to run.
    run_id:
        Mark that goes into the file and the log line.
    """

    clients: Clients
    values: Mapping[str, Any]
    clones: Sequence[Clone]
    version: str
    run_id: str

    @property
    def timeout_seconds(self) -> float:
        """How long each gate may take."""
        return float(self.values["image_gate_timeout_seconds"])

    def all(self) -> list[tuple[str, Callable[[], str]]]:
        """Return every gate by name, in the order in which they are asked."""
        return [
            ("identities differ", self.identities),
            ("services run", self.services),
            ("the application is ready", self.application),
            ("ChOp-Temp is shared", self.storage),
            ("logs arrive", self.logs),
            ("metrics arrive", self.metrics),
        ]

    def identities(self) -> str:
        """No two clones share a machine id or a host key."""
        command = "cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_*_key.pub"
        found = each(self.clones, lambda clone: clone.run(command).split())
        for clone, identity in zip(self.clones, found, strict=True):
            if len(identity) < 2 or not identity[0]:  # noqa: PLR2004 - a machine id and at least one key
                raise CheckopError(f"{clone.instance_id}: machine id or host keys were not made at first boot.")
        shared = set.intersection(*(set(identity) for identity in found))
        if shared:
            raise CheckopError(
                f"{' and '.join(clone.instance_id for clone in self.clones)} share {', '.join(sorted(shared))}: the "
                "image was not sealed. See roles/image_seal/vars/main.yml."
            )
        return f"machine ids {', '.join(identity[0][:8] for identity in found)}"

    def services(self) -> str:
        """Every service of the image runs, or has done its work at boot."""
        names = " ".join(f"{service.name}.service" for service in SERVICES)

        def ask(clone: Clone) -> str:
            def look() -> tuple[bool, str]:
                shown = clone.attempt(f"systemctl show --property=ActiveState,ConditionResult {names}").stdout
                states = [dict(line.split("=", 1) for line in unit.split("\n")) for unit in shown.strip().split("\n\n")]
                if len(states) != len(SERVICES):
                    return False, shown.strip()[-300:] or "no answer of systemd"
                bad = {
                    s.name: state["ActiveState"]
                    for s, state in zip(SERVICES, states, strict=True)
                    if not runs(s, state)
                }
                return not bad, ", ".join(f"{name} {state}" for name, state in bad.items())

            self._wait(f"the services of {clone.instance_id}", look)
            return str(len(SERVICES))

        return f"{each(self.clones, ask)[0]} services on each"

    def application(self) -> str:
        """The application answers ready, with database and ChOp-Temp behind it, in the version that was baked."""
        path = shlex.quote(f"http://127.0.0.1{self.values['balancer_health_path']}")

        def ask(clone: Clone) -> str:
            seen = ""

            def look() -> tuple[bool, str]:
                nonlocal seen
                done = clone.attempt(f"curl --silent --show-error --include --max-time 5 {path}")
                seen = done.stdout or done.stderr
                status = seen.partition("\n")[0].split()
                return status[1:2] == ["200"], seen.strip()[-300:]

            self._wait(f"{path} of {clone.instance_id}", look)
            headers = dict(line.lower().split(": ", 1) for line in seen.splitlines() if ": " in line)
            version = headers.get("x-checkop-version", "").strip()
            if version != self.version.lower():
                raise CheckopError(
                    f"{clone.instance_id} runs version {version or 'unknown'} of the application, and {self.version} "
                    "was to be baked."
                )
            return version

        return f"version {each(self.clones, ask)[0]} on each"

    def storage(self) -> str:
        """What the first clone writes on ChOp-Temp, every other one reads."""
        folder = f"{self.values['storage_mount_path']}/{self.values['storage_folders'][0]['name']}"
        path = shlex.quote(f"{folder}/.gate-{self.run_id}")
        user = shlex.quote(self.values["application_user"])
        writer, readers = self.clones[0], self.clones[1:]
        writer.run(f"mountpoint -q {shlex.quote(self.values['storage_mount_path'])}")
        writer.run(f"echo {shlex.quote(self.run_id)} | runuser -u {user} -- tee {path} >/dev/null")
        try:
            for reader in readers:
                found = reader.run(f"runuser -u {user} -- cat {path}").strip()
                if found != self.run_id:
                    raise CheckopError(
                        f"{reader.instance_id} reads {found!r} where {writer.instance_id} wrote another."
                    )
        finally:
            writer.attempt(f"rm -f {path}")
        return f"{writer.zone} writes, {', '.join(reader.zone for reader in readers)} reads"

    def logs(self) -> str:
        """A line written to the system's log arrives in CloudWatch Logs."""
        group = f"{self.values['monitoring_log_prefix']}/system/messages"
        pages = self.clients.logs.get_paginator("filter_log_events")
        since = int((time.time() - CLOCK_SECONDS) * 1000)
        each(self.clones, lambda clone: clone.run(f"logger -t checkop-gate {shlex.quote(self.run_id)}"))

        def ask(clone: Clone) -> None:
            def look() -> tuple[bool, str]:
                # A page without events says nothing of those after it.
                found = pages.paginate(
                    logGroupName=group,
                    logStreamNames=[clone.instance_id],
                    filterPattern=f'"{self.run_id}"',
                    startTime=since,
                )
                try:
                    events = any(page["events"] for page in found)
                except ClientError as error:
                    if error.response["Error"]["Code"] == "ResourceNotFoundException":
                        what = f"no log group {group} (playbooks/monitoring.yml makes it), or no stream in it"
                        return False, f"{what} of {clone.instance_id}"
                    raise
                return events, f"no line of {clone.instance_id} in {group}"

            self._wait(f"a log line of {clone.instance_id}", look)

        each(self.clones, ask)
        return group

    def metrics(self) -> str:
        """CloudWatch has a value of every clone (CloudWatch GetMetricStatistics).

        Not ListMetrics, which may take a quarter of an hour to name a new metric.
        """
        namespace = self.values["monitoring_namespace"]
        since = datetime.now(timezone.utc) - timedelta(seconds=CLOCK_SECONDS)

        def ask(clone: Clone) -> float:
            value = 0.0

            def look() -> tuple[bool, str]:
                nonlocal value
                points = self.clients.cloudwatch.get_metric_statistics(
                    Namespace=namespace,
                    MetricName=METRIC,
                    Dimensions=[{"Name": "InstanceId", "Value": clone.instance_id}],
                    StartTime=since,
                    EndTime=datetime.now(timezone.utc) + timedelta(seconds=CLOCK_SECONDS),
                    Period=60,
                    Statistics=["Maximum"],
                )["Datapoints"]
                value = max((point["Maximum"] for point in points), default=0.0)
                return bool(points), f"no value of {METRIC} of {clone.instance_id} in {namespace}"

            self._wait(f"a metric of {clone.instance_id}", look)
            return value

        return f"{METRIC} {', '.join(f'{value:.0f}' for value in each(self.clones, ask))}"

    def _wait(self, what: str, look: Callable[[], tuple[bool, str]]) -> None:
        wait_until(what, look, timeout_seconds=self.timeout_seconds, interval_seconds=1)


def runs(service: Service, properties: Mapping[str, str]) -> bool:
    """Say whether a service is as it has to be.

    Parameters
    ----------
    service:
        What is expected of it.
    properties:
        ``ActiveState`` and ``ConditionResult`` as systemctl(1) shows them.
    """
    state = properties["ActiveState"]
    if service.conditional and state == "inactive" and properties["ConditionResult"] == "no":
        return True
    return state == "active" or (not service.lasting and state == "inactive")


def ask_all(gates: Gates, say: Callable[[str], None]) -> list[Passed]:
    """Ask every gate.

    Raises
    ------
    CheckopError
        One was not passed; the message names it.
    """
    passed = []
    for name, gate in gates.all():
        began = time.monotonic()
        try:
            seen = gate()
        except CheckopError as error:
            raise CheckopError(f"The image did not pass the gate '{name}': {error}") from error
        passed.append(Passed(name, seen, round(time.monotonic() - began, 2)))
        say(f"gate passed: {name} ({seen}, {passed[-1].seconds:.1f} s)")
    return passed
