"""What a rollout reads from AWS and hands between its parts: plain data, in AWS's own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Architecture = str
Operation = Literal["rollout", "rollback"]
Strategy = Literal["rolling", "blue_green"]

# Statuses of DescribeInstanceRefreshes (Amazon EC2 Auto Scaling API, InstanceRefresh).
ACTIVE = frozenset({"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"})


@dataclass(frozen=True)
class Instance:
    """An instance as DescribeAutoScalingGroups lists it."""

    instance_id: str
    zone: str
    lifecycle_state: str
    health_status: str
    # Number of the launch template version it was launched from; None when it was attached by hand.
    template_version: int | None
    protected: bool = False

    @property
    def in_service(self) -> bool:
        """Whether the group counts it."""
        return self.lifecycle_state == "InService"


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group."""

    name: str
    template_id: str
    # As the group holds it: a number as text, `$Default` or `$Latest`.
    template_version: str
    min_size: int
    desired: int
    max_size: int
    zones: tuple[str, ...]
    target_group_arns: tuple[str, ...]
    instances: tuple[Instance, ...]
    suspended: tuple[str, ...] = ()

    def by_zone(self) -> dict[str, int]:
        """Count the instances in service of each of the group's zones."""
        counts = dict.fromkeys(self.zones, 0)
        for instance in self.instances:
            if instance.in_service:
                counts[instance.zone] = counts.get(instance.zone, 0) + 1
        return counts

    def strangers(self, version: int | None) -> tuple[Instance, ...]:
        """Return the instances in service that were launched from another launch template version.

        What was attached by hand says no version and is nobody's release; without a version to compare with (an entry
        of a release whose version was gone) there is none either.
        """
        if version is None:
            return ()
        return tuple(
            each for each in self.instances if each.in_service and each.template_version not in {None, version}
        )


@dataclass(frozen=True)
class Image:
    """An AMI with what its tags say of its making."""

    image_id: str
    name: str
    state: str
    architecture: Architecture
    created: str
    snapshots: tuple[str, ...]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def verified(self) -> str:
        """When the gates passed it, or empty."""
        return self.tags.get("checkop:verified", "")

    @property
    def recalled(self) -> str:
        """Why it was recalled, or empty."""
        return self.tags.get("checkop:recalled", "")

    @property
    def application_version(self) -> str:
        """Version of the application inside, or empty when the image does not say."""
        return self.tags.get("checkop:application-version", "")

    @property
    def git_revision(self) -> str:
        """Git revision of this toolkit that baked it."""
        return self.tags.get("checkop:git-revision", "")


@dataclass(frozen=True)
class TemplateVersion:
    """A numbered launch template version."""

    number: int
    image_id: str
    instance_type: str
    description: str
    # All that it says but the image, in one comparable text.
    settings: str = ""


@dataclass(frozen=True)
class Target:
    """A target as DescribeTargetHealth answers it."""

    instance_id: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Alarm:
    """A CloudWatch alarm."""

    name: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Refresh:
    """An instance refresh; `template_version` is the one its DesiredConfiguration names."""

    refresh_id: str
    status: str
    reason: str
    percentage: int
    to_update: int
    template_version: int | None
    # None: it is Pending and has not begun.
    start: datetime | None
    end: datetime | None = None
    checkpoints: tuple[int, ...] = ()
    checkpoint_delay: int = 0

    @property
    def active(self) -> bool:
        """Whether it still does something."""
        return self.status in ACTIVE


@dataclass(frozen=True)
class Observation:
    """One look at the fleet; every poll makes one."""

    group: Group
    targets: tuple[Target, ...]
    alarms: tuple[Alarm, ...]
    # Newest first.
    refreshes: tuple[Refresh, ...]

    @property
    def active_refresh(self) -> Refresh | None:
        """The refresh under way; a group has at most one."""
        return next((refresh for refresh in self.refreshes if refresh.active), None)

    def ringing(self) -> list[Alarm]:
        """Return the watched alarms that ring."""
        return [alarm for alarm in self.alarms if alarm.state == "ALARM"]

    def healthy_ids(self) -> set[str]:
        """Return the ids of targets that get requests."""
        return {target.instance_id for target in self.targets if target.state == "healthy"}

    def healthy_by_zone(self) -> dict[str, int]:
        """Count by zone the instances that are in service and healthy behind the balancer."""
        healthy = self.healthy_ids()
        counts = dict.fromkeys(self.group.zones, 0)
        for instance in self.group.instances:
            if instance.in_service and instance.instance_id in healthy:
                counts[instance.zone] = counts.get(instance.zone, 0) + 1
        return counts

    def full(self) -> bool:
        """Whether the group's desired number of instances is in service and healthy."""
        return sum(self.healthy_by_zone().values()) >= self.group.desired

    def empty_zones(self) -> list[str]:
        """Return zones without a healthy instance although there are instances enough for each to have one."""
        if self.group.desired < len(self.group.zones):
            return []
        return [zone for zone, count in sorted(self.healthy_by_zone().items()) if not count]

    def strong(self) -> bool:
        """Whether the group is at full strength over its zones."""
        return self.full() and not self.empty_zones()
