#!/usr/bin/python
"""Ansible module: make the network ACLs of the environment true."""

DOCUMENTATION = r"""
module: checkop_network_acls
short_description: Make the network ACLs of the tiers
description:
  - Writes rules before it removes others, and fills an ACL before a subnet gets it, so that no wanted flow is cut.
  - Follows the EC2 API (CreateNetworkAclEntry, ReplaceNetworkAclEntry, ReplaceNetworkAclAssociation).
options:
  network: {description: Name of the VPC and prefix of the ACLs' names, type: str, required: true}
  acls:
    description: The ACLs as C(perimeter_network_acls) states them; name, tier, ingress and egress.
    type: list
    elements: dict
    required: true
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the network ACLs
  checkop_network_acls:
    network: checkop
    acls:
      - name: data
        tier: data
        ingress: [{rule: 100, action: allow, protocol: tcp, cidr: 10.20.1.0/24, ports: 3306}]
        egress: [{rule: 100, action: allow, protocol: tcp, cidr: 10.20.1.0/24, ports: ephemeral}]
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
acl_ids: {description: Ids by short name, type: dict, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.paths.model import parse_acls
from checkop.provision import lookup
from checkop.provision.network_acls import NetworkAclsReconciler

SPEC = {
    "network": {"type": "str", "required": True},
    "acls": {"type": "list", "elements": "dict", "required": True},
}


def work(clients, plan, params):
    """Make the ACLs of the environment's VPC."""
    vpc = lookup.vpc_id(clients.ec2, params["network"], params["tags"], check=plan.check)
    reconciler = NetworkAclsReconciler(clients.ec2, plan, params["network"], params["tags"])
    return {"acl_ids": reconciler.run(vpc, parse_acls(params["acls"]))}


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
