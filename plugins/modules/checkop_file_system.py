#!/usr/bin/python
"""Ansible module: the EFS file system with everything that belongs to it."""

DOCUMENTATION = r"""
module: checkop_file_system
short_description: Make an EFS file system, encrypted and reachable with TLS only
description:
  - Makes the file system, a mount target per zone, the access point, the file system policy, lifecycle and backup.
  - C(community.aws.efs) has neither access points nor policies, and asks for tags with a call that AWS has retired.
options:
  name: {description: Tag Name of the file system, type: str, required: true}
  throughput_mode: {description: Throughput mode, type: str, choices: [bursting, elastic], required: true}
  transition_to_ia: {description: EFS lifecycle value, or empty for never, type: str, required: true}
  transition_to_primary: {description: EFS lifecycle value, or empty for never, type: str, required: true}
  backup: {description: Whether automatic backups are on, type: bool, required: true}
  vpc_name: {description: Tag Name of the VPC, type: str, required: true}
  zones: {description: Zones that get a mount target in their data subnet, type: list, elements: str, required: true}
  security_group: {description: Name of the mount targets' security group, type: str, required: true}
  access_point_path: {description: Root directory of the access point, type: str, required: true}
  owner_uid: {description: Owner of all files, type: int, required: true}
  owner_gid: {description: Group of all files, type: int, required: true}
  client_roles: {description: Names of the IAM roles that may mount, type: list, elements: str, required: true}
  account_id: {description: Account of those roles, type: str, required: true}
  wait_seconds: {description: Bound of each wait, type: int, required: true}
  region: {description: Region of the file system, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make ChOp-Temp
  checkop_file_system:
    name: ChOp-Temp
    throughput_mode: bursting
    transition_to_ia: AFTER_30_DAYS
    transition_to_primary: AFTER_1_ACCESS
    backup: true
    vpc_name: checkop
    zones: [us-east-1a, us-east-1d]
    security_group: checkop-efs
    access_point_path: /chop-temp
    owner_uid: 5000
    owner_gid: 5000
    client_roles: [checkop-production-fleet]
    account_id: "123456789012"
    wait_seconds: 600
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
file_system_id: {description: Id of the file system; empty where a check found none, type: str, returned: success}
access_point_id: {description: Id of the access point; empty where a check found none, type: str, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.provision import lookup
from checkop.reconcile import Plan
from checkop.storage.file_system import FileSystem, reconcile

OPTIONS = {
    "name": {"type": "str", "required": True},
    "throughput_mode": {"type": "str", "choices": ["bursting", "elastic"], "required": True},
    "transition_to_ia": {"type": "str", "required": True},
    "transition_to_primary": {"type": "str", "required": True},
    "backup": {"type": "bool", "required": True},
    "access_point_path": {"type": "str", "required": True},
    "owner_uid": {"type": "int", "required": True},
    "owner_gid": {"type": "int", "required": True},
    "client_roles": {"type": "list", "elements": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "wait_seconds": {"type": "int", "required": True},
}

LOOKUP_OPTIONS = {
    "vpc_name": {"type": "str", "required": True},
    "zones": {"type": "list", "elements": "str", "required": True},
    "security_group": {"type": "str", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Make the file system."""
    tags, zones = options["tags"], options["zones"]
    vpc = lookup.vpc_id(clients.ec2, options["vpc_name"], tags, check=plan.check)
    subnets = lookup.zone_subnets(clients.ec2, vpc, tags, "data", zones, check=plan.check)
    wanted = FileSystem(
        **{name: options[name] for name in OPTIONS},
        subnets=dict(zip(zones, subnets, strict=True)),
        security_group_id=lookup.security_group_id(clients.ec2, vpc, options["security_group"], check=plan.check),
        tags=tags,
    )
    return reconcile(clients.efs, plan, wanted)


def main() -> None:
    """Run the module."""
    run(
        AnsibleModule(argument_spec={**COMMON, **OPTIONS, **LOOKUP_OPTIONS}, supports_check_mode=True),
        work,
    )


if __name__ == "__main__":
    main()
