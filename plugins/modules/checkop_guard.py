#!/usr/bin/python
"""Ansible module: prove account and endpoint before a play changes AWS."""

DOCUMENTATION = r"""
module: checkop_guard
short_description: Prove that AWS calls go to the account and endpoint of the inventory
description:
  - Compares E(AWS_ENDPOINT_URL) and STS GetCallerIdentity with the inventory.
  - Fails with both values if they differ.
  - Fails while a release is under way, which uses what other playbooks change; a check only warns.
  - Changes nothing.
options:
  account_id: {description: The account id of the inventory, type: str, required: true}
  endpoint_url: {description: The endpoint of the inventory; empty for AWS itself, type: str, required: true}
  region: {description: Region to ask in, type: str, required: true}
  ssm_prefix: {description: "Path of the environment's parameters, with releases' lock", type: str, required: true}
  during_release: {description: Whether the playbook may run during a release, type: bool, default: false}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Prove account and endpoint
  checkop_guard:
    account_id: "{{ aws_account_id }}"
    endpoint_url: "{{ aws_endpoint_url }}"
    region: "{{ aws_region }}"
    ssm_prefix: "{{ ssm_prefix }}"
"""

RETURN = r"""
caller: {description: ARN of the caller, type: str, returned: success}
"""

import datetime as dt

from ansible.module_utils.basic import AnsibleModule
from botocore.exceptions import BotoCoreError, ClientError

from checkop.aws import guard
from checkop.errors import CheckopError
from checkop.module import clients
from checkop.rollout.lock import Lock, refusal, this_session


def main() -> None:
    """Compare, and answer with the caller or with what differs."""
    module = AnsibleModule(
        argument_spec={
            "account_id": {"type": "str", "required": True},
            "endpoint_url": {"type": "str", "required": True},
            "region": {"type": "str", "required": True},
            "ssm_prefix": {"type": "str", "required": True},
            "during_release": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    aws = clients(module.params["region"])
    try:
        caller = guard(aws, module.params["account_id"], module.params["endpoint_url"])
        session = this_session(caller)
        holder = None if module.params["during_release"] else Lock(aws.ssm, module.params["ssm_prefix"], session).read()
    except CheckopError as error:
        module.fail_json(msg=str(error))
    except (BotoCoreError, ClientError) as error:
        module.fail_json(msg=f"The lock of releases cannot be read: {error}. Nothing was changed.")
    if holder is not None:
        sentence = refusal(holder, session, dt.datetime.now(dt.timezone.utc))
        if not module.check_mode:
            module.fail_json(msg=sentence)
        module.warn(f"Differences may be the release's own. {sentence}")
    module.exit_json(changed=False, caller=caller)


if __name__ == "__main__":
    main()
