"""The balancer: HAProxy kept as the API's load balancers, target groups and registrations say.

Registrations change by runtime commands; only a change of listeners, rules or settings reloads. One thread does all of
it and counts what draining targets still answer, so that HAProxy sees one command after another.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from lab import balancer_config as config
from lab import health
from lab.errors import LabError
from lab.health import Checker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lab.api.hooks import TargetHealth
    from lab.api.views import Certificate, LoadBalancer, Target, TargetGroup
    from lab.haproxy import HAProxy
    from lab.state import Slot

log = logging.getLogger(__name__)

# How often the requests of draining targets are counted, seconds.
_POLL_SECONDS = 0.2
_IDLE_SECONDS = 5.0
_FIRST_BALANCER_OCTET = 2
_OTHER_BALANCERS_OCTET = 20
_UNREACHABLE_OCTET = 255
_UNREACHABLE_PORT = 9
_ELASTIC_PORTS = (22, 80)

Key = tuple[str, int]


@dataclass
class Live:
    """A target that HAProxy has as a server of its group's two backends."""

    backend: str
    server: config.Server
    checker: Checker
    draining: bool = False
    reachable: bool = True
    # What the two servers were last told: `maint`, `drain` or `ready`.
    state: str = "maint"
    open_state: str = "maint"
    # Requests under way, measured after draining began; None before.
    in_flight: int | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The two servers, as HAProxy's commands name them."""
        return f"{self.backend}/{self.server.name}", f"{self.backend}{config.OPEN_SUFFIX}/{self.server.name}"


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
        expected: DNS name of the balancer that has the slot's first addresses.
        changed: called when measured health or a drain has changed.
    """

    def __init__(
        self,
        *,
        folder: Path,
        haproxy: HAProxy,
        slot: Slot,
        address: Callable[[str], str | None],
        elastic_addresses: Sequence[str],
        expected: str,
        changed: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._haproxy = haproxy
        self._slot = slot
        self._address = address
        self._elastic_addresses = tuple(elastic_addresses)
        self._expected = expected
        self._changed = changed
        self._wanted = Wanted()
        self._live: dict[tuple[str, Key], Live] = {}
        self._ordinals: dict[str, int] = {}
        self._structure = ""
        self._mapped: dict[str, str] = {}
        self._disabled: set[str] = set()
        self._unfinished = False
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
        return {key: live.checker.health for (arn, key), live in list(self._live.items()) if arn == group_arn}

    def in_flight(self, group_arn: str, target_id: str, port: int) -> int | None:
        """Return how many requests a draining target still answers, None until it gets no new ones."""
        live = self._live.get((group_arn, (target_id, port)))
        if live is None:
            return 0
        return live.in_flight if live.draining else None

    def zone_address(self, balancer: LoadBalancer, zone: str) -> str:
        """Return the address of a load balancer's node in a zone, the same for its whole life.

        That of the environment's own balancer is known before it exists, because a shell takes it from `lab env` once.
        """
        if balancer.dns_name == self._expected:
            return zone_address(self._slot, zone)
        if balancer.arn not in self._ordinals:
            present = {one.arn for one in self._wanted.load_balancers}
            self._ordinals = {arn: ordinal for arn, ordinal in self._ordinals.items() if arn in present}
            taken = set(self._ordinals.values())
            self._ordinals[balancer.arn] = next(number for number in count(1) if number not in taken)
        return zone_address(self._slot, zone, self._ordinals[balancer.arn])

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
            self._wake.wait(timeout=_POLL_SECONDS if self._moving() or self.error else _IDLE_SECONDS)

    def _moving(self) -> bool:
        """Tell whether something ends by itself that nobody reports: drains, and removals that were refused."""
        return self._unfinished or any(live.draining for live in self._live.values())

    def _pass(self, wanted: Wanted) -> None:
        self._unfinished = False
        self._apply_structure(wanted)
        groups = {group.arn: group for group in wanted.target_groups}
        for arn in config.used_groups(wanted.load_balancers) & set(groups):
            self._apply_targets(groups[arn], wanted)
        self._apply_elastic(dict(wanted.elastic))
        self._apply_zones(wanted)
        if any(live.draining for live in self._live.values()):
            self._count_requests()

    def _health_changed(self) -> None:
        self._wake.set()
        self._changed()

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
            self._forget(list(self._live))
        known = {group.arn for group in wanted.target_groups}
        self._forget([key for key in self._live if key[0] not in used & known])
        self._haproxy.apply(config.render(self._inputs(wanted, self._servers())))
        self._structure = structure
        self._disabled.clear()
        self.reloads += 1

    def _forget(self, keys: list[tuple[str, Key]]) -> None:
        for key in keys:
            self._live.pop(key).checker.stop()

    def _servers(self) -> dict[str, list[config.Server]]:
        servers: dict[str, list[config.Server]] = {}
        for (arn, _), one in sorted(self._live.items(), key=lambda item: item[0]):
            servers.setdefault(arn, []).append(one.server)
        return servers

    def _apply_targets(self, group: TargetGroup, wanted: Wanted) -> None:
        targets = {(target.target_id, target.port): target for target in group.targets}
        before = set(self._live)
        for key, target in targets.items():
            live = self._live.get((group.arn, key))
            cut_off = wanted.drain_broken and target.draining_until is not None
            if live is None and target.draining_until is None:
                live = self._add(group, target)
            if live is None:
                continue
            if cut_off:
                self._remove(group.arn, key, live)
            else:
                live.checker.settings = health.settings(group, target.port)
                self._adjust(live, target, wanted)
        for (arn, key), live in list(self._live.items()):
            if arn == group.arn and key not in targets:
                self._remove(arn, key, live)
        if set(self._live) != before:
            self._haproxy.note(config.render(self._inputs(wanted, self._servers())))
            self._changed()

    def _add(self, group: TargetGroup, target: Target) -> Live | None:
        """Make a target known, in maintenance until a first verdict; None when there is no such instance."""
        address = self._address(target.target_id)
        if address is None:
            return None
        server = config.Server(f"{target.target_id}_{target.port}", address, target.port)
        checker = Checker(address, health.settings(group, target.port), self._health_changed)
        live = Live(config.backend(group), server, checker)
        options = config.server_options(group)
        answer = self._haproxy.command(*(f"add server {name} {address}:{target.port} {options}" for name in live.names))
        if answer.count("New server registered") + answer.count("already") != len(live.names):
            checker.stop()
            raise LabError(f"HAProxy did not take {server.name}: {' '.join(answer.split())}")
        self._live[(group.arn, (target.target_id, target.port))] = live
        return live

    def _adjust(self, live: Live, target: Target, wanted: Wanted) -> None:
        """Let a target get requests, or none any more, as its health, its drain and its zone say."""
        draining = target.draining_until is not None
        verdict = live.checker.health.state
        # As ELB: who is not healthy gets no new requests and keeps those it has, unless nobody is healthy.
        untried = "maint" if live.state == "maint" else "drain"
        state = "ready" if verdict == "healthy" and not draining else untried
        open_state = "drain" if draining else "maint" if verdict == "initial" else "ready"
        commands = [
            f"set server {name} state {new}"
            for name, old, new in zip(live.names, (live.state, live.open_state), (state, open_state), strict=True)
            if old != new
        ]
        if commands:
            self._haproxy.command(*commands)
            live.state, live.open_state = state, open_state
        if draining != live.draining:
            live.draining, live.in_flight = draining, None
        reachable = target.target_id not in wanted.unreachable
        if reachable != live.reachable:
            self._connect(live, reachable=reachable)

    def _connect(self, live: Live, *, reachable: bool) -> None:
        """Connect a target again, or cut it off: no connection is made, and those there are break."""
        address, port = live.server.address, live.server.port
        if not reachable:
            address, port = self._slot.address(_UNREACHABLE_OCTET, 1), _UNREACHABLE_PORT
        self._haproxy.command(*(f"set server {name} addr {address} port {port}" for name in live.names))
        live.checker.reachable = live.reachable = reachable
        if not reachable:
            self._shut_sessions(live)

    def _shut_sessions(self, live: Live) -> None:
        commands = [f"shutdown sessions server {name}" for name in live.names]
        self._haproxy.command(*commands)
        self._haproxy.command_old(*commands)

    def _remove(self, arn: str, key: Key, live: Live) -> None:
        """Take a target's servers out; while they still close connections, the next pass tries again."""
        live.checker.stop()
        self._haproxy.command(*(f"set server {name} state maint" for name in live.names))
        self._shut_sessions(live)
        answers = [self._haproxy.command(f"del server {name}") for name in live.names]
        if all("deleted" in answer or "No such server" in answer for answer in answers):
            del self._live[(arn, key)]
        else:
            self._unfinished = True

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

    def _count_requests(self) -> None:
        """Count what draining targets still answer, in the present worker and in those that reloads left behind."""
        workers = [self._haproxy.statistics(), *self._haproxy.old_statistics()]
        changed = False
        for live in self._live.values():
            if not live.draining:
                continue
            under_way = sum(
                int(row["scur"]) for rows in workers for row in rows if f"{row['pxname']}/{row['svname']}" in live.names
            )
            changed |= under_way != live.in_flight
            live.in_flight = under_way
        if changed:
            self._changed()


def zone_address(slot: Slot, zone: str, ordinal: int = 0) -> str:
    """Return the address of the ordinal-th load balancer's node in a zone: zone a is .1, b is .2, and so on."""
    third = _FIRST_BALANCER_OCTET if ordinal == 0 else _OTHER_BALANCERS_OCTET + ordinal
    return slot.address(third, ord(zone[-1]) - ord("a") + 1)
