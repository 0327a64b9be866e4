"""Baseline of `make bench`: a tree laid as one writes it with Ansible's own modules, a file at a time."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# The project's own action, which renders the entries.
_SPEC = spec_from_file_location("checkop_tree_ours", Path(__file__).parents[2] / "plugins/action/checkop_tree.py")
_OURS: Any = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_OURS)


class ActionModule(ActionBase):
    """Hand every entry of a tree to `copy` or `file`."""

    _VALID_ARGS = frozenset(("entries", "verify"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether any entry was changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        changed = False
        ours = _OURS.ActionModule(**self._parts(self._task))
        for entry in self._task.args.get("entries", []):
            answer = self._lay(ours._prepared(entry, task_vars or {}), task_vars or {})
            if answer.get("failed"):
                return answer
            changed |= bool(answer.get("changed"))
        return {**result, "changed": changed}

    def _lay(self, entry: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        owned = {key: entry[key] for key in ("owner", "group", "mode") if entry.get(key) is not None}
        if entry["state"] == "file":
            arguments = {"content": entry["content"], "dest": entry["path"], **owned}
            return self._action("ansible.builtin.copy", arguments).run(task_vars=task_vars)
        arguments = {"path": entry["path"], "state": entry["state"]}
        if entry["state"] == "directory":
            arguments |= owned
        return self._execute_module(module_name="ansible.builtin.file", module_args=arguments, task_vars=task_vars)

    def _action(self, name: str, arguments: dict[str, Any]) -> Any:
        task = self._task.copy()
        task.args = arguments
        return self._shared_loader_obj.action_loader.get(name, **self._parts(task))

    def _parts(self, task: Any) -> dict[str, Any]:
        return {
            "task": task,
            "connection": self._connection,
            "play_context": self._play_context,
            "loader": self._loader,
            "templar": self._templar,
            "shared_loader_obj": self._shared_loader_obj,
        }
