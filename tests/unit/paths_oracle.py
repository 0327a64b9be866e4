"""Follows one packet at a time through a perimeter: slow, simple, and written without looking at the proof."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checkop.paths.model import NetworkAcl, Perimeter, Subnet


@dataclass(frozen=True)
class Place:
    """Where a packet starts or ends: the group's name or a word for outside, its subnet, its address."""

    name: str
    subnet: Subnet | None
    address: ipaddress.IPv4Address


def acl_allows(acl: NetworkAcl, direction: str, protocol: str, address: ipaddress.IPv4Address, port: int) -> bool:
    rules = [rule for rule in acl.rules if rule.direction == direction]
    for rule in sorted(rules, key=lambda rule: rule.number):
        if rule.protocol not in (protocol, "all") or address not in rule.cidr:
            continue
        if rule.protocol == "all" or rule.ports.low <= port <= rule.ports.high:
            return rule.action == "allow"
    return False


def group_allows(perimeter: Perimeter, at: Place, other: Place, direction: str, packet: tuple[str, int]) -> bool:
    protocol, port = packet
    if at.name not in perimeter.groups:
        return True
    for rule in perimeter.groups[at.name].rules:
        if rule.direction != direction or rule.protocol not in (protocol, "all"):
            continue
        if rule.protocol != "all" and not rule.ports.low <= port <= rule.ports.high:
            continue
        if rule.peer in perimeter.groups:
            matches = rule.peer == other.name
        elif rule.peer == "administrators":
            matches = any(other.address in block for block in perimeter.administrators)
        else:
            matches = other.address in ipaddress.IPv4Network(rule.peer)
        if matches:
            return True
    return False


def subnet_allows(perimeter: Perimeter, at: Place, other: Place, direction: str, packet: tuple[str, int]) -> bool:
    if at.subnet is None or at.subnet == other.subnet:
        return True
    acl = next(acl for acl in perimeter.acls if acl.tier == at.subnet.tier)
    return acl_allows(acl, direction, packet[0], other.address, packet[1])


def routed(source: Place, destination: Place) -> bool:
    for end, other in ((source, destination), (destination, source)):
        if end.subnet is not None and other.subnet is None and end.subnet.tier != "public":
            return False
    return True


def arrives(perimeter: Perimeter, source: Place, destination: Place, protocol: str, port: int) -> bool:
    """Whether the first packet of a connection reaches its destination."""
    return (
        routed(source, destination)
        and group_allows(perimeter, source, destination, "egress", (protocol, port))
        and subnet_allows(perimeter, source, destination, "egress", (protocol, port))
        and subnet_allows(perimeter, destination, source, "ingress", (protocol, port))
        and group_allows(perimeter, destination, source, "ingress", (protocol, port))
    )


def answered(perimeter: Perimeter, source: Place, destination: Place, protocol: str, client_port: int) -> bool:
    """Whether a reply to the client's port gets back; security groups remember the connection."""
    return subnet_allows(perimeter, destination, source, "egress", (protocol, client_port)) and subnet_allows(
        perimeter, source, destination, "ingress", (protocol, client_port)
    )
