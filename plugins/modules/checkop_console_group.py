#!/usr/bin/python
"""Ansible module: the IAM group of the console administrators."""

DOCUMENTATION = r"""
module: checkop_console_group
short_description: Make an IAM group that reads monitoring and logs, and nothing else
description:
  - Other policies, inline or attached, are removed; members are not touched.
options:
  name: {description: Name of the group, type: str, required: true}
  log_prefixes: {description: Beginnings of the readable log groups' names, type: list, elements: str, required: true}
  topic_arn: {description: Topic of the alarms, type: str, required: true}
  account_id: {description: Account of logs and topic, type: str, required: true}
  region: {description: Region of logs and topic, type: str, required: true}
  tags: {description: Tags of ownership; the environment becomes the group's path, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the console administrators' group
  checkop_console_group:
    name: checkop-console-administrators
    log_prefixes: [/checkop/production, /aws/rds/instance/dbprogressus]
    topic_arn: arn:aws:sns:us-east-1:123456789012:checkop-production-alarms
    account_id: "123456789012"
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.monitoring import console_group
from checkop.ownership import ENVIRONMENT_TAG
from checkop.reconcile import Plan

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "log_prefixes": {"type": "list", "elements": "str", "required": True},
    "topic_arn": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Make the group."""
    document = console_group.policy(
        options["region"], options["account_id"], options["log_prefixes"], options["topic_arn"]
    )
    console_group.reconcile(clients.iam, plan, options["name"], options["tags"][ENVIRONMENT_TAG], document)


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
