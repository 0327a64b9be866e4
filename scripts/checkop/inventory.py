"""The inventory's facts for commands that run outside a playbook: the same data, read by Ansible's own loader."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

from checkop.errors import CheckopError


@cache
def _prepare_ansible() -> None:
    # Collections are importable only after this, once a process; Ansible's own command line does it first.
    init_plugin_loader()


def load(path: Path) -> dict[str, Any]:
    """Read an inventory's variables for localhost, as `resolve` does, and insist that each has a value.

    Raises
    ------
    CheckopError
        The folder is no inventory of this project, or a value cannot be templated.
    """
    values, unresolved = resolve(path)
    for name, reason in unresolved.items():
        raise CheckopError(f"{name} of {path} cannot be resolved: {reason}")
    return values


def resolve(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read an inventory's variables for localhost, merged by Ansible's precedence and templated.

    No AWS call is made: only the static ``localhost.yml`` and the ``group_vars`` beside it are read.

    Parameters
    ----------
    path:
        Folder of the inventory, for example ``inventory/production``.

    Returns
    -------
    tuple[dict[str, Any], dict[str, str]]
        Variable name to plain value, and name to the reason where a template has none.

    Raises
    ------
    CheckopError
        The folder is no inventory of this project, or its YAML cannot be read.
    """
    source = path / "localhost.yml"
    if not source.is_file():
        raise CheckopError(
            f"{path} is not an inventory of this project: it has no localhost.yml. Name a folder such as "
            "inventory/production with -i."
        )
    _prepare_ansible()
    loader = DataLoader()
    manager = InventoryManager(loader=loader, sources=[str(source)])
    variables = VariableManager(loader=loader, inventory=manager)
    try:
        raw = variables.get_vars(host=manager.get_host("localhost"), include_hostvars=False)
    except AnsibleError as error:
        raise CheckopError(f"{path} cannot be read: {error.message}") from error
    names = sorted(name for name in raw if not name.startswith(("ansible_", "omit", "group", "inventory_", "play")))
    templar = Templar(loader=loader, variables=raw)
    values: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for name in names:
        try:
            values[name] = templar.template(raw[name])
        except AnsibleError as error:
            unresolved[name] = error.message
    return values, unresolved
