#!/usr/bin/python
"""Ansible module: the database's master user and password in Secrets Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: checkop_secret
short_description: Keep the database's master user and a generated password in Secrets Manager
description:
  - A password is generated once. If the secret is lost, the database gets the new password before the secret does.
options:
  name: {description: Name of the secret, type: str, required: true}
  username: {description: Master user, type: str, required: true}
  database_identifier: {description: RDS instance that the password is for, type: str, required: true}
  wait_seconds: {description: Bound of the wait until RDS takes a new password, type: int, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Create the secret
  checkop_secret:
    name: checkop/production/database
    username: checkop
    database_identifier: dbprogressus
    wait_seconds: 2400
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
arn: {description: ARN of the secret; empty where a check found none, type: str, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.reconcile import Plan
from checkop.resources import secret


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Make the secret."""
    return {
        "arn": secret.converge(
            clients,
            plan,
            options["name"],
            username=options["username"],
            database=options["database_identifier"],
            wait_seconds=options["wait_seconds"],
            tags=options["tags"],
        )
    }


def main() -> None:
    """Run the module."""
    options: dict[str, Any] = {
        "name": {"type": "str", "required": True},
        "username": {"type": "str", "required": True},
        "database_identifier": {"type": "str", "required": True},
        "wait_seconds": {"type": "int", "required": True},
    }
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
