#!/usr/bin/python
"""Ansible module: the bucket of the balancer's access logs."""

DOCUMENTATION = r"""
module: checkop_log_bucket
short_description: Make an S3 bucket that Elastic Load Balancing can write access logs to
description:
  - Makes the bucket private, encrypted, TLS only and expiring, with the policy that Elastic Load Balancing needs.
  - C(amazon.aws.s3_bucket) has no lifecycle, and takes a task and a second for what one call tells here.
options:
  name: {description: Name of the bucket, type: str, required: true}
  account_id: {description: Account whose balancers may write, type: str, required: true}
  retention_days: {description: Days until a log expires, type: int, required: true}
  region: {description: Region of bucket and balancer, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the bucket of the access logs
  checkop_log_bucket:
    name: checkop-production-access-logs-123456789012
    account_id: "123456789012"
    retention_days: 90
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.balancer.bucket import Bucket, reconcile
from checkop.module import COMMON, run
from checkop.reconcile import Plan

OPTIONS = {
    "name": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "retention_days": {"type": "int", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Make the bucket."""
    wanted = Bucket(**{name: options[name] for name in OPTIONS}, region=options["region"], tags=options["tags"])
    reconcile(clients.s3, plan, wanted)


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
