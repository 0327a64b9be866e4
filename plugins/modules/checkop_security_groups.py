#!/usr/bin/python
"""Ansible module: make all security groups of the environment true at once."""

DOCUMENTATION = r"""
module: checkop_security_groups
short_description: Make security groups whose rules name each other
description:
  - Makes all groups first and their rules afterwards, so that two groups can name each other.
  - Removes rules, and groups made by this module, that the data does not have; closes the VPC's default group.
  - Follows the EC2 API (CreateSecurityGroup, DescribeSecurityGroupRules, AuthorizeSecurityGroupIngress).
options:
  network: {description: Name of the VPC and prefix of the groups' names, type: str, required: true}
  groups:
    description:
      - The groups as C(perimeter_security_groups) states them; name, description, tier, ingress and egress.
    type: list
    elements: dict
    required: true
  administrator_cidrs:
    description: CIDR blocks that C(administrators) stands for in a rule.
    type: list
    elements: str
    default: []
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the security groups
  checkop_security_groups:
    network: checkop
    groups:
      - name: app
        description: Fleet
        tier: public
        ingress: [{from: alb, protocol: tcp, port: 80, description: Requests}]
        egress: []
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
group_ids: {description: Ids by short name, type: dict, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.paths.model import parse_groups
from checkop.provision import lookup
from checkop.provision.security_groups import SecurityGroupsReconciler

SPEC = {
    "network": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "dict", "required": True},
    "administrator_cidrs": {"type": "list", "elements": "str", "default": []},
}


def work(clients, plan, params):
    """Make the groups of the environment's VPC."""
    vpc = lookup.vpc_id(clients.ec2, params["network"], params["tags"], check=plan.check)
    reconciler = SecurityGroupsReconciler(
        clients.ec2, plan, params["network"], params["administrator_cidrs"], params["tags"]
    )
    return {"group_ids": reconciler.run(vpc, parse_groups(params["groups"]))}


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
