#!/usr/bin/python
"""Ansible module: an S3 bucket of the environment."""

DOCUMENTATION = r"""
module: checkop_bucket
short_description: Make an S3 bucket that is private, encrypted and TLS only
description:
  - Makes the bucket with its lifecycle, and on wish with versions, or with a policy that lets Elastic Load Balancing
    write access logs or the hosts of a VPC read.
  - C(amazon.aws.s3_bucket) has no lifecycle, and takes a task and a second for what one call tells here.
options:
  name: {description: Name of the bucket, type: str, required: true}
  retention_days: {description: Days until an object expires; 0 keeps all for ever, type: int, default: 0}
  versioning: {description: Whether what is overwritten or deleted can be had back, type: bool, default: false}
  access_logs_account: {description: Account whose balancers may write their access logs, type: str, default: ""}
  readers_vpc: {description: Name of the VPC whose hosts may read without credentials, type: str, default: ""}
  region: {description: Region of the bucket, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the bucket of the access logs
  checkop_bucket:
    name: checkop-production-access-logs-123456789012
    access_logs_account: "123456789012"
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
from checkop.balancer import access_logs
from checkop.module import COMMON, run
from checkop.provision import lookup
from checkop.reconcile import Plan
from checkop.storage.bucket import Bucket, readable_from, reconcile

OPTIONS = {
    "name": {"type": "str", "required": True},
    "retention_days": {"type": "int", "default": 0},
    "versioning": {"type": "bool", "default": False},
    "access_logs_account": {"type": "str", "default": ""},
    "readers_vpc": {"type": "str", "default": ""},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Make the bucket."""
    name, account, region = options["name"], options["access_logs_account"], options["region"]
    statements = access_logs.statements(name, account, region) if account else []
    if options["readers_vpc"]:
        vpc = lookup.vpc_id(clients.ec2, options["readers_vpc"], options["tags"], check=plan.check)
        statements.append(readable_from(vpc, name))
    wanted = Bucket(
        name=name,
        region=region,
        retention_days=options["retention_days"],
        versioning=options["versioning"],
        tags=options["tags"],
        statements=statements,
    )
    reconcile(clients.s3, plan, wanted)


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
