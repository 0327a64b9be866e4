#!/usr/bin/python
"""Ansible module: all alarms, and the dashboard that shows them."""

DOCUMENTATION = r"""
module: checkop_alarms
short_description: Make all CloudWatch alarms and the dashboard from the same data
description:
  - Dimensions may name resources in braces, such as V({balancer}); they are looked up in AWS.
  - Alarms whose name begins with the prefix, that this environment owns and that are not listed, are removed.
options:
  prefix: {description: Beginning of every alarm's name, type: str, required: true}
  alarms:
    description: The alarms.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name after the prefix, type: str, required: true}
      description: {description: What it means, type: str, required: true}
      namespace: {description: Namespace of the metric, type: str, required: true}
      metric: {description: Name of the metric, type: str, required: true}
      dimensions: {description: Dimension to value or placeholder, type: dict, required: true}
      statistic: {description: Sum, Average, Minimum, Maximum, SampleCount or a percentile, type: str, required: true}
      comparison: {description: How metric and threshold compare, type: str, required: true}
      threshold: {description: The threshold, type: float, required: true}
      period_seconds: {description: Length of a period, type: int, required: true}
      periods: {description: Periods looked at, type: int, required: true}
      datapoints: {description: Periods that must be over the threshold, type: int, required: true}
      missing_data: {description: What a period without data means, type: str, default: notBreaching}
  topic_arn: {description: Told of every change of state, type: str, required: true}
  dashboard: {description: Name of the dashboard, type: str, required: true}
  dashboard_log_groups: {description: Groups whose lines it shows, type: list, elements: str, required: true}
  names: {description: Names of what the placeholders stand for, type: dict, required: true}
  account_id: {description: Account of the alarms, type: str, required: true}
  region: {description: Region of the alarms, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the alarms and the dashboard
  checkop_alarms:
    prefix: checkop-production-
    alarms: "{{ monitoring_alarms }}"
    topic_arn: arn:aws:sns:us-east-1:123456789012:checkop-production-alarms
    dashboard: CheckOP-production
    dashboard_log_groups: [/checkop/production/application/error]
    names: {balancer: Progresus-ELB, target_group: AUTOChOp, fleet: AUTOChOp, database: dbprogressus,
            file_system: ChOp-Temp, hub: Base ChOp}
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
from checkop.monitoring import dashboard, resources
from checkop.monitoring.alarms import COMPARISONS, Alarm, reconcile
from checkop.monitoring.placeholders import fill, placeholders
from checkop.ownership import ENVIRONMENT_TAG
from checkop.reconcile import Plan

ALARM_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "description": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "metric": {"type": "str", "required": True},
    "dimensions": {"type": "dict", "required": True},
    "statistic": {"type": "str", "required": True},
    "comparison": {"type": "str", "required": True, "choices": list(COMPARISONS)},
    "threshold": {"type": "float", "required": True},
    "period_seconds": {"type": "int", "required": True},
    "periods": {"type": "int", "required": True},
    "datapoints": {"type": "int", "required": True},
    "missing_data": {"type": "str", "default": "notBreaching"},
}
OPTIONS: dict[str, Any] = {
    "prefix": {"type": "str", "required": True},
    "alarms": {"type": "list", "elements": "dict", "required": True, "options": ALARM_OPTIONS},
    "topic_arn": {"type": "str", "required": True},
    "dashboard": {"type": "str", "required": True},
    "dashboard_log_groups": {"type": "list", "elements": "str", "required": True},
    "names": {"type": "dict", "required": True},
    "account_id": {"type": "str", "required": True},
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> None:
    """Look up what is watched, then make the alarms and the dashboard."""
    tags = options["tags"]
    environment = tags[ENVIRONMENT_TAG]
    names = resources.Names(environment=environment, **options["names"])
    needed = placeholders(value for alarm in options["alarms"] for value in alarm["dimensions"].values())
    values = resources.resolve(clients, names, needed, check=plan.check)
    alarms = [
        Alarm(
            **{
                **alarm,
                "name": f"{options['prefix']}{alarm['name']}",
                "dimensions": fill(alarm["dimensions"], values),
            }
        )
        for alarm in options["alarms"]
    ]
    reconcile(clients.cloudwatch, plan, options["prefix"], alarms, topic_arn=options["topic_arn"], tags=tags)
    body = dashboard.body(
        environment, options["region"], options["account_id"], alarms, options["dashboard_log_groups"]
    )
    dashboard.reconcile(clients.cloudwatch, plan, options["dashboard"], body)


def main() -> None:
    """Run the module."""
    run(AnsibleModule(argument_spec={**COMMON, **OPTIONS}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
