#!/usr/bin/python
"""Ansible module: SSM parameters, several at once."""

DOCUMENTATION = r"""
module: checkop_parameters
short_description: Write SSM parameters below a prefix
description:
  - Writes String parameters, several in one call, and only those that differ.
  - An empty value is one that AWS has not given yet, which happens in a check from nothing only.
options:
  prefix: {description: Path without a slash at its end, type: str, required: true}
  parameters: {description: Name below the prefix to value, type: dict, required: true}
  region: {description: Region of the parameters, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Publish where the file system is
  checkop_parameters:
    prefix: "{{ ssm_prefix }}"
    parameters:
      file_system/id: "{{ aws_file_system__made.file_system_id }}"
    region: "{{ aws_region }}"
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.parameters import reconcile
from checkop.reconcile import Plan


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Write what differs."""
    wanted = {name: str(value) for name, value in options["parameters"].items()}
    reconcile(clients.ssm, plan, options["prefix"], wanted, options["tags"])


def main() -> None:
    """Run the module."""
    run(
        AnsibleModule(
            argument_spec={
                **COMMON,
                "prefix": {"type": "str", "required": True},
                "parameters": {"type": "dict", "required": True},
            },
            supports_check_mode=True,
        ),
        work,
    )


if __name__ == "__main__":
    main()
