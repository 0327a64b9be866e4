#!/usr/bin/python
"""Ansible module: make the interface endpoints of the environment true."""

DOCUMENTATION = r"""
module: checkop_interface_endpoints
short_description: Make private ways to AWS services
description:
  - Makes the interface endpoints named and removes those of the environment that are not.
  - Follows the EC2 API (CreateVpcEndpoint, ModifyVpcEndpoint).
options:
  network: {description: Name of the VPC and prefix of the endpoints' names, type: str, required: true}
  services: {description: Services such as V(ssm), type: list, elements: str, default: []}
  group: {description: Name of the security group that the endpoints wear, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the interface endpoints
  checkop_interface_endpoints:
    network: checkop
    services: [ssm]
    group: checkop-endpoints
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
endpoint_ids: {description: Ids of the endpoints, type: list, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.provision import lookup
from checkop.provision.interface_endpoints import ensure_interface_endpoints

SPEC = {
    "network": {"type": "str", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
    "group": {"type": "str", "required": True},
}


def work(clients, plan, params):
    """Make the endpoints in the environment's VPC."""
    vpc = lookup.vpc_id(clients.ec2, params["network"], params["tags"], check=plan.check)
    made = ensure_interface_endpoints(
        clients.ec2,
        plan,
        vpc=vpc,
        prefix=params["network"],
        services=params["services"],
        group=params["group"],
        tags=params["tags"],
    )
    return {"endpoint_ids": made}


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
