"""Ansible callback: write what each task of a check run found, one JSON object a line, for `checkop drift`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from checkop.drift.comparison import EVENTS_VARIABLE
from checkop.drift.report import merge

DOCUMENTATION = r"""
name: checkop_drift
type: notification
short_description: Collect what a check run would change
description:
  - Appends one JSON object for each task to the file that E(CHECKOP_DRIFT_EVENTS) names. Used by C(checkop drift) only.
requirements: []
options: {}
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes events; without the variable it does nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "checkop_drift"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._events = Path(os.environ.get(EVENTS_VARIABLE) or os.devnull)
        self._system = ""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Remember which system the tasks to come belong to."""
        self._system = play.get_name()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Write what a task would change; tasks that compare nothing (guards, validation of arguments) are left out."""
        answer = result._result
        if not answer.get("changed") and "diff" not in answer:
            return
        diff = merge([item.get("diff") for item in answer["results"]]) if "results" in answer else answer.get("diff")
        self._write(result, status="ok", changed=bool(answer.get("changed")), diff=diff)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Write why a task failed."""
        if not ignore_errors:
            self._write(result, status="failed", changed=False, message=str(result._result.get("msg", "")))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Write why a host could not be reached."""
        self.v2_runner_on_failed(result)

    def _write(self, result: Any, **event: Any) -> None:
        event = {"system": self._system, "task": result._task.get_name(), **event}
        with self._events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, default=str) + "\n")
