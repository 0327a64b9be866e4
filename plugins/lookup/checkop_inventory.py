"""Ansible lookup: the inventory's variables, with those that cannot be computed, and the names given with -e."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.json import AnsibleJSONEncoder
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

DOCUMENTATION = r"""
name: checkop_inventory
short_description: The variables that could be the inventory's, for the guard
description:
  - Leaves out Ansible's own variables and those of the roles that guard a play.
  - A variable whose template fails is returned with the failure instead of a value, so that the guard can first name
    what is wrong in the data that the template uses.
  - Reads C(-e) in each of its forms (key=value, JSON, YAML, @file), so that a name that nothing reads can be refused.
options: {}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Show the names given on the command line
  ansible.builtin.debug:
    msg: "{{ query('checkop_inventory')[0].extra }}"
"""

RETURN = r"""
_raw:
  description: One mapping with C(variables), C(unresolved) (name to message) and C(extra) (names)
  type: list
  elements: dict
"""

OTHERS = re.compile(
    r"(?:ansible_|inventory_|aws_guard_|group|play|role_)|(?:hostvars|omit|environment|vars|module_defaults)\Z|[^a-z]"
)


class LookupModule(LookupBase):  # type: ignore[misc]
    """Variables of the inventory."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the variables."""
        values: dict[str, Any] = {}
        unresolved: dict[str, str] = {}
        for name in sorted(name for name in variables or {} if not OTHERS.match(name)):
            try:
                values[name] = self._templar.template((variables or {})[name])
            except AnsibleError as error:
                unresolved[name] = error.message
        # Dates, which YAML reads unquoted, become text: a template could not hand them on.
        values = json.loads(json.dumps(values, cls=AnsibleJSONEncoder))
        return [{"variables": values, "unresolved": unresolved, "extra": sorted(load_extra_vars(self._loader))}]
