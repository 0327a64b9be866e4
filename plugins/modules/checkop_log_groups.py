#!/usr/bin/python
"""Ansible module: log groups with retention, and metric filters."""

DOCUMENTATION = r"""
module: checkop_log_groups
short_description: Make CloudWatch log groups with retention, and the metric filters on them
description:
  - Makes a dozen groups and their filters in one call; filters that are not listed are removed from these groups.
options:
  prefix: {description: Put before names that do not begin with a slash, type: str, required: true}
  groups:
    description: The log groups.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name below the prefix or full name, type: str, required: true}
      retention_days: {description: Days that CloudWatch Logs allows, type: int, required: true}
  filters:
    description: The metric filters; every match counts 1.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name of the filter, type: str, required: true}
      log_group: {description: Name below the prefix or full name, type: str, required: true}
      pattern: {description: CloudWatch Logs filter pattern, type: str, required: true}
      metric: {description: Name of the metric, type: str, required: true}
  namespace: {description: Namespace of the metrics, type: str, required: true}
  region: {description: Region of the groups, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the log groups
  checkop_log_groups:
    prefix: /checkop/production
    groups: [{name: application/error, retention_days: 365}]
    filters: [{name: error-lines, log_group: application/error, pattern: ERROR, metric: ErrorLines}]
    namespace: CheckOP/production
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
from checkop.monitoring import log_groups
from checkop.reconcile import Plan

OPTIONS: dict[str, Any] = {
    "prefix": {"type": "str", "required": True},
    "groups": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "retention_days": {"type": "int", "required": True},
        },
    },
    "filters": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "log_group": {"type": "str", "required": True},
            "pattern": {"type": "str", "required": True},
            "metric": {"type": "str", "required": True},
        },
    },
    "namespace": {"type": "str", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Make the groups, then their filters."""
    prefix = options["prefix"]
    retention = {log_groups.full_name(prefix, group["name"]): group["retention_days"] for group in options["groups"]}
    log_groups.reconcile_groups(clients.logs, plan, retention, options["tags"])
    filters = [
        {**wanted, "log_group": log_groups.full_name(prefix, wanted["log_group"])} for wanted in options["filters"]
    ]
    log_groups.reconcile_filters(clients.logs, plan, filters, namespace=options["namespace"], groups=retention)


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
