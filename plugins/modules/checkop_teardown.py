#!/usr/bin/python
"""Ansible module: remove an environment that is no production."""

DOCUMENTATION = r"""
module: checkop_teardown
short_description: Remove everything that carries an environment's marks of ownership
description:
  - Removes kind after kind, waits until each is gone, and goes on where an earlier run was stopped.
  - Refuses production, and refuses without the environment's name as confirmation. A check shows what would go.
options:
  confirm: {description: Name of the environment, type: str, required: true}
  dashboard: {description: Name of the dashboard, type: str, required: true}
  ssm_prefix: {description: Path below which SSM parameters are the environment's, type: str, required: true}
  keep: {description: Ids that stay although they carry the marks, type: list, elements: str, default: []}
  final_snapshot: {description: Whether databases leave a snapshot, type: bool, required: true}
  wait_seconds: {description: Bound of the wait for each kind, type: int, required: true}
  region: {description: Region of the environment, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Remove staging
  checkop_teardown:
    confirm: staging
    dashboard: CheckOP-staging
    ssm_prefix: /checkop/staging
    final_snapshot: true
    wait_seconds: 1800
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
changes: {description: What was removed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.reconcile import Plan
from checkop.teardown.model import Scope, refuse_protected, remove_all
from checkop.teardown.order import ORDER

OPTIONS: dict[str, Any] = {
    "confirm": {"type": "str", "required": True},
    "dashboard": {"type": "str", "required": True},
    "ssm_prefix": {"type": "str", "required": True},
    "keep": {"type": "list", "elements": "str", "default": []},
    "final_snapshot": {"type": "bool", "required": True},
    "wait_seconds": {"type": "int", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Refuse or remove."""
    scope = Scope(
        tags=options["tags"],
        dashboard=options["dashboard"],
        ssm_prefix=options["ssm_prefix"],
        keep=frozenset(filter(None, options["keep"])),
        final_snapshot=options["final_snapshot"],
        wait_seconds=options["wait_seconds"],
    )
    refuse_protected(scope.environment, options["confirm"], check=plan.check)
    remove_all(clients, plan, scope, ORDER)


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
