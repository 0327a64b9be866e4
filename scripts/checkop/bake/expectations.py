"""What an instance of the image has to run: the tests of the builder and the gate of the clones ask for the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """A systemd service. `lasting` ones keep running; the others do their work at boot and may end."""

    name: str
    lasting: bool = True


SERVICES = (
    Service("sshd"),
    Service("chronyd"),
    Service("auditd"),
    Service("rsyslog"),
    Service("nginx"),
    Service("checkop"),
    Service("checkop-configure"),
    Service("checkop-lifecycle"),
    Service("checkop-address"),
    Service("amazon-cloudwatch-agent"),
)
# Ports that may be open to other machines.
OUTSIDE_PORTS = frozenset({22, 80})
