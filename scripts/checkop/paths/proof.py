"""Prove for every flow whether it passes routes, security groups and network ACLs, there and back.

Follows the Amazon VPC User Guide: a security group is stateful and only allows; a network ACL is stateless, its lowest
matching rule decides, and it is not asked about traffic within one subnet; replies go to the client's ephemeral port.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.paths.model import (
    ADMINISTRATORS,
    ALL_PORTS,
    EPHEMERAL,
    INTERNET,
    WITH_PORTS,
    AclRule,
    Direction,
    Flow,
    GroupRule,
    NetworkAcl,
    Perimeter,
    Ports,
    Subnet,
)
from checkop.paths.regions import Decision, Region, common_spans, decide, port_spans, region, subtract

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EVERYWHERE = ipaddress.IPv4Network("0.0.0.0/0")
OUTSIDE = (INTERNET, ADMINISTRATORS)
# The tier whose route table leads to the internet gateway, and whose hosts have public addresses.
ROUTED_TIER = "public"


@dataclass(frozen=True)
class Verdict:
    """What became of one flow.

    Parameters
    ----------
    wanted:
        True: it has to pass; False: it must not.
    passes:
        Whether it does.
    because:
        If it passes, the rules that let it; else what stops it. One sentence each.
    """

    flow: Flow
    wanted: bool
    passes: bool
    because: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""
        return self.passes is self.wanted

    def __str__(self) -> str:
        """Write the verdict with its reasons."""
        if self.ok:
            return f"{self.flow}: {'passes' if self.wanted else 'is stopped'}"
        if self.wanted:
            return f"Wanted flow {self.flow} is stopped: " + "; ".join(self.because)
        return f"Forbidden flow {self.flow} is open, by " + ", and ".join(self.because)


@dataclass(frozen=True)
class End:
    """One end of a flow at one place: its name, its subnet if it lies in the VPC, and its addresses."""

    name: str
    subnet: Subnet | None
    addresses: tuple[Region, ...]

    def packets(self, ports: Ports) -> list[Region]:
        """Give its addresses times ports."""
        return [Region(one.low, one.high, ports.low, ports.high) for one in self.addresses]

    def __str__(self) -> str:
        """Write the end with its subnet."""
        return f"{self.name} ({self.subnet.cidr})" if self.subnet else self.name


def prove(perimeter: Perimeter) -> list[Verdict]:
    """Judge all wanted flows, then all forbidden ones.

    Raises
    ------
    CheckopError
        A flow names an end that does not exist.
    """
    prover = Prover(perimeter)
    return [prover.judge(flow, wanted=True) for flow in perimeter.wanted] + [
        prover.judge(flow, wanted=False) for flow in perimeter.forbidden
    ]


class Prover:
    """Judges flows against one perimeter, and remembers which rules wanted flows need."""

    def __init__(self, perimeter: Perimeter) -> None:
        self.perimeter = perimeter
        self.acls = {acl.tier: acl for acl in perimeter.acls}
        self.used: set[int] = set()

    def judge(self, flow: Flow, *, wanted: bool) -> Verdict:
        """Judge one flow.

        A wanted flow has to pass from everywhere it may start to everywhere it may end, replies included. A forbidden
        one is open as soon as one packet can arrive anywhere.
        """
        sources = self.ends(flow.source, flow, wanted=wanted)
        destinations = self.ends(flow.destination, flow, wanted=wanted)
        pairs = [(source, destination) for source in sources for destination in destinations]
        stops: list[str] = []
        opened: list[str] = []
        for protocol in (*WITH_PORTS, "icmp") if flow.protocol == "all" else (flow.protocol,):
            ports = flow.ports if protocol in WITH_PORTS else ALL_PORTS
            for source, destination in pairs:
                journey = Journey(self, source, destination, protocol, ports)
                if wanted:
                    stops += journey.stops()
                else:
                    opened += journey.openings()
        if wanted:
            if not pairs:
                stops.append(self._nobody(flow))
            return Verdict(flow, wanted, not stops, tuple(dict.fromkeys(stops)))
        if not pairs and INTERNET in (flow.source, flow.destination) and self.perimeter.administrators:
            opened.append("perimeter_administrator_cidrs, which cover the whole internet. Name the few addresses")
        return Verdict(flow, wanted, bool(opened), tuple(dict.fromkeys(opened)))

    def ends(self, name: str, flow: Flow, *, wanted: bool) -> list[End]:
        """Give the places where one end of a flow may be: each subnet of its tier, or outside the VPC."""
        if name in OUTSIDE:
            addresses = self._outside(name, wanted=wanted)
            return [End(name, None, tuple(addresses))] if addresses else []
        group = self.perimeter.groups.get(name)
        if group is None:
            known = ", ".join([*OUTSIDE, *self.perimeter.groups])
            raise CheckopError(
                f"perimeter_{'wanted' if wanted else 'forbidden'}_flows: {flow} names {name!r}, which is neither a "
                f"security group nor outside. Known are {known}."
            )
        return [
            End(name, subnet, (region(subnet.cidr, ALL_PORTS),))
            for subnet in self.perimeter.subnets
            if subnet.tier == group.tier
        ]

    def _outside(self, name: str, *, wanted: bool) -> list[Region]:
        administrators = [region(block, ALL_PORTS) for block in self.perimeter.administrators]
        if name == ADMINISTRATORS:
            return administrators
        # Administrators are on the internet too: what is open to them alone is not open to the internet.
        excluded = [region(self.perimeter.vpc, ALL_PORTS), *([] if wanted else administrators)]
        return subtract([region(EVERYWHERE, ALL_PORTS)], excluded)

    def _nobody(self, flow: Flow) -> str:
        if ADMINISTRATORS in (flow.source, flow.destination) and not self.perimeter.administrators:
            return "perimeter_administrator_cidrs is empty. Name the administrators' addresses there"
        return "no subnet has the tier of one of its ends. Add one to network_subnets"

    def acl(self, end: End) -> NetworkAcl | None:
        """Give the network ACL of an end's subnet; None outside the VPC."""
        if end.subnet is None:
            return None
        return self.acls.get(end.subnet.tier)

    def unused(self) -> list[str]:
        """Give the rules that no wanted flow judged so far needs."""
        rules: list[tuple[str, AclRule | GroupRule]] = [
            (f"security group {group.name} {rule.direction}", rule)
            for group in self.perimeter.groups.values()
            for rule in group.rules
        ]
        rules += [
            (f"network ACL {acl.name} {rule.direction}", rule) for acl in self.perimeter.acls for rule in acl.rules
        ]
        return [f"{where}: {rule}" for where, rule in rules if id(rule) not in self.used and not _denies(rule)]


@dataclass(frozen=True)
class Check:
    """One place that a packet passes: what it is called, its rules by region, and the packets that ask."""

    place: str
    rules: Sequence[tuple[Region, GroupRule | AclRule]]
    asked: Sequence[Region]
    what: str
    mend: str


class Journey:
    """A flow between two places, with the checks that its packets pass there and back."""

    def __init__(self, prover: Prover, source: End, destination: End, protocol: str, ports: Ports) -> None:
        self.prover = prover
        self.source = source
        self.destination = destination
        self.protocol = protocol
        self.ports = ports

    def stops(self) -> list[str]:
        """Give what stops any packet of the flow or of its replies."""
        found = self._routes()
        for check in [*self._there(), *self._back()]:
            for decision in decide(check.asked, check.rules):
                if decision.rule is not None and not _denies(decision.rule):
                    self.prover.used.add(id(decision.rule))
                    continue
                span = _span(decision.region, self.protocol)
                reason = f"{check.place}: {decision.rule}" if decision.rule else f"{check.place}: no rule allows"
                verb = " stops" if decision.rule else ""
                found.append(f"{reason}{verb} {self.protocol}{span} {check.what}. {check.mend}")
                break
        return found

    def openings(self) -> list[str]:
        """Give the rules that let a packet through; nothing if none can arrive."""
        if self._routes():
            return []
        spans = [(self.ports.low, self.ports.high)]
        passing: list[tuple[str, Decision[GroupRule | AclRule]]] = []
        for check in self._there():
            here = [one for one in decide(check.asked, check.rules) if one.rule is not None and not _denies(one.rule)]
            spans = common_spans(spans, port_spans(one.region for one in here))
            passing += [(check.place, one) for one in here]
        return [
            f"{place}: {one.rule}"
            for place, one in passing
            if common_spans(spans, [(one.region.first, one.region.last)])
        ]

    def _routes(self) -> list[str]:
        found = []
        for end, other in ((self.source, self.destination), (self.destination, self.source)):
            if end.subnet is not None and other.subnet is None and end.subnet.tier != ROUTED_TIER:
                found.append(
                    f"route table of tier {end.subnet.tier}: {end} has no route to the internet. Put it in the "
                    f"{ROUTED_TIER} tier, or drop the flow"
                )
        return found

    def _there(self) -> list[Check]:
        source, destination = self.source, self.destination
        checks = [
            self._group_check("egress", source, destination),
            *self._acl_checks("egress", source, destination, self.ports, reply=False),
            *self._acl_checks("ingress", destination, source, self.ports, reply=False),
            self._group_check("ingress", destination, source),
        ]
        return [check for check in checks if check is not None]

    def _back(self) -> list[Check]:
        # Security groups let replies through by themselves.
        replies = Ports(*EPHEMERAL) if self.protocol in WITH_PORTS else ALL_PORTS
        return [
            *self._acl_checks("egress", self.destination, self.source, replies, reply=True),
            *self._acl_checks("ingress", self.source, self.destination, replies, reply=True),
        ]

    def _group_check(self, direction: Direction, at: End, other: End) -> Check | None:
        group = self.prover.perimeter.groups.get(at.name)
        if group is None:
            return None
        side = "from" if direction == "ingress" else "to"
        rules = [
            (matched, rule)
            for rule in group.side(direction)
            if rule.protocol in (self.protocol, "all")
            for matched in self._peer(rule, other)
        ]
        return Check(
            place=f"security group {group.name} {direction}",
            rules=rules,
            asked=other.packets(self.ports),
            what=f"{side} {other}",
            mend=f"Add it to perimeter_security_groups: {group.name} {direction}",
        )

    def _peer(self, rule: GroupRule, other: End) -> Iterable[Region]:
        ports = rule.ports if self.protocol in WITH_PORTS and rule.protocol != "all" else ALL_PORTS
        if rule.peer == ADMINISTRATORS:
            return [region(block, ports) for block in self.prover.perimeter.administrators]
        if rule.peer in self.prover.perimeter.groups:
            return other.packets(ports) if rule.peer == other.name else []
        return [region(ipaddress.IPv4Network(rule.peer), ports)]

    def _acl_checks(self, direction: Direction, at: End, other: End, ports: Ports, *, reply: bool) -> list[Check]:
        acl = self.prover.acl(at)
        if acl is None or at.subnet == other.subnet:
            return []
        side = "from" if direction == "ingress" else "to"
        rules = [
            (
                region(rule.cidr, rule.ports if self.protocol in WITH_PORTS and rule.protocol != "all" else ALL_PORTS),
                rule,
            )
            for rule in acl.side(direction)
            if rule.protocol in (self.protocol, "all")
        ]
        return [
            Check(
                place=f"network ACL {acl.name} {direction}",
                rules=rules,
                asked=other.packets(ports),
                what=f"{side} {other}" + (" (replies)" if reply else ""),
                mend=f"Allow it in perimeter_network_acls: {acl.name} {direction}"
                + (" with ports: ephemeral" if reply and self.protocol in WITH_PORTS else ""),
            )
        ]


def _denies(rule: GroupRule | AclRule) -> bool:
    return isinstance(rule, AclRule) and rule.action == "deny"


def _span(one: Region, protocol: str) -> str:
    return f" {Ports(one.first, one.last)}" if protocol in WITH_PORTS else ""


def refusal(verdicts: Iterable[Verdict]) -> str:
    """Give the sentences about the flows that are not as they should be; empty if all are."""
    return "\n".join(f"{verdict}." for verdict in verdicts if not verdict.ok)
