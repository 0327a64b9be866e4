#!/usr/bin/python
"""Ansible module: prove account and endpoint before a play changes AWS."""

DOCUMENTATION = r"""
module: checkop_guard
short_description: Prove that AWS calls go to the account and endpoint of the inventory
description:
  - Compares E(AWS_ENDPOINT_URL) and STS GetCallerIdentity with the inventory.
  - Fails with both values if they differ.
  - Changes nothing.
options:
  account_id: {description: The account id of the inventory, type: str, required: true}
  endpoint_url: {description: The endpoint of the inventory; empty for AWS itself, type: str, required: true}
  region: {description: Region to ask in, type: str, required: true}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Prove account and endpoint
  checkop_guard:
    account_id: "{{ aws_account_id }}"
    endpoint_url: "{{ aws_endpoint_url }}"
    region: "{{ aws_region }}"
"""

RETURN = r"""
caller: {description: ARN of the caller, type: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import guard
from checkop.errors import CheckopError
from checkop.module import clients


def main() -> None:
    """Compare, and answer with the caller or with what differs."""
    module = AnsibleModule(
        argument_spec={
            "account_id": {"type": "str", "required": True},
            "endpoint_url": {"type": "str", "required": True},
            "region": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        caller = guard(clients(module.params["region"]), module.params["account_id"], module.params["endpoint_url"])
    except CheckopError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, caller=caller)


if __name__ == "__main__":
    main()
