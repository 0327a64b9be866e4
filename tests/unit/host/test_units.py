"""checkop_units: which words of systemctl bring a unit from what it is to what is wanted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "checkop_units", Path(__file__).resolve().parents[3] / "plugins" / "modules" / "checkop_units.py"
)
checkop_units = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(checkop_units)


@pytest.mark.parametrize(
    ("wanted", "now", "actions"),
    [
        ({"enabled": True, "state": "started"}, ("enabled", "active"), []),
        ({"enabled": True, "state": "started"}, ("disabled", "inactive"), ["enable", "start"]),
        ({"enabled": True, "state": "started"}, ("enabled", "failed"), ["start"]),
        ({"enabled": True}, ("static", "inactive"), []),
        ({"enabled": True}, ("disabled", "inactive"), ["enable"]),
        ({"state": "started"}, ("disabled", "activating"), []),
        ({"enabled": False, "state": "stopped"}, ("enabled", "active"), ["disable", "stop"]),
        ({"enabled": False, "state": "stopped"}, ("disabled", "failed"), []),
        ({"enabled": False}, ("masked", "inactive"), []),
        ({"masked": True}, ("disabled", "inactive"), ["mask"]),
        ({"masked": True}, ("masked", "inactive"), []),
        ({"masked": False, "enabled": True, "state": "started"}, ("masked", "inactive"), ["unmask", "enable", "start"]),
    ],
)
def test_actions(wanted, now, actions):
    unit = {"name": "x.service", "enabled": None, "state": None, "masked": None, **wanted}
    properties = {"UnitFileState": now[0], "ActiveState": now[1], "LoadState": "loaded"}
    assert checkop_units.wanted_actions(unit, properties) == actions


def test_units_are_asked_about_in_one_call():
    calls = []

    class Module:
        def run_command(self, words):
            calls.append(words)
            return 0, "Id=a.service\nActiveState=active\n\nId=b.service\nActiveState=failed\n", ""

    shown = checkop_units.Systemd(Module()).show(["a.service", "b.service"])
    assert [unit["ActiveState"] for unit in shown] == ["active", "failed"]
    assert len(calls) == 1
