"""Find what other systems made, by name and by the environment's tag, so that every playbook runs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.reconcile import tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, SecurityGroupTypeDef, SubnetTypeDef, VpcTypeDef

ENVIRONMENT_TAG = "checkop:environment"


def owned(tags: Mapping[str, str], **more: str) -> list[FilterTypeDef]:
    """Filters for things of this environment, plus further filters given by name (``_`` stands for ``-``)."""
    filters: list[FilterTypeDef] = [{"Name": f"tag:{ENVIRONMENT_TAG}", "Values": [tags[ENVIRONMENT_TAG]]}]
    for name, value in more.items():
        filters.append({"Name": name.replace("_", "-"), "Values": [value]})
    return filters


def named(tags: Mapping[str, str], name: str, **more: str) -> list[FilterTypeDef]:
    """Filters for the thing of this environment whose ``Name`` tag is given."""
    return [*owned(tags, **more), {"Name": "tag:Name", "Values": [name]}]


def only(found: Sequence[Any], resource: str, tags: Mapping[str, str]) -> Any | None:
    """Return the one thing found, or None.

    Raises
    ------
    CheckopError
        More than one carries the name and the environment's tag: nobody can say which is meant.
    """
    if len(found) > 1:
        raise CheckopError(
            f"{resource}: {len(found)} of them carry this name and {ENVIRONMENT_TAG}={tags[ENVIRONMENT_TAG]}. "
            "Remove or rename the one that does not belong to the environment."
        )
    return found[0] if found else None


def find_vpc(ec2: EC2Client, name: str, tags: Mapping[str, str]) -> VpcTypeDef | None:
    """Find the environment's VPC (EC2 DescribeVpcs)."""
    pages = ec2.get_paginator("describe_vpcs").paginate(Filters=named(tags, name))
    found: VpcTypeDef | None = only([vpc for page in pages for vpc in page["Vpcs"]], f"VPC {name}", tags)
    return found


def vpc_id(ec2: EC2Client, name: str, tags: Mapping[str, str], *, check: bool) -> str:
    """Give the id of the environment's VPC; in check mode a placeholder when it does not exist yet."""
    vpc = find_vpc(ec2, name, tags)
    if vpc is not None:
        return vpc["VpcId"]
    if check:
        return f"(VPC {name})"
    raise CheckopError(
        f"VPC {name}: none carries this name and {ENVIRONMENT_TAG}={tags[ENVIRONMENT_TAG]}. "
        "Run playbooks/network.yml first."
    )


def subnets(ec2: EC2Client, vpc: str, tags: Mapping[str, str], tier: str) -> list[SubnetTypeDef]:
    """Give the environment's subnets of a tier, sorted by zone and name (EC2 DescribeSubnets)."""
    filters = [*owned(tags, vpc_id=vpc), {"Name": "tag:checkop:tier", "Values": [tier]}]
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=filters)  # type: ignore[arg-type]
    found = [subnet for page in pages for subnet in page["Subnets"]]
    return sorted(found, key=lambda subnet: (subnet["AvailabilityZone"], tag_map(subnet.get("Tags")).get("Name", "")))


def zone_subnets(
    ec2: EC2Client, vpc: str, tags: Mapping[str, str], tier: str, zones: Sequence[str], *, check: bool
) -> list[str]:
    """Give the id of one subnet of a tier for each zone, in the order of the zones.

    Raises
    ------
    CheckopError
        A zone has no subnet of the tier (outside check mode).
    """
    by_zone = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in reversed(subnets(ec2, vpc, tags, tier))}
    missing = [zone for zone in zones if zone not in by_zone]
    if missing and not check:
        raise CheckopError(
            f"{', '.join(missing)}: no {tier} subnet of the environment lies there. Add one to network_subnets and "
            "run playbooks/network.yml."
        )
    return [by_zone.get(zone, f"({tier} subnet in {zone})") for zone in zones]


def security_groups(ec2: EC2Client, vpc: str, names: Sequence[str] = ()) -> dict[str, SecurityGroupTypeDef]:
    """Give the VPC's security groups by name (EC2 DescribeSecurityGroups), all or those named."""
    filters: list[FilterTypeDef] = [{"Name": "vpc-id", "Values": [vpc]}]
    if names:
        filters.append({"Name": "group-name", "Values": list(names)})
    pages = ec2.get_paginator("describe_security_groups").paginate(Filters=filters)
    return {group["GroupName"]: group for page in pages for group in page["SecurityGroups"]}


def security_group_id(ec2: EC2Client, vpc: str, name: str, *, check: bool) -> str:
    """Give the id of one security group; in check mode a placeholder when it does not exist yet."""
    group = security_groups(ec2, vpc, [name]).get(name)
    if group is not None:
        return group["GroupId"]
    if check:
        return f"(security group {name})"
    raise CheckopError(f"Security group {name} does not exist in {vpc}. Run playbooks/perimeter.yml first.")
