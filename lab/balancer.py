"""The balancer: HAProxy kept as the API's load balancers, target groups and registrations say.

Registrations change by runtime commands; only a change of listeners, rules or settings reloads. One thread does all of
it and reads the measured health, so that HAProxy sees one command after another.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab import balancer_config as config
from lab.api.hooks import TargetHealth
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lab.api.views import Certificate, LoadBalancer, Target, TargetGroup
    from lab.haproxy import HAProxy
    from lab.state import Slot

log = logging.getLogger(__name__)

# How often measured health is read while there are targets, seconds.
_POLL_SECONDS = 0.5
_IDLE_SECONDS = 30.0
_FIRST_BALANCER_OCTET = 2
_OTHER_BALANCERS_OCTET = 20
_UNREACHABLE_OCTET = 255
_UNREACHABLE_PORT = 9
_ELASTIC_PORTS = (22, 80)

Key = tuple[str, int]


@dataclass
class Live:
    """A target that HAProxy has as a server of its group's two backends."""

    group_arn: str
    backend: str
    server: config.Server
    # The monotonic time of its registration here, and how long ELB would call it `initial` at most.
    since: float
    patience: float
    health: TargetHealth = TargetHealth("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
    draining: bool = False
    reachable: bool = True
    # Requests under way, measured after draining began; None before.
    in_flight: int | None = None


@dataclass(frozen=True)
class Wanted:
    """The views of one pass."""

    load_balancers: tuple[LoadBalancer, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    # Elastic IP: the address of the instance that it leads to.
    elastic: tuple[tuple[str, str], ...] = ()
    cut_zones: frozenset[str] = frozenset()
    # Instance ids that cannot be reached.
    unreachable: frozenset[str] = frozenset()
    drain_broken: bool = False


class Balancer:
    """Keeps HAProxy as wanted.

    Args:
        folder: HAProxy's working directory.
        haproxy: the process.
        slot: the lab's addresses.
        address: returns an instance's address.
        elastic_addresses: the pool of Elastic IP addresses.
        changed: called when measured health or a drain has changed.
    """

    def __init__(
        self,
        folder: Path,
        haproxy: HAProxy,
        slot: Slot,
        address: Callable[[str], str | None],
        elastic_addresses: Sequence[str],
        changed: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._haproxy = haproxy
        self._slot = slot
        self._address = address
        self._elastic_addresses = tuple(elastic_addresses)
        self._changed = changed
        self._wanted = Wanted()
        self._live: dict[tuple[str, Key], Live] = {}
        self._ordinals: dict[str, int] = {}
        self._structure = ""
        self._mapped: dict[str, str] = {}
        self._disabled: set[str] = set()
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._loop, name="balancer")
        self.error = ""
        self.reloads = 0

    def start(self) -> None:
        """Start HAProxy and the thread that keeps it.

        Raises:
            LabError: HAProxy does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / config.ADDRESS_MAP).write_text("", encoding="ascii")
        self._apply_structure(self._wanted)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and HAProxy."""
        self._ending = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._haproxy.stop()

    def reconcile(self, wanted: Wanted) -> None:
        """Take note of what is wanted; the thread does it at once."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._wake.set()

    def health(self, group_arn: str) -> dict[Key, TargetHealth]:
        """Return the measured health of a target group's targets, by (target id, port)."""
        return {key: live.health for (arn, key), live in list(self._live.items()) if arn == group_arn}

    def in_flight(self, group_arn: str, target_id: str, port: int) -> int | None:
        """Return how many requests a draining target still answers, None until it gets no new ones."""
        live = self._live.get((group_arn, (target_id, port)))
        if live is None:
            return 0
        return live.in_flight if live.draining else None

    def zone_address(self, balancer: LoadBalancer, zone: str) -> str:
        """Return the address of a load balancer's node in a zone, the same for a lab's whole life."""
        ordinal = self._ordinals.setdefault(balancer.arn, len(self._ordinals))
        return zone_address(self._slot, zone, ordinal)

    def load_balancers(self) -> tuple[LoadBalancer, ...]:
        """Return the load balancers of the last pass."""
        return self._wanted.load_balancers

    def targets(self) -> list[tuple[str, str, Live]]:
        """Return (target group name, target id, server) of every target."""
        return [(live.backend.removeprefix("tg-"), key[0], live) for (_, key), live in sorted(self._live.items())]

    def _loop(self) -> None:
        while not self._ending:
            self._wake.clear()
            try:
                self._pass(self._wanted)
            except (LabError, OSError) as error:
                if str(error) != self.error:
                    log.exception("balancer")
                self.error = str(error)
            else:
                self.error = ""
            self._wake.wait(timeout=_POLL_SECONDS if self._live or self.error else _IDLE_SECONDS)

    def _pass(self, wanted: Wanted) -> None:
        self._apply_structure(wanted)
        groups = {group.arn: group for group in wanted.target_groups}
        for arn in config.used_groups(wanted.load_balancers) & set(groups):
            self._apply_targets(groups[arn], wanted)
        self._apply_elastic(dict(wanted.elastic))
        self._apply_zones(wanted)
        if self._live:
            self._measure()

    def _inputs(self, wanted: Wanted, servers: Mapping[str, Sequence[config.Server]]) -> config.Inputs:
        return config.Inputs(
            load_balancers=wanted.load_balancers,
            target_groups={group.arn: replace(group, targets=()) for group in wanted.target_groups},
            addresses={
                balancer.arn: {zone: self.zone_address(balancer, zone) for zone in balancer.zones}
                for balancer in wanted.load_balancers
            },
            certificates={one.arn: self._certificate_file(one) for one in wanted.certificates},
            elastic_addresses=self._elastic_addresses,
            elastic_ports=_ELASTIC_PORTS,
            servers=servers,
        )

    def _certificate_file(self, certificate: Certificate) -> str:
        """Write a certificate in HAProxy's form under a name that changes with its content."""
        text = "\n".join((certificate.certificate, certificate.chain, certificate.private_key)) + "\n"
        name = f"certificate-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pem"
        path = self._folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(text, encoding="utf-8")
        return name

    def _apply_structure(self, wanted: Wanted) -> None:
        """Reload when anything but the servers differs."""
        structure = config.render(self._inputs(wanted, {}))
        if structure == self._structure and self._haproxy.alive():
            return
        used = config.used_groups(wanted.load_balancers)
        if not self._haproxy.alive():
            self._live.clear()
        known = {group.arn for group in wanted.target_groups}
        kept = {key: live for key, live in self._live.items() if key[0] in used & known}
        self._haproxy.apply(config.render(self._inputs(wanted, self._servers(kept))))
        self._structure = structure
        self._live = kept
        self._disabled.clear()
        self.reloads += 1

    @staticmethod
    def _servers(live: Mapping[tuple[str, Key], Live]) -> dict[str, list[config.Server]]:
        servers: dict[str, list[config.Server]] = {}
        for (arn, _), one in sorted(live.items()):
            servers.setdefault(arn, []).append(one.server)
        return servers

    def _apply_targets(self, group: TargetGroup, wanted: Wanted) -> None:
        targets = {(target.target_id, target.port): target for target in group.targets}
        before = len(self._live)
        changed = False
        for key, target in targets.items():
            live = self._live.get((group.arn, key))
            broken = wanted.drain_broken and target.draining_until is not None
            if live is None and not broken and target.draining_until is None:
                changed |= self._add(group, target)
            elif live is not None and broken:
                changed |= self._remove(group.arn, key, live)
            elif live is not None:
                changed |= self._adjust(live, target, wanted)
        for (arn, key), live in list(self._live.items()):
            if arn == group.arn and key not in targets:
                changed |= self._remove(arn, key, live)
        if changed:
            if len(self._live) != before:
                self._haproxy.note(config.render(self._inputs(wanted, self._servers(self._live))))
            self._changed()

    def _add(self, group: TargetGroup, target: Target) -> bool:
        address = self._address(target.target_id)
        if address is None:
            return False
        server = config.Server(f"{target.target_id}_{target.port}", address, target.port)
        name = config.backend(group)
        checked, unchecked = f"{name}/{server.name}", f"{name}{config.OPEN_SUFFIX}/{server.name}"
        place = f"{server.address}:{server.port}"
        secure = " ssl verify none" if group.protocol == "HTTPS" else ""
        # Down until a check has passed; the unchecked twin stays in maintenance until a first verdict.
        answer = self._haproxy.command(
            f"add server {checked} {place} {config.server_options(group)}",
            f"add server {unchecked} {place} weight 100{secure}",
            f"enable health {checked}",
            f"set server {checked} state ready",
            f"set server {checked} health down",
        )
        if "already" not in answer and answer.count("New server registered") != len((checked, unchecked)):
            raise LabError(f"HAProxy did not take {server.name} into {name}: {' '.join(answer.split())}")
        patience = group.health_check_interval_seconds * group.unhealthy_threshold_count
        self._live[(group.arn, (target.target_id, target.port))] = Live(
            group.arn, name, server, time.monotonic(), patience
        )
        return True

    def _adjust(self, live: Live, target: Target, wanted: Wanted) -> bool:
        """Let a target drain, or cut its network; return whether anything changed."""
        changed = False
        if target.draining_until is not None and not live.draining:
            self._both(live, "state drain")
            live.draining, live.in_flight = True, None
            changed = True
        elif target.draining_until is None and live.draining:
            self._both(live, "state ready")
            live.draining, live.in_flight = False, None
            changed = True
        reachable = target.target_id not in wanted.unreachable
        if reachable != live.reachable:
            address, port = live.server.address, live.server.port
            if not reachable:
                address, port = self._slot.address(_UNREACHABLE_OCTET, 1), _UNREACHABLE_PORT
            self._both(live, f"addr {address} port {port}")
            if not reachable:
                self._shut_sessions(live)
            live.reachable = reachable
            changed = True
        return changed

    def _both(self, live: Live, setting: str) -> None:
        names = (f"{live.backend}/{live.server.name}", f"{live.backend}{config.OPEN_SUFFIX}/{live.server.name}")
        self._haproxy.command(*(f"set server {name} {setting}" for name in names))

    def _shut_sessions(self, live: Live) -> None:
        names = (f"{live.backend}/{live.server.name}", f"{live.backend}{config.OPEN_SUFFIX}/{live.server.name}")
        commands = [f"shutdown sessions server {name}" for name in names]
        self._haproxy.command(*commands)
        self._haproxy.command_old(*commands)

    def _remove(self, arn: str, key: Key, live: Live) -> bool:
        """Take a server out; False when it still closes connections, so that the next pass tries again."""
        self._both(live, "state maint")
        self._shut_sessions(live)
        names = (f"{live.backend}/{live.server.name}", f"{live.backend}{config.OPEN_SUFFIX}/{live.server.name}")
        answers = [self._haproxy.command(f"del server {name}") for name in names]
        gone = [("deleted" in answer or "No such server" in answer) for answer in answers]
        if not all(gone):
            return False
        del self._live[(arn, key)]
        return True

    def _apply_elastic(self, wanted: dict[str, str]) -> None:
        if wanted == self._mapped:
            return
        text = "".join(f"{address} {instance}\n" for address, instance in sorted(wanted.items()))
        (self._folder / config.ADDRESS_MAP).write_text(text, encoding="ascii")
        commands = [f"del map {config.ADDRESS_MAP} {address}" for address in self._mapped]
        commands += [f"add map {config.ADDRESS_MAP} {address} {instance}" for address, instance in wanted.items()]
        self._haproxy.command(*commands)
        self._mapped = dict(wanted)

    def _apply_zones(self, wanted: Wanted) -> None:
        """Switch the nodes of cut zones off and those of the others on."""
        names = {
            config.frontend(balancer, listener, zone): zone in wanted.cut_zones
            for balancer in wanted.load_balancers
            for listener in balancer.listeners
            for zone in balancer.zones
        }
        cut = {name for name, is_cut in names.items() if is_cut}
        for name in sorted(cut - self._disabled):
            self._haproxy.command(f"disable frontend {name}")
            sessions = self._haproxy.command("show sess").splitlines()
            ids = [line.partition(":")[0] for line in sessions if f" fe={name} " in line]
            if ids:
                self._haproxy.command(*(f"shutdown session {one}" for one in ids))
        for name in sorted((self._disabled - cut) & set(names)):
            self._haproxy.command(f"enable frontend {name}")
        self._disabled = cut

    def _measure(self) -> None:
        """Read what HAProxy measured of every target and tell when a verdict changed."""
        rows = {(row["pxname"], row["svname"]): row for row in self._haproxy.statistics()}
        draining = any(live.draining for live in self._live.values())
        old = self._haproxy.old_statistics() if draining else []
        changed = False
        for live in list(self._live.values()):
            row = rows.get((live.backend, live.server.name))
            if row is None:
                continue
            health = self._verdict(live, row)
            changed |= health != live.health
            live.health = health
            if live.draining:
                names = {(live.backend, live.server.name), (live.backend + config.OPEN_SUFFIX, live.server.name)}
                count = sum(int(rows[name]["scur"]) for name in names if name in rows)
                count += sum(
                    int(one["scur"]) for worker in old for one in worker if (one["pxname"], one["svname"]) in names
                )
                changed |= count != live.in_flight
                live.in_flight = count
        if changed:
            self._changed()

    def _verdict(self, live: Live, row: Mapping[str, str]) -> TargetHealth:
        up = row["status"].startswith(("UP", "DRAIN", "no check"))
        check = row["check_status"].lstrip("* ")
        if live.health.state == "initial" and not live.draining:
            if check.endswith("OK") and not up:
                # ELB: one passed check makes a new target healthy; thresholds count only after that.
                self._haproxy.command(f"set server {live.backend}/{live.server.name} health up")
                up = True
            if up or time.monotonic() - live.since > live.patience:
                name = f"{live.backend}{config.OPEN_SUFFIX}/{live.server.name}"
                self._haproxy.command(f"set server {name} state ready")
            else:
                return TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
        if live.draining:
            return live.health
        return TargetHealth("healthy") if up else _unhealthy(check, row.get("check_code", ""))


def zone_address(slot: Slot, zone: str, ordinal: int = 0) -> str:
    """Return the address of the ordinal-th load balancer's node in a zone: zone a is .1, b is .2, and so on."""
    third = _FIRST_BALANCER_OCTET if ordinal == 0 else _OTHER_BALANCERS_OCTET + ordinal
    return slot.address(third, ord(zone[-1]) - ord("a") + 1)


def _unhealthy(check: str, code: str) -> TargetHealth:
    """Translate HAProxy's check status to the reason codes of DescribeTargetHealth."""
    if check.endswith("TOUT"):
        return TargetHealth("unhealthy", "Target.Timeout", "Request timed out")
    if check == "L7STS":
        description = f"Health checks failed with these codes: [{code}]"
        return TargetHealth("unhealthy", "Target.ResponseCodeMismatch", description)
    return TargetHealth("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
