"""Find what other systems have made, in AWS itself, by the names and ranges of the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.ownership import ENVIRONMENT_TAG
from checkop.reconcile import UNKNOWN, Plan, tag_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_ec2 import EC2Client


class Network:
    """The VPC with its subnets and security groups, as far as they exist.

    In a check run a thing that does not exist is `UNKNOWN`, so that a check from nothing can go on.

    Parameters
    ----------
    ec2:
        The EC2 client.
    plan:
        Tells a check from a real run.
    vpc_name:
        Tag ``Name`` of the VPC.
    environment:
        Its tag ``checkop:environment``.
    """

    def __init__(self, ec2: EC2Client, plan: Plan, vpc_name: str, environment: str) -> None:
        self._ec2 = ec2
        self._check = plan.check
        self._vpc_name = vpc_name
        vpcs = [
            vpc
            for page in ec2.get_paginator("describe_vpcs").paginate(
                Filters=[
                    {"Name": "tag:Name", "Values": [vpc_name]},
                    {"Name": f"tag:{ENVIRONMENT_TAG}", "Values": [environment]},
                ]
            )
            for vpc in page["Vpcs"]
        ]
        if len(vpcs) > 1:
            raise CheckopError(
                f"There are {len(vpcs)} VPCs named {vpc_name!r} of environment {environment!r}: "
                f"{', '.join(vpc['VpcId'] for vpc in vpcs)}. Remove the one that is not in use."
            )
        self.vpc_id = vpcs[0]["VpcId"] if vpcs else self._missing(f"VPC {vpc_name!r}", "network")

    def _missing(self, what: str, playbook: str) -> str:
        if self._check:
            return UNKNOWN
        raise CheckopError(f"{what} does not exist yet. Run playbooks/{playbook}.yml first.")

    def subnet_ids(self, names: Sequence[str]) -> list[str]:
        """Return the ids of subnets, in the order given, found by the inventory's names of them."""
        found = {}
        if Plan.exists(self.vpc_id):
            pages = self._ec2.get_paginator("describe_subnets").paginate(
                Filters=[{"Name": "vpc-id", "Values": [self.vpc_id]}]
            )
            found = {
                tag_map(subnet.get("Tags")).get("Name"): subnet["SubnetId"]
                for page in pages
                for subnet in page["Subnets"]
            }
        full = [f"{self._vpc_name}-{name}" for name in names]
        return [found.get(name) or self._missing(f"Subnet {name!r}", "network") for name in full]

    def security_group_id(self, name: str) -> str:
        """Return the id of a security group of this VPC, found by the inventory's name of it."""
        full = f"{self._vpc_name}-{name}"
        if Plan.exists(self.vpc_id):
            answer = self._ec2.describe_security_groups(
                Filters=[{"Name": "vpc-id", "Values": [self.vpc_id]}, {"Name": "group-name", "Values": [full]}]
            )
            for group in answer["SecurityGroups"]:
                return group["GroupId"]
        return self._missing(f"Security group {full!r}", "perimeter")
