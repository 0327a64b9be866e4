#!/usr/bin/python
"""Ansible module: refuse inventory data that cannot work."""

DOCUMENTATION = r"""
module: checkop_validate
short_description: Refuse inventory data that cannot work, before the first call to AWS
description:
  - Compares E(AWS_ENDPOINT_URL) with the inventory, then checks names, values and how they fit together.
  - Each finding names variable, what was found, what is allowed, and the mend. Changes nothing and sends nothing.
options:
  variables: {description: Variable name to value, type: dict, required: true}
  unresolved: {description: Name of a variable whose template fails to the failure, type: dict, default: {}}
  extra_variables: {description: Names given with C(-e), type: list, elements: str, default: []}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  checkop_validate:
    variables: {fleet_min_size: 2, fleet_max_size: 4}
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import require_endpoint
from checkop.errors import CheckopError
from checkop.validate import check_extra_variables, report, validate


def main() -> None:
    """Validate, and fail with all findings at once."""
    module = AnsibleModule(
        argument_spec={
            "variables": {"type": "dict", "required": True},
            "unresolved": {"type": "dict", "default": {}},
            "extra_variables": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    variables = module.params["variables"]
    try:
        # First, because without the rehearsal's environment half of its inventory is empty.
        require_endpoint(str(variables.get("aws_endpoint_url", "")))
    except CheckopError as error:
        module.fail_json(msg=str(error))
    findings = check_extra_variables(module.params["extra_variables"])
    unknown = {finding.variable for finding in findings}
    inventory = {name: value for name, value in variables.items() if name not in unknown}
    findings += validate(inventory, module.params["unresolved"])
    if findings:
        module.fail_json(msg=report(findings))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
