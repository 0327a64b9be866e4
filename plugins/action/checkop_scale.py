"""Action plugin of checkop_scale: works on the operator's machine, so that its progress shows while it runs."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from checkop.rollout import live


class ActionModule(ActionBase):
    """Runs the operation in Ansible's worker and shows its lines."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the options, and carry the operation out."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(live.SPECS["scale"])
        result.update(live.perform("scale", options, check=self._task.check_mode, say=Display().display))
        return result
