"""What an instance of the image has to run: the tests of the builder and the gate of the clones ask for the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """A systemd service. `lasting` ones keep running; the others do their work at boot and may end.

    A `conditional` one may also be ruled out by a condition of the vendor's own unit (``ConditionResult=no``).
    """

    name: str
    lasting: bool = True
    conditional: bool = False


SERVICES = (
    Service("sshd"),
    Service("chronyd"),
    # The kernel has one audit log: the unit leaves it alone in a container, and where audit=0 switches it off.
    Service("auditd", conditional=True),
    Service("rsyslog"),
    Service("nginx"),
    Service("checkop"),
    Service("checkop-configure"),
    Service("checkop-lifecycle"),
    Service("checkop-address", lasting=False),
    Service("amazon-cloudwatch-agent"),
)
# Ports that may be open to other machines.
OUTSIDE_PORTS = frozenset({22, 80})
