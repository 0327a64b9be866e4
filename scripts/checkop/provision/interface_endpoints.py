"""Interface endpoints: private ways to AWS services, paid by the hour, switched by `network_interface_endpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.provision import lookup
from checkop.reconcile import tag_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import VpcEndpointTypeDef

    from checkop.reconcile import Plan

GONE = ("deleting", "deleted", "failed", "rejected", "expired")


def ensure_interface_endpoints(
    ec2: EC2Client,
    plan: Plan,
    *,
    vpc: str,
    prefix: str,
    services: Sequence[str],
    group: str,
    tags: Mapping[str, str],
) -> list[str]:
    """Make the endpoints (EC2 CreateVpcEndpoint, type Interface) and give their ids; remove those not named.

    They lie in one public subnet per zone, beside the hosts that use them, and answer to the public names of their
    services (private DNS).

    Parameters
    ----------
    services:
        Short service names, for example ``ssm`` or ``logs``.
    group:
        Name of their security group.
    """
    region = ec2.meta.region_name
    pages = ec2.get_paginator("describe_vpc_endpoints").paginate(
        Filters=[*lookup.owned(tags, vpc_id=vpc), {"Name": "vpc-endpoint-type", "Values": ["Interface"]}]
    )
    found: dict[str, VpcEndpointTypeDef] = {
        endpoint["ServiceName"]: endpoint
        for page in pages
        for endpoint in page["VpcEndpoints"]
        if endpoint["State"].lower() not in GONE
    }
    wanted = {f"com.amazonaws.{region}.{service}": service for service in services}
    ids = []
    if wanted:
        group_id = lookup.security_group_id(ec2, vpc, group, check=plan.check)
        subnets = _one_per_zone(ec2, vpc, tags)
    for service, short in wanted.items():
        name = f"{prefix}-{short}"
        if service not in found:
            ids.append(
                plan.create(
                    f"Interface endpoint {name}",
                    {"service": service, "subnets": subnets, "security group": group},
                    lambda service=service, name=name: ec2.create_vpc_endpoint(  # type: ignore[misc]
                        VpcId=vpc,
                        VpcEndpointType="Interface",
                        ServiceName=service,
                        SubnetIds=subnets,
                        SecurityGroupIds=[group_id],
                        PrivateDnsEnabled=True,
                        TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": tag_list(tags, Name=name)}],
                    )["VpcEndpoint"]["VpcEndpointId"],
                )
            )
            continue
        ids.append(found[service]["VpcEndpointId"])
        _update(ec2, plan, name, found[service], subnets=subnets, group=group_id)
    for service in sorted(set(found) - set(wanted)):
        identifier = found[service]["VpcEndpointId"]
        plan.delete(
            f"Interface endpoint {service}",
            {"service": service},
            lambda identifier=identifier: ec2.delete_vpc_endpoints(VpcEndpointIds=[identifier]),  # type: ignore[misc]
        )
    return ids


def _one_per_zone(ec2: EC2Client, vpc: str, tags: Mapping[str, str]) -> list[str]:
    found = lookup.subnets(ec2, vpc, tags, "public")
    zones = sorted({subnet["AvailabilityZone"] for subnet in found})
    return lookup.zone_subnets(ec2, vpc, tags, "public", zones, check=False)


def _update(
    ec2: EC2Client, plan: Plan, name: str, endpoint: VpcEndpointTypeDef, *, subnets: Sequence[str], group: str
) -> None:
    identifier = endpoint["VpcEndpointId"]
    has_subnets = set(endpoint.get("SubnetIds", []))
    has_groups = {entry["GroupId"] for entry in endpoint.get("Groups", [])}
    plan.update(
        f"Interface endpoint {name}",
        {"subnets": sorted(has_subnets), "security groups": sorted(has_groups)},
        {"subnets": sorted(subnets), "security groups": [group]},
        lambda: ec2.modify_vpc_endpoint(
            VpcEndpointId=identifier,
            AddSubnetIds=sorted(set(subnets) - has_subnets),
            RemoveSubnetIds=sorted(has_subnets - set(subnets)),
            AddSecurityGroupIds=sorted({group} - has_groups),
            RemoveSecurityGroupIds=sorted(has_groups - {group}),
        ),
    )
