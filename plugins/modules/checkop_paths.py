#!/usr/bin/python
"""Ansible module: refuse a perimeter that stops a wanted flow or opens a forbidden one."""

DOCUMENTATION = r"""
module: checkop_paths
short_description: Prove the perimeter's flows from its data, before anything is applied
description:
  - Follows every flow through routes, security groups and network ACLs, there and back, without a call to AWS.
  - Fails with the flow and the rule if a wanted flow is stopped or a forbidden one is open. Changes nothing.
options:
  network_cidr: {description: CIDR block of the VPC, type: str, required: true}
  network_subnets: {description: The subnets, type: list, elements: dict, required: true}
  perimeter_administrator_cidrs: {description: The administrators' ranges, type: list, elements: str, required: true}
  perimeter_security_groups: {description: The security groups, type: list, elements: dict, required: true}
  perimeter_network_acls: {description: The network ACLs, type: list, elements: dict, required: true}
  perimeter_wanted_flows: {description: Flows that have to pass, type: list, elements: dict, required: true}
  perimeter_forbidden_flows: {description: Flows that must not pass, type: list, elements: dict, required: true}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Prove the flows
  checkop_paths:
    network_cidr: "{{ network_cidr }}"
    network_subnets: "{{ network_subnets }}"
    perimeter_administrator_cidrs: "{{ perimeter_administrator_cidrs }}"
    perimeter_security_groups: "{{ perimeter_security_groups }}"
    perimeter_network_acls: "{{ perimeter_network_acls }}"
    perimeter_wanted_flows: "{{ perimeter_wanted_flows }}"
    perimeter_forbidden_flows: "{{ perimeter_forbidden_flows }}"
"""

RETURN = r"""
flows: {description: What became of each flow, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.errors import CheckopError
from checkop.paths.model import parse
from checkop.paths.proof import prove, refusal

SPEC = {
    "network_cidr": {"type": "str", "required": True},
    "network_subnets": {"type": "list", "elements": "dict", "required": True},
    "perimeter_administrator_cidrs": {"type": "list", "elements": "str", "required": True},
    "perimeter_security_groups": {"type": "list", "elements": "dict", "required": True},
    "perimeter_network_acls": {"type": "list", "elements": "dict", "required": True},
    "perimeter_wanted_flows": {"type": "list", "elements": "dict", "required": True},
    "perimeter_forbidden_flows": {"type": "list", "elements": "dict", "required": True},
}


def main() -> None:
    """Prove, and answer with the verdicts or with what is wrong."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        verdicts = prove(parse(module.params))
    except CheckopError as error:
        module.fail_json(msg=str(error))
    wrong = refusal(verdicts)
    if wrong:
        module.fail_json(msg=f"The perimeter is not applied:\n{wrong}")
    module.exit_json(changed=False, flows=[str(verdict) for verdict in verdicts])


if __name__ == "__main__":
    main()
