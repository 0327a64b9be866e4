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
  subnets: {description: One per zone; each has name and zone, type: list, elements: dict, required: true}
  security_group: {description: Inventory's name of the mount targets' security group, type: str, required: true}
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
    subnets: [{name: data-1a, zone: us-east-1a}, {name: data-1d, zone: us-east-1d}]
    security_group: efs
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
from checkop.lookup import Network
from checkop.module import COMMON, run
from checkop.ownership import ENVIRONMENT_TAG
from checkop.reconcile import Plan
from checkop.storage.file_system import FileSystem, reconcile

OPTIONS = {
    "name": {"type": "str", "required": True},
    "throughput_mode": {"type": "str", "choices": ["bursting", "elastic"], "required": True},
    "transition_to_ia": {"type": "str", "required": True},
    "transition_to_primary": {"type": "str", "required": True},
    "backup": {"type": "bool", "required": True},
    "subnets": {"type": "list", "elements": "dict", "required": True},
    "security_group": {"type": "str", "required": True},
    "access_point_path": {"type": "str", "required": True},
    "owner_uid": {"type": "int", "required": True},
    "owner_gid": {"type": "int", "required": True},
    "client_roles": {"type": "list", "elements": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "wait_seconds": {"type": "int", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Make the file system."""
    network = Network(clients.ec2, plan, options["vpc_name"], options["tags"][ENVIRONMENT_TAG])
    wanted = FileSystem(**{name: options[name] for name in OPTIONS}, tags=options["tags"])
    return reconcile(clients.efs, network, plan, wanted)


def main() -> None:
    """Run the module."""
    run(
        AnsibleModule(
            argument_spec={**COMMON, **OPTIONS, "vpc_name": {"type": "str", "required": True}}, supports_check_mode=True
        ),
        work,
    )


if __name__ == "__main__":
    main()
