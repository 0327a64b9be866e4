"""What Auto Scaling keeps: groups, their instances, hooks and activities, with the answers that describe them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.api.autoscaling.refresh import Refresh
from lab.api.context import ACCOUNT, REGION, moment

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)

# Attributes of CreateAutoScalingGroup and UpdateAutoScalingGroup that are kept and returned as they were given.
KEPT = (
    "CapacityRebalance",
    "CapacityReservationSpecification",
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "Context",
    "DefaultInstanceWarmup",
    "DeletionProtection",
    "DesiredCapacityType",
    "InstanceMaintenancePolicy",
    "MaxInstanceLifetime",
    "PlacementGroup",
)

LEAVING = ("Terminating", "Terminating:Wait", "Terminating:Proceed", "Detaching")


@dataclass
class Activity:
    """A scaling activity, as DescribeScalingActivities tells it."""

    group: str
    description: str
    cause: str
    started_at: float
    status: str = "InProgress"
    message: str = ""
    ended_at: float | None = None
    progress: int = 0
    zone: str = ""
    subnet_id: str = ""
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def end(self, now: float, status: str = "Successful", message: str = "") -> None:
        """Note how it ended; a later end changes nothing."""
        if self.ended_at is None:
            self.status, self.message, self.ended_at, self.progress = status, message, now, 100

    def describe(self) -> dict[str, Any]:
        """Return the Activity structure of the API."""
        answer = {
            "ActivityId": self.activity_id,
            "AutoScalingGroupName": self.group,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": moment(self.started_at),
            "StatusCode": self.status,
            "Progress": self.progress,
            "Details": f'{{"Subnet ID":"{self.subnet_id}","Availability Zone":"{self.zone}"}}',
        }
        if self.message:
            answer["StatusMessage"] = self.message
        if self.ended_at is not None:
            answer["EndTime"] = moment(self.ended_at)
        return answer


@dataclass
class Hook:
    """A lifecycle hook."""

    name: str
    group: str
    transition: str
    heartbeat_timeout: int = 3600
    default_result: str = "ABANDON"
    notification_target: str | None = None
    role: str | None = None
    metadata: str | None = None

    @property
    def global_timeout(self) -> int:
        """Seconds that heartbeats can prolong the wait to, at most."""
        return min(172800, 100 * self.heartbeat_timeout)

    def describe(self) -> dict[str, Any]:
        """Return the LifecycleHook structure of the API."""
        return {
            "LifecycleHookName": self.name,
            "AutoScalingGroupName": self.group,
            "LifecycleTransition": self.transition,
            "HeartbeatTimeout": self.heartbeat_timeout,
            "GlobalTimeout": self.global_timeout,
            "DefaultResult": self.default_result,
            "NotificationTargetARN": self.notification_target,
            "RoleARN": self.role,
            "NotificationMetadata": self.metadata,
        }


@dataclass
class Wait:
    """A lifecycle action under way: one hook holds one instance."""

    hook: Hook
    started_at: float
    deadline: float
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    # CONTINUE or ABANDON once it is completed.
    result: str | None = None

    def heartbeat(self, now: float) -> None:
        """Start the timeout again, within the hook's global timeout."""
        self.deadline = min(now + self.hook.heartbeat_timeout, self.started_at + self.hook.global_timeout)


@dataclass
class Member:
    """An instance of a group."""

    instance_id: str
    instance_type: str
    image_id: str
    zone: str
    subnet_id: str
    # LaunchTemplateSpecification with a numbered version: what it was really launched from.
    launch_template: Mapping[str, str]
    launched_at: float
    activity: Activity
    lifecycle_state: str = "Pending"
    health: str = "Healthy"
    protected: bool = False
    in_service_at: float | None = None
    # Why it is unhealthy, for the cause of the activity that replaces it.
    unhealthy_because: str = ""
    waits: list[Wait] = field(default_factory=list)

    @property
    def leaving(self) -> bool:
        """Whether it is on its way out and no longer counts."""
        return self.lifecycle_state in LEAVING

    @property
    def configuration(self) -> str:
        """Key of what it was launched from."""
        return configuration_key(self.launch_template)

    @property
    def target_state(self) -> str:
        """State that it is going to, as the metadata service tells an instance."""
        if self.leaving:
            return "Terminated"
        return "Standby" if self.lifecycle_state == "Standby" else "InService"

    def describe(self) -> dict[str, Any]:
        """Return the Instance structure of the API."""
        return {
            "InstanceId": self.instance_id,
            "InstanceType": self.instance_type,
            "ImageId": self.image_id,
            "AvailabilityZone": self.zone,
            "LifecycleState": self.lifecycle_state,
            "HealthStatus": self.health,
            "LaunchTemplate": dict(self.launch_template),
            "ProtectedFromScaleIn": self.protected,
        }


def configuration_key(launch_template: Mapping[str, str]) -> str:
    """Return the key of a launch template specification with a numbered version."""
    return f"{launch_template['LaunchTemplateId']}:{launch_template['Version']}"


@dataclass
class Group:
    """An Auto Scaling group."""

    name: str
    created_at: float
    min_size: int
    max_size: int
    desired: int
    # As given: LaunchTemplateId, LaunchTemplateName, and Version if there was one.
    launch_template: dict[str, str]
    zones: list[str]
    subnet_ids: list[str]
    default_cooldown: int = 300
    health_check_type: str = "EC2"
    health_check_grace: int = 0
    target_groups: list[str] = field(default_factory=list)
    termination_policies: list[str] = field(default_factory=lambda: ["Default"])
    protect_new: bool = False
    kept: dict[str, Any] = field(default_factory=dict)
    tags: list[dict[str, Any]] = field(default_factory=list)
    suspended: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    hooks: dict[str, Hook] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    refreshes: list[Refresh] = field(default_factory=list)
    status: str | None = None
    # Instances beyond the desired capacity that a refresh asks for.
    surplus: int = 0
    # An instance was launched to even out the zones, and one leaves once it serves.
    rebalancing: bool = False
    # Who last changed the desired capacity, as activities tell it; ends with a space unless empty.
    capacity_cause: str = ""
    # Answers of LaunchInstances by ClientToken.
    launched: dict[str, dict[str, Any]] = field(default_factory=dict)
    launch_error: str | None = None
    launch_again_at: float = 0
    last_scaling_at: float | None = None
    group_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def arn(self) -> str:
        """The group's ARN."""
        return (
            f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:{self.group_id}:autoScalingGroupName/{self.name}"
        )

    @property
    def refresh(self) -> Refresh | None:
        """The refresh that is under way, or None."""
        return next((refresh for refresh in self.refreshes if refresh.active), None)

    @property
    def counted(self) -> list[Member]:
        """Instances that count toward the desired capacity."""
        return [m for m in self.members if not m.leaving and m.lifecycle_state != "Standby"]

    def runs(self, process: str) -> bool:
        """Return whether a scaling process is not suspended."""
        return process not in self.suspended

    def member(self, instance_id: str) -> Member | None:
        """Return one of its instances, or None."""
        return next((m for m in self.members if m.instance_id == instance_id), None)

    def hooks_for(self, transition: str) -> list[Hook]:
        """Return the hooks of a transition: `LAUNCHING` or `TERMINATING`."""
        return [hook for hook in self.hooks.values() if hook.transition.endswith(transition)]

    def propagated_tags(self) -> dict[str, str]:
        """Return the tags that its instances get."""
        return {tag["Key"]: tag["Value"] for tag in self.tags if tag["PropagateAtLaunch"]}

    def put_tags(self, tags: list[dict[str, Any]]) -> None:
        """Add or replace tags."""
        for tag in tags:
            self.drop_tag(tag["Key"])
            self.tags.append(
                {
                    "ResourceId": self.name,
                    "ResourceType": "auto-scaling-group",
                    "Key": tag["Key"],
                    "Value": tag.get("Value") or "",
                    "PropagateAtLaunch": bool(tag.get("PropagateAtLaunch", False)),
                }
            )

    def drop_tag(self, key: str) -> None:
        """Remove a tag; no error when there is none."""
        self.tags = [tag for tag in self.tags if tag["Key"] != key]

    def describe(self, *, include_instances: bool = True) -> dict[str, Any]:
        """Return the AutoScalingGroup structure of the API."""
        return {
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.arn,
            "LaunchTemplate": dict(self.launch_template),
            "MinSize": self.min_size,
            "MaxSize": self.max_size,
            "DesiredCapacity": self.desired,
            "DefaultCooldown": self.default_cooldown,
            "AvailabilityZones": self.zones,
            "LoadBalancerNames": [],
            "TargetGroupARNs": self.target_groups,
            "TrafficSources": [{"Identifier": arn, "Type": "elbv2"} for arn in self.target_groups],
            "HealthCheckType": self.health_check_type,
            "HealthCheckGracePeriod": self.health_check_grace,
            "Instances": [m.describe() for m in self.members] if include_instances else [],
            "CreatedTime": moment(self.created_at),
            "SuspendedProcesses": [
                {"ProcessName": name, "SuspensionReason": "User suspended"} for name in sorted(self.suspended)
            ],
            "VPCZoneIdentifier": ",".join(self.subnet_ids),
            "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in sorted(self.metrics)],
            "Status": self.status,
            "Tags": sorted(self.tags, key=lambda tag: str(tag["Key"])),
            "TerminationPolicies": self.termination_policies,
            "NewInstancesProtectedFromScaleIn": self.protect_new,
            "ServiceLinkedRoleARN": (
                f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
            ),
            "CapacityRebalance": False,
            **self.kept,
        }
