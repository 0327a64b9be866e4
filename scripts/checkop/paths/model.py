"""The perimeter as plain data: subnets, security groups, network ACLs and flows, as `group_vars` states them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Direction = Literal["ingress", "egress"]
Action = Literal["allow", "deny"]

LOWEST_PORT = 0
HIGHEST_PORT = 65535
# The client's side of a connection: Elastic Load Balancing and NAT use all of it, Linux 32768-60999 (Amazon VPC User
# Guide, "Ephemeral ports").
EPHEMERAL = (1024, HIGHEST_PORT)
# Protocol numbers of IANA, which network ACLs want.
PROTOCOLS: Mapping[str, int] = {"all": -1, "icmp": 1, "tcp": 6, "udp": 17}
WITH_PORTS = ("tcp", "udp")
# Words that stand for address ranges where a rule or a flow names its peer.
INTERNET = "internet"
ADMINISTRATORS = "administrators"


@dataclass(frozen=True)
class Ports:
    """A range of ports, both ends included."""

    low: int
    high: int

    def __str__(self) -> str:
        """Write the range as the inventory does."""
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


ALL_PORTS = Ports(LOWEST_PORT, HIGHEST_PORT)


def parse_ports(value: object, where: str) -> Ports:
    """Read a port, ``low-high``, ``ephemeral`` or ``all``.

    Raises
    ------
    CheckopError
        It is none of these, or outside 0-65535; `where` says which variable has it.
    """
    words = {"ephemeral": Ports(*EPHEMERAL), "all": ALL_PORTS}
    text = str(value)
    if text in words:
        return words[text]
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if found:
        ports = Ports(int(found[1]), int(found[2] or found[1]))
        if ports.low <= ports.high <= HIGHEST_PORT:
            return ports
    raise CheckopError(
        f"{where}: {value!r} is no port. Allowed are 0-65535, a range such as 8000-8080, `ephemeral` (1024-65535) "
        "and `all`."
    )


def parse_protocol(value: object, where: str) -> str:
    """Read a protocol's name."""
    if value in PROTOCOLS:
        return str(value)
    raise CheckopError(f"{where}: {value!r} is no protocol. Allowed are {', '.join(sorted(PROTOCOLS))}.")


def parse_cidr(value: object, where: str) -> ipaddress.IPv4Network:
    """Read an IPv4 CIDR block without host bits."""
    try:
        return ipaddress.IPv4Network(str(value))
    except ValueError as error:
        raise CheckopError(
            f"{where}: {value!r} is no IPv4 CIDR block ({error}). Write the first address of the block and its "
            "prefix length, for example 10.20.1.0/24."
        ) from error


@dataclass(frozen=True)
class Subnet:
    """A subnet: name, tier, zone and block."""

    name: str
    tier: str
    zone: str
    cidr: ipaddress.IPv4Network


@dataclass(frozen=True)
class GroupRule:
    """A rule of a security group.

    Parameters
    ----------
    peer:
        The other side: name of a group, ``administrators``, or a CIDR block.
    """

    direction: Direction
    peer: str
    protocol: str
    ports: Ports
    description: str

    def __str__(self) -> str:
        """Write the rule as one line."""
        side = "from" if self.direction == "ingress" else "to"
        ports = f" {self.ports}" if self.protocol in WITH_PORTS else ""
        return f"{self.protocol}{ports} {side} {self.peer}"


@dataclass(frozen=True)
class SecurityGroup:
    """A security group and the tier in which its members lie."""

    name: str
    description: str
    tier: str
    rules: tuple[GroupRule, ...]

    def side(self, direction: Direction) -> list[GroupRule]:
        """Give the rules of one direction."""
        return [rule for rule in self.rules if rule.direction == direction]


@dataclass(frozen=True)
class AclRule:
    """An entry of a network ACL; the lowest number that matches decides."""

    direction: Direction
    number: int
    action: Action
    protocol: str
    cidr: ipaddress.IPv4Network
    ports: Ports

    def __str__(self) -> str:
        """Write the rule as one line."""
        side = "from" if self.direction == "ingress" else "to"
        ports = f" {self.ports}" if self.protocol in WITH_PORTS else ""
        return f"rule {self.number} {self.action} {self.protocol}{ports} {side} {self.cidr}"


@dataclass(frozen=True)
class NetworkAcl:
    """The network ACL of a tier's subnets; what no rule allows is denied."""

    name: str
    tier: str
    rules: tuple[AclRule, ...]

    def side(self, direction: Direction) -> list[AclRule]:
        """Give the rules of one direction in the order of evaluation."""
        return sorted((rule for rule in self.rules if rule.direction == direction), key=lambda rule: rule.number)


@dataclass(frozen=True)
class Flow:
    """A connection that somebody opens: from whom, to whom, protocol and port."""

    source: str
    destination: str
    protocol: str
    ports: Ports

    def __str__(self) -> str:
        """Write the flow as one line."""
        ports = f" {self.ports}" if self.protocol in WITH_PORTS else ""
        return f"{self.source} -> {self.destination} {self.protocol}{ports}"


@dataclass(frozen=True)
class Perimeter:
    """Everything that decides whether a packet passes."""

    vpc: ipaddress.IPv4Network
    subnets: tuple[Subnet, ...]
    administrators: tuple[ipaddress.IPv4Network, ...]
    groups: Mapping[str, SecurityGroup]
    acls: tuple[NetworkAcl, ...]
    wanted: tuple[Flow, ...] = field(default=())
    forbidden: tuple[Flow, ...] = field(default=())


def parse_groups(data: Sequence[Mapping[str, Any]]) -> dict[str, SecurityGroup]:
    """Read ``perimeter_security_groups``."""
    groups = {}
    for entry in data:
        where = f"perimeter_security_groups: {entry['name']}"
        rules: list[GroupRule] = []
        sides: tuple[tuple[Direction, str], ...] = (("ingress", "from"), ("egress", "to"))
        for direction, key in sides:
            rules += [
                GroupRule(
                    direction=direction,
                    peer=str(rule[key]),
                    protocol=parse_protocol(rule["protocol"], f"{where} {direction}"),
                    ports=parse_ports(rule.get("port", "all"), f"{where} {direction}"),
                    description=str(rule.get("description", "")),
                )
                for rule in entry[direction]
            ]
        groups[entry["name"]] = SecurityGroup(entry["name"], entry["description"], entry["tier"], tuple(rules))
    return groups


def parse_acls(data: Sequence[Mapping[str, Any]]) -> tuple[NetworkAcl, ...]:
    """Read ``perimeter_network_acls``."""
    acls = []
    for entry in data:
        where = f"perimeter_network_acls: {entry['name']}"
        rules: list[AclRule] = []
        directions: tuple[Direction, ...] = ("ingress", "egress")
        for direction in directions:
            for rule in entry[direction]:
                here = f"{where} {direction} rule {rule['rule']}"
                rules.append(
                    AclRule(
                        direction=direction,
                        number=int(rule["rule"]),
                        action="allow" if rule["action"] == "allow" else "deny",
                        protocol=parse_protocol(rule["protocol"], here),
                        cidr=parse_cidr(rule["cidr"], here),
                        ports=parse_ports(rule.get("ports", "all"), here),
                    )
                )
        acls.append(NetworkAcl(entry["name"], entry["tier"], tuple(rules)))
    return tuple(acls)


def parse_flows(data: Sequence[Mapping[str, Any]], where: str) -> tuple[Flow, ...]:
    """Read ``perimeter_wanted_flows`` or ``perimeter_forbidden_flows``."""
    return tuple(
        Flow(
            str(flow["from"]),
            str(flow["to"]),
            parse_protocol(flow["protocol"], where),
            parse_ports(flow.get("port", "all"), where),
        )
        for flow in data
    )


def parse(data: Mapping[str, Any]) -> Perimeter:
    """Read the perimeter from an inventory's variables.

    Parameters
    ----------
    data:
        ``network_cidr``, ``network_subnets`` and the ``perimeter_*`` variables, templated.

    Raises
    ------
    CheckopError
        A value cannot be read; the message has its variable, what was found and what is allowed.
    """
    return Perimeter(
        vpc=parse_cidr(data["network_cidr"], "network_cidr"),
        subnets=tuple(
            Subnet(
                subnet["name"],
                subnet["tier"],
                subnet["zone"],
                parse_cidr(subnet["cidr"], f"network_subnets: {subnet['name']}"),
            )
            for subnet in data["network_subnets"]
        ),
        administrators=tuple(
            parse_cidr(cidr, "perimeter_administrator_cidrs") for cidr in data["perimeter_administrator_cidrs"]
        ),
        groups=parse_groups(data["perimeter_security_groups"]),
        acls=parse_acls(data["perimeter_network_acls"]),
        wanted=parse_flows(data["perimeter_wanted_flows"], "perimeter_wanted_flows"),
        forbidden=parse_flows(data["perimeter_forbidden_flows"], "perimeter_forbidden_flows"),
    )
