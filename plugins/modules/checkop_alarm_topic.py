#!/usr/bin/python
"""Ansible module: the topic that alarms write to."""

DOCUMENTATION = r"""
module: checkop_alarm_topic
short_description: Make the SNS topic of the alarms with its e-mail subscriptions
description:
  - CloudWatch alarms of the account may publish, over TLS only; subscriptions that are not listed are removed.
options:
  name: {description: Name of the topic, type: str, required: true}
  subscribers: {description: E-mail addresses, type: list, elements: str, required: true}
  account_id: {description: Account of the topic, type: str, required: true}
  region: {description: Region of the topic, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the topic of the alarms
  checkop_alarm_topic:
    name: checkop-production-alarms
    subscribers: [operations@checkop.co]
    account_id: "123456789012"
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
topic_arn: {description: ARN of the topic, type: str, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.monitoring import topic
from checkop.reconcile import Plan

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "subscribers": {"type": "list", "elements": "str", "required": True},
    "account_id": {"type": "str", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Make the topic."""
    arn = f"arn:aws:sns:{options['region']}:{options['account_id']}:{options['name']}"
    topic.reconcile(clients.sns, plan, arn, options["subscribers"], options["tags"])
    return {"topic_arn": arn}


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
