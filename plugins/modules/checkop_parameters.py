#!/usr/bin/python
"""Ansible module: SSM parameters, several at once."""

DOCUMENTATION = r"""
module: checkop_parameters
short_description: Write SSM parameters below a prefix
description:
  - Writes String parameters in one call where V(amazon.aws) would need a task each; writes only what differs.
  - An empty value is one that AWS has not given yet, which happens in a check from nothing only.
options:
  prefix: {description: Path without a slash at its end, type: str, required: true}
  parameters: {description: Name below the prefix to value, type: dict, required: true}
  region: {description: Region of the parameters, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, required: true}
attributes:
  check_mode: {support: full, description: Notes what would be written}
  diff_mode: {support: full, description: Shows values before and after}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Publish where the file system is
  checkop_parameters:
    prefix: "{{ ssm_prefix }}"
    parameters:
      file_system/id: "{{ aws_file_system__result.file_system_id }}"
    region: "{{ aws_region }}"
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
resources: {description: Every parameter compared, type: list, returned: always}
"""

from ansible.module_utils.basic import AnsibleModule
from checkop.module import COMMON_OPTIONS, run
from checkop.parameters import reconcile


def main() -> None:
    """Write what differs."""
    module = AnsibleModule(
        argument_spec={
            **COMMON_OPTIONS,
            "prefix": {"type": "str", "required": True},
            "parameters": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )

    def work(clients, reconciler, options):
        wanted = {name: str(value) for name, value in options["parameters"].items()}
        reconcile(clients.ssm, reconciler, options["prefix"], wanted, options["tags"])
        return {}

    run(module, work)


if __name__ == "__main__":
    main()
