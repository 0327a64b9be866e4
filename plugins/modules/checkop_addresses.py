#!/usr/bin/python
"""Ansible module: make the environment's Elastic IP addresses true."""

DOCUMENTATION = r"""
module: checkop_addresses
short_description: Make pools of Elastic IP addresses
description:
  - Allocates what is missing and releases what is too many and free.
  - Tags each address with C(checkop:pool), by which hosts find one to claim.
  - Follows the EC2 API (AllocateAddress, ReleaseAddress).
options:
  pools:
    description: The pools.
    type: list
    elements: dict
    required: true
    suboptions:
      pool: {description: Value of the tag checkop:pool, type: str, required: true}
      count: {description: Number of addresses, type: int, required: true}
      name: {description: Name tag of each address, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the addresses
  checkop_addresses:
    pools: [{pool: fleet, count: 4, name: AUTOChOp}]
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
allocation_ids: {description: Allocation ids by pool, type: dict, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.resources.address_pool import ensure_pool

SPEC = {
    "pools": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "pool": {"type": "str", "required": True},
            "count": {"type": "int", "required": True},
            "name": {"type": "str", "required": True},
        },
    },
}


def work(clients, plan, params):
    """Make each pool."""
    return {
        "allocation_ids": {
            pool["pool"]: ensure_pool(
                clients.ec2, plan, pool["pool"], pool["count"], name=pool["name"], tags=params["tags"]
            )
            for pool in params["pools"]
        }
    }


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
