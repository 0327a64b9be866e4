#!/usr/bin/python
"""Ansible module: look a resource up that another playbook made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_resource_info
short_description: Look up an AWS resource by its name
description:
  - Changes nothing. Where it is missing, a check gets a placeholder, and a run fails with the playbook to run.
options:
  type: {description: "Kind of the resource, for example C(elbv2.target_group)", type: str, required: true}
  name: {description: Its name, type: str, required: true}
  properties: {description: Properties without which the kind cannot be found, type: dict, default: {}}
  playbook: {description: The playbook that makes it, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Look up the target group
  aws_resource_info:
    type: elbv2.target_group
    name: AUTOChOp
    playbook: balancer
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
id: {description: AWS's identifier; a placeholder in parentheses where a check found none, type: str, returned: success}
resource: {description: As AWS describes it; empty where a check found none, type: dict, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.errors import CheckopError
from checkop.module import COMMON, run
from checkop.reconcile import Plan
from checkop.resources.kinds import kind_of


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    """Look it up."""
    kind = kind_of(options["type"])
    found = kind.find(getattr(clients, kind.service), options["name"], options["properties"])
    label = f"{kind.label} {options['name']}"
    if found is None and not plan.check:
        raise CheckopError(f"{label} does not exist. Run playbooks/{options['playbook']}.yml first.")
    return {"id": found[kind.identifier] if found else f"({label})", "resource": found or {}}


def main() -> None:
    """Run the module."""
    options: dict[str, Any] = {
        **{name: {"type": "str", "required": True} for name in ("type", "name", "playbook")},
        "properties": {"type": "dict", "default": {}},
    }
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
