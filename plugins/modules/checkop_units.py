#!/usr/bin/python
# Runs on hosts: Python 2.7 clean.
"""Ansible module: have systemd units enabled and running, all asked about in one call of systemctl."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: checkop_units
short_description: Have systemd units enabled and running
description:
  - Asks systemd about all units at once, which takes as long as asking about one, and changes those that differ.
  - A unit whose conditions forbid it here (C(ConditionVirtualization=) and others, systemd.unit(5)) is left inactive.
  - Unit files that changed are read anew first, if systemd says of a unit that it needs that.
options:
  units:
    description: The units and how they should be.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name of the unit with its suffix, type: str, required: true}
      enabled: {description: Whether it starts at boot; left alone if not given, type: bool}
      state:
        description: What it should do now; left alone if not given. C(restarted) and C(reloaded) always act.
        type: str
        choices: [started, stopped, restarted, reloaded]
      masked: {description: Whether it can be started at all; left alone if not given, type: bool}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Run what every host runs
  checkop_units:
    units:
      - {name: chronyd.service, enabled: true, state: started}
      - {name: checkop-configure.service, enabled: true}
"""

RETURN = r"""
actions: {description: What was done, or would be in check mode, type: list, elements: str, returned: always}
"""

from ansible.module_utils._text import to_native
from ansible.module_utils.basic import AnsibleModule

PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "ConditionResult", "NeedDaemonReload")


class Systemd(object):
    """systemctl, through Ansible's runner."""

    def __init__(self, module):
        self.module = module

    def call(self, *words):
        """Run systemctl; return its output.

        Fails the task with systemd's own words.
        """
        code, out, err = self.module.run_command(["systemctl"] + list(words))
        if code != 0:
            self.module.fail_json(
                msg="`systemctl %s` failed: %s" % (" ".join(words), (to_native(err) or to_native(out)).strip())
            )
        return to_native(out)

    def show(self, names):
        """Return the properties of units in the order of their names."""
        out = self.call("show", "--property=" + ",".join(PROPERTIES), "--", *names)
        return [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]

    def read_units_anew(self, shown):
        """Read the unit files again if one of the shown units needs that; return whether it was done.

        A unit that another one names before its file is laid stays unknown (systemd 219) until files are read again.
        """
        if any(unit.get("NeedDaemonReload") == "yes" or unit.get("LoadState") == "not-found" for unit in shown):
            self.call("daemon-reload")
            return True
        return False


def wanted_actions(unit, now):
    """Return the words of systemctl that bring a unit from its properties `now` to what is wanted.

    Args:
        unit: `name`, and `enabled`, `state`, `masked`, each None to leave it alone.
        now: properties as `systemctl show` names them.
    """
    actions = []
    masked = now.get("UnitFileState") == "masked" or now.get("LoadState") == "masked"
    if unit["masked"] is not None and unit["masked"] != masked:
        actions.append("mask" if unit["masked"] else "unmask")
    if unit["enabled"] is not None:
        # `static` units have nothing to enable, what wants them starts them.
        enabled = now.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "indirect", "generated")
        if unit["enabled"] != enabled and not (not unit["enabled"] and masked):
            actions.append("enable" if unit["enabled"] else "disable")
    if unit["state"] == "started" and now.get("ActiveState") not in ("active", "reloading", "activating"):
        actions.append("start")
    if unit["state"] in ("restarted", "reloaded"):
        actions.append("restart" if unit["state"] == "restarted" else "reload-or-restart")
    if unit["state"] == "stopped" and now.get("ActiveState") not in ("inactive", "failed"):
        actions.append("stop")
    return actions


def main():
    """Close the differences and say which there were."""
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "enabled": {"type": "bool"},
                    "state": {"type": "str", "choices": ["started", "stopped", "restarted", "reloaded"]},
                    "masked": {"type": "bool"},
                },
            }
        },
        supports_check_mode=True,
    )
    systemd, done = Systemd(module), []
    units = module.params["units"]
    names = [unit["name"] for unit in units]
    shown = systemd.show(names)
    if not module.check_mode and systemd.read_units_anew(shown):
        shown = systemd.show(names)
    for unit, now in zip(units, shown):
        for action in wanted_actions(unit, now):
            if module.check_mode:
                done.append("%s %s" % (action, unit["name"]))
                continue
            systemd.call(action, unit["name"])
            # Of a start that its conditions forbid, systemd says nothing but this.
            if action == "start" and systemd.show([unit["name"]])[0].get("ConditionResult", "NeedDaemonReload") == "no":
                continue
            done.append("%s %s" % (action, unit["name"]))
    module.exit_json(changed=bool(done), actions=done)


if __name__ == "__main__":
    main()
