#!/usr/bin/python
"""Ansible module: make the operators' key pair true."""

DOCUMENTATION = r"""
module: checkop_key_pair
short_description: Make an EC2 key pair of a public key
description:
  - Compares the key itself, so that check mode and the difference tell the truth, and replaces it when it differs.
  - Follows the EC2 API (ImportKeyPair).
options:
  name: {description: Name of the key pair, type: str, required: true}
  public_key: {description: OpenSSH public key, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of the key pair, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the key pair
  checkop_key_pair:
    name: checkop
    public_key: "{{ fleet_public_key }}"
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.provision.key_pair import ensure_key_pair

SPEC = {
    "name": {"type": "str", "required": True},
    "public_key": {"type": "str", "required": True, "no_log": False},
}


def work(clients, plan, params):
    """Make the key pair."""
    ensure_key_pair(clients.ec2, plan, params["name"], params["public_key"], params["tags"])


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
