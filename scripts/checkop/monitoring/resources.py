"""Names that CloudWatch knows resources by, for the dimensions of alarms and of the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.reconcile import UNKNOWN
from checkop.resources.kinds import kind_of
from checkop.storage import file_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from checkop.aws import Clients

PLAYBOOKS = {"balancer": "balancer", "target_group": "balancer", "file_system": "storage", "hub": "hub"}


@dataclass(frozen=True)
class Names:
    """The inventory's names of what is watched.

    Parameters
    ----------
    environment:
        ``checkop_environment``.
    balancer, target_group, fleet, database, file_system, hub:
        Names (of file system and hub: tag ``Name``).
    """

    environment: str
    balancer: str
    target_group: str
    fleet: str
    database: str
    file_system: str
    hub: str


def resolve(clients: Clients, names: Names, needed: Iterable[str], *, check: bool) -> dict[str, str]:
    """Find the dimension values of the resources that are needed.

    Follows "CloudWatch metrics for your Application Load Balancer" (a dimension is the end of an ARN) and the like.

    Parameters
    ----------
    clients:
        Clients of the region.
    names:
        What the resources are called.
    needed:
        Some of `checkop.monitoring.placeholders.KNOWN`.
    check:
        Whether a missing resource is `UNKNOWN` instead of an error.

    Returns
    -------
    dict[str, str]
        Placeholder to dimension value.

    Raises
    ------
    CheckopError
        A resource does not exist in a real run.
    """
    lookups: dict[str, Callable[[], str | None]] = {
        "balancer": lambda: _balancer(clients, names),
        "target_group": lambda: _target_group(clients, names),
        "fleet": lambda: names.fleet,
        "database": lambda: names.database,
        "file_system": lambda: _file_system(clients, names),
        "hub": lambda: _hub(clients, names),
    }
    values: dict[str, str] = {}
    for name in sorted(needed):
        value = lookups[name]()
        if value is None and not check:
            raise CheckopError(
                f"monitoring_alarms watch {{{name}}}, which does not exist yet. "
                f"Run playbooks/{PLAYBOOKS[name]}.yml first."
            )
        values[name] = value or UNKNOWN
    return values


def _balancer(clients: Clients, names: Names) -> str | None:
    found = kind_of("elbv2.load_balancer").find(clients.elbv2, names.balancer, {})
    return str(found["LoadBalancerArn"]).partition(":loadbalancer/")[2] if found else None


def _target_group(clients: Clients, names: Names) -> str | None:
    found = kind_of("elbv2.target_group").find(clients.elbv2, names.target_group, {})
    return str(found["TargetGroupArn"]).rpartition(":")[2] if found else None


def _file_system(clients: Clients, names: Names) -> str | None:
    found = file_system.find(clients.efs, names.file_system, names.environment)
    return str(found["FileSystemId"]) if found else None


def _hub(clients: Clients, names: Names) -> str | None:
    pages = clients.ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": "tag:Name", "Values": [names.hub]},
            {"Name": "tag:checkop:environment", "Values": [names.environment]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
    )
    found = [
        instance["InstanceId"] for page in pages for group in page["Reservations"] for instance in group["Instances"]
    ]
    return sorted(found)[0] if found else None
