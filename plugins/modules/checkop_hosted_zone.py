#!/usr/bin/python
"""Ansible module: make the public hosted zone and its record sets true."""

DOCUMENTATION = r"""
module: checkop_hosted_zone
short_description: Make a public hosted zone and its record sets
description:
  - Finds the zone by name and ownership tag; a zone made by somebody else is only taken over by its id.
  - Compares all record sets and writes the differences in one batch, which Route 53 takes whole or not at all.
  - Follows the Route 53 API (CreateHostedZone, ChangeResourceRecordSets).
options:
  zone: {description: Name of the zone, type: str, required: true}
  zone_id: {description: Id of a zone to take over, type: str, default: ""}
  records:
    description: The record sets.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Full name, type: str, required: true}
      type: {description: Record type, type: str, required: true}
      alias:
        description: C(balancer) for an alias to the load balancer.
        type: str
        default: ""
        choices: ["", balancer]
      ttl: {description: Seconds, type: int}
      values: {description: Values, type: list, elements: str, default: []}
  balancer: {description: Name of the load balancer that aliases lead to, type: str, required: true}
  purge: {description: Remove record sets that are not named, type: bool, default: false}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of the zone, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the zone
  checkop_hosted_zone:
    zone: checkop.co
    records:
      - {name: checkop.co, type: A, alias: balancer}
      - {name: checkop.co, type: TXT, ttl: 3600, values: ["v=spf1 mx -all"]}
    balancer: Progresus-ELB
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
zone_id: {description: Id of the zone, type: str, returned: success}
unknown: {description: Record sets left alone that are not named, type: list, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.provision.hosted_zone import Record, balancer_target, ensure_records, ensure_zone

SPEC = {
    "zone": {"type": "str", "required": True},
    "zone_id": {"type": "str", "default": ""},
    "records": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "type": {"type": "str", "required": True},
            "alias": {"type": "str", "default": "", "choices": ["", "balancer"]},
            "ttl": {"type": "int"},
            "values": {"type": "list", "elements": "str", "default": []},
        },
    },
    "balancer": {"type": "str", "required": True},
    "purge": {"type": "bool", "default": False},
}


def work(clients, plan, params):
    """Make the zone, then its record sets."""
    records = [Record(**{**record, "values": tuple(record["values"])}) for record in params["records"]]
    target = {}
    if any(record.alias for record in records):
        target = balancer_target(clients.elbv2, params["balancer"], check=plan.check)
    zone = ensure_zone(clients.route53, plan, params["zone"], params["tags"], params["zone_id"])
    unknown = ensure_records(clients.route53, plan, zone, records, target, purge=params["purge"])
    return {"zone_id": zone, "unknown": unknown}


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
