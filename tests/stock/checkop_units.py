"""Baseline of `make bench`: units looked after with Ansible's own module, one at a time."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Hand every unit to `systemd`."""

    _VALID_ARGS = frozenset(("units",))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether any unit was changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        changed = False
        for unit in self._task.args["units"]:
            answer = self._execute_module(
                module_name="ansible.builtin.systemd", module_args=dict(unit), task_vars=task_vars
            )
            changed |= bool(answer.get("changed"))
        return {**result, "changed": changed}
