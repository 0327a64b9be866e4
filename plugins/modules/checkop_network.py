#!/usr/bin/python
"""Ansible module: make the environment's VPC true."""

DOCUMENTATION = r"""
module: checkop_network
short_description: Make a VPC with subnets, routes, gateway endpoints and flow logs
description:
  - Compares the VPC found by name and ownership tag with what is asked for, and closes the difference.
  - Follows the EC2 API (CreateVpc, CreateSubnet, CreateRouteTable, CreateVpcEndpoint, CreateFlowLogs).
  - One call instead of one task per resource, so that check mode works before anything exists.
options:
  name: {description: Name of the VPC and prefix of all names in it, type: str, required: true}
  cidr: {description: CIDR block of the VPC, type: str, required: true}
  subnets:
    description: The subnets.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Short name, type: str, required: true}
      tier: {description: C(public) has a route to the internet, type: str, required: true, choices: [public, data]}
      zone: {description: Availability zone, type: str, required: true}
      cidr: {description: CIDR block, type: str, required: true}
  gateway_endpoints: {description: Services such as V(s3), type: list, elements: str, default: []}
  flow_logs: {description: Log every flow, type: bool, default: true}
  flow_log_group: {description: CloudWatch Logs group of the flow logs, type: str, required: true}
  flow_log_retention_days: {description: Days that flow logs are kept, type: int, required: true}
  account_id: {description: The account's id, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the VPC
  checkop_network:
    name: checkop
    cidr: 10.20.0.0/16
    subnets: [{name: public-1a, tier: public, zone: us-east-1a, cidr: 10.20.1.0/24}]
    flow_log_group: /checkop/production/vpc/flow
    flow_log_retention_days: 90
    account_id: "123456789012"
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
vpc_id: {description: Id of the VPC, type: str, returned: success}
subnets: {description: Subnet ids by short name, type: dict, returned: success}
route_tables: {description: Route table ids by tier, type: dict, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.provision.flow_logs import ensure_flow_logs, remove_flow_logs
from checkop.provision.network import Network, NetworkReconciler, Subnet

SPEC = {
    "name": {"type": "str", "required": True},
    "cidr": {"type": "str", "required": True},
    "subnets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "tier": {"type": "str", "required": True, "choices": ["public", "data"]},
            "zone": {"type": "str", "required": True},
            "cidr": {"type": "str", "required": True},
        },
    },
    "gateway_endpoints": {"type": "list", "elements": "str", "default": []},
    "flow_logs": {"type": "bool", "default": True},
    "flow_log_group": {"type": "str", "required": True},
    "flow_log_retention_days": {"type": "int", "required": True},
    "account_id": {"type": "str", "required": True},
}


def work(clients, plan, params):
    """Make the network, then its flow logs."""
    network = Network(
        name=params["name"],
        cidr=params["cidr"],
        subnets=[Subnet(**subnet) for subnet in params["subnets"]],
        gateway_endpoints=params["gateway_endpoints"],
    )
    result = NetworkReconciler(clients.ec2, plan, network, params["tags"]).run()
    if params["flow_logs"]:
        ensure_flow_logs(
            clients,
            plan,
            vpc=result["vpc_id"],
            name=f"{params['name']}-flow-logs",
            log_group=params["flow_log_group"],
            retention_days=params["flow_log_retention_days"],
            account_id=params["account_id"],
            tags=params["tags"],
        )
    else:
        remove_flow_logs(clients.ec2, plan, result["vpc_id"], params["tags"])
    return result


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
