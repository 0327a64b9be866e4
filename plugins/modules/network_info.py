#!/usr/bin/python
"""Ansible module: the ids of the environment's network, so that every system can be made alone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_info
short_description: Look up the environment's VPC, its subnets by tier and zone, and its security groups by name
description:
  - Changes nothing. A check gets placeholders for what does not exist yet.
options:
  name: {description: Tag Name of the VPC, type: str, required: true}
  subnets: {description: "The inventory's network_subnets, which must exist", type: list, elements: dict, default: []}
  security_groups: {description: Names of security groups that must exist, type: list, elements: str, default: []}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Look up the network
  network_info:
    name: checkop
    subnets: "{{ network_subnets }}"
    security_groups: [checkop-db]
    region: us-east-1
    tags: "{{ aws_tags }}"
  register: database__network
"""

RETURN = r"""
vpc_id: {description: Id of the VPC, type: str, returned: success}
subnets: {description: "Subnet ids by tier, in the order of the zones", type: dict, returned: success}
security_groups: {description: Security group ids by name, type: dict, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.provision import lookup
from checkop.reconcile import Plan


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    """Look up what the network's playbooks made."""
    ec2, tags = clients.ec2, options["tags"]
    vpc = lookup.vpc_id(ec2, options["name"], tags, check=plan.check)
    zones: dict[str, list[str]] = {}
    for subnet in options["subnets"]:
        zones.setdefault(subnet["tier"], []).append(subnet["zone"])
    return {
        "vpc_id": vpc,
        "subnets": {
            tier: lookup.zone_subnets(ec2, vpc, tags, tier, names, check=plan.check) for tier, names in zones.items()
        },
        "security_groups": {
            name: lookup.security_group_id(ec2, vpc, name, check=plan.check) for name in options["security_groups"]
        },
    }


def main() -> None:
    """Run the module."""
    options: dict[str, Any] = {
        "name": {"type": "str", "required": True},
        "subnets": {"type": "list", "elements": "dict", "default": []},
        "security_groups": {"type": "list", "elements": "str", "default": []},
    }
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
