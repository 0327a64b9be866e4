"""Ansible strategy: mitogen's linear strategy, free to use every core, that learns the key of a host it has not met.

Imported by name from the virtual environment, so that ansible.cfg holds no path of a machine.
"""

from __future__ import annotations

from typing import Any

import ansible_mitogen.affinity
import ansible_mitogen.connection
from ansible_mitogen.plugins.strategy import mitogen_linear

# mitogen pins itself to one core on machines of two or three, which costs a quarter of the time with 8 hosts.
ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()


def _connect_ssh(spec: Any) -> dict[str, Any]:
    """Do as `StrictHostKeyChecking=accept-new` of ansible.cfg says.

    mitogen's "enforce" puts `StrictHostKeyChecking yes` before ssh_args, which refuses every new instance; its
    "accept" keeps the first key of a host and still refuses another one.
    """
    arguments: dict[str, Any] = ansible_mitogen.connection._connect_ssh(spec)
    if arguments["kwargs"]["check_host_keys"] == "enforce":
        arguments["kwargs"]["check_host_keys"] = "accept"
    return arguments


ansible_mitogen.connection.CONNECTION_METHOD["ssh"] = _connect_ssh


class StrategyModule(mitogen_linear.StrategyModule):  # type: ignore[misc]
    """The linear strategy over mitogen's persistent interpreters."""
