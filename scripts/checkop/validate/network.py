"""The VPC: blocks within the VPC that do not overlap, and a subnet wherever something has to lie."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any

from checkop.validate.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUBNETS = "network_subnets"


def check_network(data: Mapping[str, Any]) -> list[Finding]:
    """Check ``network_*``, and that every zone in use has the subnets it needs."""
    vpc = ipaddress.IPv4Network(data["network_cidr"])
    subnets = [(subnet, ipaddress.IPv4Network(subnet["cidr"])) for subnet in data[SUBNETS]]
    findings = []
    for subnet, block in subnets:
        if not block.subnet_of(vpc):
            findings.append(
                Finding(
                    f"{SUBNETS}: {subnet['name']}",
                    f"{block}, which is outside the VPC",
                    f"a block within network_cidr {vpc}",
                    "Choose another block, or enlarge network_cidr while nothing is built",
                )
            )
        if not subnet["zone"].startswith(data["aws_region"]):
            findings.append(
                Finding(
                    f"{SUBNETS}: {subnet['name']}",
                    f"zone {subnet['zone']}",
                    f"a zone of aws_region {data['aws_region']}",
                    "Correct the zone or the region",
                )
            )
    findings += _overlaps(subnets)
    findings += repeated(SUBNETS, (subnet["name"] for subnet, _ in subnets))
    findings += _zones(data)
    return findings


def _overlaps(subnets: list[tuple[Mapping[str, Any], ipaddress.IPv4Network]]) -> list[Finding]:
    return [
        Finding(
            f"{SUBNETS}: {other['name']}",
            f"{block}, which overlaps {one['name']} {before}",
            "blocks that have no address in common",
            "Move one of the two",
        )
        for index, (other, block) in enumerate(subnets)
        for one, before in subnets[:index]
        if block.overlaps(before)
    ]


def _zones(data: Mapping[str, Any]) -> list[Finding]:
    has = {(subnet["tier"], subnet["zone"]) for subnet in data[SUBNETS]}
    needs = [("public", zone, "fleet_zones") for zone in data["fleet_zones"]]
    needs += [("data", zone, "fleet_zones") for zone in data["fleet_zones"]]
    needs += [("public", data["hub_zone"], "hub_zone"), ("data", data["database_zone"], "database_zone")]
    findings = [
        Finding(
            variable,
            f"{zone}, where network_subnets has no {tier} subnet",
            f"zones that have a {tier} subnet: {', '.join(sorted(z for t, z in has if t == tier)) or 'none yet'}",
            f"Add a {tier} subnet in {zone} to network_subnets, or leave the zone out",
        )
        for tier, zone, variable in dict.fromkeys(needs)
        if (tier, zone) not in has
    ]
    # The balancer and the database's subnet group each ask for two zones.
    for tier, why in (("public", "an application load balancer"), ("data", "a DB subnet group")):
        zones = {zone for t, zone in has if t == tier}
        if len(zones) == 1:
            findings.append(
                Finding(
                    SUBNETS,
                    f"{tier} subnets in {', '.join(zones)} only",
                    f"{tier} subnets in two zones, which {why} needs",
                    f"Add a {tier} subnet in another zone",
                )
            )
    return findings


def repeated(variable: str, names: Iterable[str]) -> list[Finding]:
    """Give the names that occur more than once."""
    return [
        Finding(f"{variable}: {name}", f"{count} entries of this name", "each name once", "Rename or remove one")
        for name, count in Counter(names).items()
        if count > 1
    ]
