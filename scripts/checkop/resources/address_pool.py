"""Elastic IP addresses: one for the hub, and a pool of which fleet instances claim one each at boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.provision import lookup
from checkop.reconcile import missing_tags, tag_list, tag_map
from checkop.resources.host_policies import POOL_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import AddressTypeDef

    from checkop.reconcile import Plan


def pool_addresses(ec2: EC2Client, pool: str, tags: Mapping[str, str]) -> list[AddressTypeDef]:
    """Give the environment's addresses of a pool, by allocation id (EC2 DescribeAddresses)."""
    filters = [*lookup.owned(tags), {"Name": f"tag:{POOL_TAG}", "Values": [pool]}]
    found = ec2.describe_addresses(Filters=filters)["Addresses"]  # type: ignore[arg-type]
    return sorted(found, key=lambda address: address["AllocationId"])


def ensure_pool(ec2: EC2Client, plan: Plan, pool: str, count: int, *, name: str, tags: Mapping[str, str]) -> list[str]:
    """Make a pool hold a number of addresses and give their allocation ids.

    Missing ones are allocated (EC2 AllocateAddress). Surplus ones are released only while nothing uses them.

    Parameters
    ----------
    pool:
        Value of the tag ``checkop:pool``, by which hosts find free addresses.
    name:
        ``Name`` tag of each.

    Raises
    ------
    CheckopError
        The pool is to shrink below the number of addresses that instances hold.
    """
    wanted = {**tags, "Name": name, POOL_TAG: pool}
    found = pool_addresses(ec2, pool, tags)
    for address in found:
        identifier = address["AllocationId"]
        lacking = missing_tags(tag_map(address.get("Tags")), wanted)
        plan.update(
            f"Elastic IP {address['PublicIp']} tags",
            {},
            lacking,
            lambda identifier=identifier, lacking=lacking: ec2.create_tags(  # type: ignore[misc]
                Resources=[identifier], Tags=tag_list(lacking)
            ),
        )
    ids = [address["AllocationId"] for address in found]
    ids += [
        plan.create(f"Elastic IP {number} of pool {pool}", {"Name": name}, lambda: _allocate(ec2, wanted))
        for number in range(len(found) + 1, count + 1)
    ]
    surplus = len(found) - count
    if surplus <= 0:
        return ids
    free = [address for address in found if "AssociationId" not in address]
    if len(free) < surplus:
        raise CheckopError(
            f"Pool {pool} has {len(found)} addresses and is to have {count}, but only {len(free)} of them are free. "
            "Shrink the fleet first (fleet_max_size is the pool's size), and run this again when instances have ended."
        )
    for address in free[-surplus:]:
        identifier = address["AllocationId"]
        ids.remove(identifier)
        plan.delete(
            f"Elastic IP {address['PublicIp']} of pool {pool}",
            {"PublicIp": address["PublicIp"]},
            lambda identifier=identifier: ec2.release_address(AllocationId=identifier),  # type: ignore[misc]
        )
    return ids


def _allocate(ec2: EC2Client, tags: Mapping[str, str]) -> str:
    return ec2.allocate_address(
        Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tag_list(tags)}]
    )["AllocationId"]
