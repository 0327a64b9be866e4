"""Where the balancer answers in each zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checkop.aws import Clients


def balancer_nodes(
    clients: Clients, name: str, resolve: Mapping[str, str], *, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return zone to address of the balancer's node there.

    An address given for `<zone>.<DNS name of the balancer>` wins; else the network interfaces that Elastic Load
    Balancing made
    for the balancer are asked (DescribeNetworkInterfaces, description ``ELB app/<name>/<id>``).

    Parameters
    ----------
    clients:
        Clients of the balancer's region.
    name:
        Name of the balancer.
    resolve:
        Name to address, the inventory's ``balancer_resolve``.
    known:
        Zone to address as found before: stands in for a zone that shows no node now.

    Raises
    ------
    CheckopError
        The balancer does not exist, or a zone of it has no node with a public address.
    """
    found = clients.elbv2.describe_load_balancers(Names=[name])["LoadBalancers"]
    if not found:
        raise CheckopError(f"Balancer {name} does not exist in {clients.region}. Make it with playbooks/balancer.yml.")
    balancer = found[0]
    zones = [zone["ZoneName"] for zone in balancer["AvailabilityZones"]]
    nodes = {
        zone: resolve[f"{zone}.{balancer['DNSName']}"] for zone in zones if f"{zone}.{balancer['DNSName']}" in resolve
    }
    if len(nodes) < len(zones):
        path = balancer["LoadBalancerArn"].partition(":loadbalancer/")[2]
        pages = clients.ec2.get_paginator("describe_network_interfaces").paginate(
            Filters=[{"Name": "description", "Values": [f"ELB {path}"]}]
        )
        for page in pages:
            for interface in page["NetworkInterfaces"]:
                address = interface.get("Association", {}).get("PublicIp")
                if address:
                    nodes.setdefault(interface["AvailabilityZone"], address)
    for zone, address in (known or {}).items():
        if zone in zones:
            nodes.setdefault(zone, address)
    missing = sorted(set(zones) - set(nodes))
    if missing:
        raise CheckopError(
            f"Balancer {name} has no public node in {', '.join(missing)}, so its answers there cannot be checked. See "
            "its subnets (playbooks/balancer.yml --check --diff), or give the address as balancer_resolve: "
            f"'{missing[0]}.{balancer['DNSName']}'."
        )
    return nodes
