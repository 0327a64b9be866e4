"""Ansible lookup: the names of the variables that were given on the command line."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

DOCUMENTATION = r"""
name: checkop_extra_variables
short_description: Names of the variables given with -e
description:
  - Reads C(-e) in each of its forms (key=value, JSON, YAML, @file), so that one that nothing reads can be refused.
options: {}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Show what was given on the command line
  ansible.builtin.debug:
    msg: "{{ query('checkop_extra_variables') }}"
"""

RETURN = r"""
_raw: {description: Names, type: list, elements: str}
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """Names of the extra variables."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the names, sorted."""
        return sorted(load_extra_vars(self._loader))
