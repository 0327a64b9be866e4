"""Ansible lookup: the archive of the hosts' AWS SDK, or the digest that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from checkop import host_vendor
from checkop.errors import CheckopError

DOCUMENTATION = r"""
name: checkop_vendor
short_description: The archive of Python wheels that a requirements file pins for hosts
description:
  - Returns the path of the archive on the controller, which is made when it is asked for the first time.
options:
  _terms: {description: Path of the requirements file, required: true}
  digest: {description: Return the archive's digest alone and make nothing, type: bool, default: false}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Unpack the SDK
  ansible.builtin.unarchive:
    src: "{{ lookup('checkop_vendor', role_path ~ '/files/requirements.txt') }}"
    dest: /usr/lib/checkop
"""

RETURN = r"""
_raw: {description: Path of the archive or its digest, type: list, elements: str}
"""

_FOLDER = Path(__file__).resolve().parents[2] / "build" / "host-wheels"


class LookupModule(LookupBase):  # type: ignore[misc]
    """Path or digest of the archive."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return one text per requirements file.

        Raises:
            AnsibleLookupError: a wheel cannot be had, or its hash differs.
        """
        self.set_options(var_options=variables, direct=kwargs)
        try:
            if self.get_option("digest"):
                return [host_vendor.digest(Path(term)) for term in terms]
            return [str(host_vendor.ensure(Path(term), _FOLDER)) for term in terms]
        except CheckopError as error:
            raise AnsibleLookupError(str(error)) from error
