#!/usr/bin/python
"""Ansible module: make AWS resources true, their properties named as AWS names them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_resource
short_description: Compare resources of AWS with the properties that are given, and close the difference
description:
  - Properties have the names and shapes of the create call of the AWS API. botocore's service model refuses
    unknown ones and values outside AWS's limits before the first call.
  - Only what is given is compared. Check mode and diff show each property with both sides.
  - What AWS can only change by replacing the resource is refused, and so is a resource that does not carry the tags of
    ownership.
  - Sensitive properties (passwords) are given as C(name:key) of a secret in Secrets Manager, and read by the module.
options:
  type: {description: "Kind of the resources, for example C(rds.db_instance)", type: str, required: true}
  name: {description: Name of one resource, type: str}
  properties: {description: Its properties, type: dict, default: {}}
  resources: {description: "Several resources of the kind: name to properties", type: dict, default: {}}
  common: {description: Properties that all of O(resources) have, type: dict, default: {}}
  purge: {description: Delete the other resources of the kind within O(within), type: bool, default: false}
  within: {description: "What contains them, for O(purge): C({LoadBalancerArn: ...})", type: dict, default: {}}
  wait_seconds: {description: Bound of each wait, type: int, default: 600}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Create the target group
  aws_resource:
    type: elbv2.target_group
    name: AUTOChOp
    properties:
      Protocol: HTTP
      Port: 80
      VpcId: vpc-0123456789abcdef0
      HealthCheckPath: /health/ready
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
id: {description: AWS's identifier; a placeholder in parentheses where a check found none, type: str, returned: success}
ids: {description: The same by name, type: dict, returned: success}
resource: {description: As AWS describes it; empty where a check found none, type: dict, returned: success}
resources: {description: The same by name, type: dict, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.module import COMMON, run
from checkop.reconcile import Plan
from checkop.resources import engine
from checkop.resources.kind import Context
from checkop.resources.kinds import kind_of


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    """Make the resources true in the order in which they are given, then delete those that are not wanted."""
    kind = kind_of(options["type"])
    context = Context(clients, plan, options["tags"], options["wait_seconds"])
    resources = {str(name): properties or {} for name, properties in options["resources"].items()}
    if options["name"] is not None:
        resources[options["name"]] = options["properties"]
    made = {
        name: engine.converge(context, kind, name, {**options["common"], **properties})
        for name, properties in resources.items()
    }
    if options["purge"]:
        engine.purge(context, kind, resources, options["within"])
    ids = {name: found.get(kind.identifier) or f"({kind.label} {name})" for name, found in made.items()}
    single = options["name"]
    return {"id": ids.get(single, ""), "ids": ids, "resource": made.get(single, {}), "resources": made}


def main() -> None:
    """Run the module."""
    options: dict[str, Any] = {
        "type": {"type": "str", "required": True},
        "name": {"type": "str"},
        "properties": {"type": "dict", "default": {}},
        "resources": {"type": "dict", "default": {}},
        "common": {"type": "dict", "default": {}},
        "purge": {"type": "bool", "default": False},
        "within": {"type": "dict", "default": {}},
        "wait_seconds": {"type": "int", "default": 600},
    }
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
