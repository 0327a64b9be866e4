"""Ansible strategy: mitogen's linear strategy, free to use every core.

Imported by name from the virtual environment, so that ansible.cfg holds no path of a machine.
"""

from __future__ import annotations

import ansible_mitogen.affinity
from ansible_mitogen.plugins.strategy import mitogen_linear

# mitogen pins itself to one core on machines of two or three, which costs a quarter of the time with 8 hosts.
ansible_mitogen.affinity.policy = ansible_mitogen.affinity.Policy()


class StrategyModule(mitogen_linear.StrategyModule):  # type: ignore[misc]
    """The linear strategy over mitogen's persistent interpreters."""
