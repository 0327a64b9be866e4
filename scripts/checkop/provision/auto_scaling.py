"""AUTOChOp, the Auto Scaling group (Amazon EC2 Auto Scaling User Guide)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.reconcile import retry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef

    from checkop.reconcile import Plan

# Remembers from which sizes of the inventory the group's sizes came, so that a size that a scheduled action has set
# since is told from one that the inventory has changed since.
SIZES_TAG = "checkop:sizes"
# Known peaks would launch the vendor's bare image while nothing is in service yet.
SUSPENDED_AT_FIRST = "ScheduledActions"


@dataclass(frozen=True)
class Sizes:
    """Minimum, desired and maximum number of instances."""

    minimum: int
    desired: int
    maximum: int

    @property
    def span(self) -> tuple[int, int]:
        """Minimum and maximum."""
        return self.minimum, self.maximum

    def __str__(self) -> str:
        """Write the span as the group's tag remembers it."""
        return f"{self.minimum}-{self.maximum}"


@dataclass(frozen=True)
class ScheduledAction:
    """A known peak: its name, cron recurrence, and the sizes from then on."""

    name: str
    recurrence: str
    sizes: Sizes


@dataclass(frozen=True)
class Fleet:
    """The group as the inventory states it.

    Parameters
    ----------
    subnets:
        Subnet ids, one per zone.
    health_check_grace_seconds:
        Seconds from launch in which a failed health check does not count.
    warmup_seconds:
        Seconds from launch until an instance's metrics count.
    drain_hook:
        Name of the lifecycle hook that holds an ending instance.
    drain_seconds:
        Heartbeat timeout of that hook.
    maintenance_percent:
        Lowest and highest share of the desired size while AWS replaces instances.
    """

    name: str
    launch_template_id: str
    subnets: Sequence[str]
    target_group_arn: str
    sizes: Sizes
    health_check_grace_seconds: int
    warmup_seconds: int
    termination_policies: Sequence[str]
    maintenance_percent: tuple[int, int]
    metrics: Sequence[str]
    target_cpu_percent: int
    schedule: Sequence[ScheduledAction]
    schedule_time_zone: str
    drain_hook: str
    drain_seconds: int
    tags: Mapping[str, str]
    instance_tags: Mapping[str, str]


def wanted_sizes(
    current: Sizes, remembered: str, base: Sizes, schedule: Sequence[ScheduledAction], *, in_service: bool
) -> Sizes:
    """Decide the sizes of a group that exists.

    Desired stays where scaling has put it, within the limits. Limits that a scheduled action sets stay as well, unless
    the inventory's own have changed since. A group without an image in service keeps its sizes: the first rollout
    gives it others.

    Parameters
    ----------
    remembered:
        The span that the group's tag has, as `Sizes` writes it.
    """
    if not in_service:
        return Sizes(current.minimum, current.desired, base.maximum)
    known = {base.span, *(action.sizes.span for action in schedule)}
    span = current.span if remembered == str(base) and current.span in known else base.span
    return Sizes(span[0], min(max(current.desired, span[0]), span[1]), span[1])


def find_group(autoscaling: AutoScalingClient, name: str) -> AutoScalingGroupTypeDef | None:
    """Find the group by name (DescribeAutoScalingGroups); one that is being deleted does not count."""
    answer = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    found = [group for group in answer["AutoScalingGroups"] if not group.get("Status")]
    return found[0] if found else None


class GroupReconciler:
    """Make the group true: itself, its tags, targets, metrics, scaling policy, schedule and lifecycle hook."""

    def __init__(self, autoscaling: AutoScalingClient, plan: Plan, fleet: Fleet) -> None:
        self.autoscaling = autoscaling
        self.plan = plan
        self.fleet = fleet
        self.name = fleet.name

    def run(self, *, in_service: bool, template_version: str) -> None:
        """Make it true.

        Parameters
        ----------
        in_service:
            An image is in service: the group has instances, and known peaks count.
        template_version:
            Number of the launch template version of a group made here; one that exists keeps its own, which is the
            rollouts' business.
        """
        group = find_group(self.autoscaling, self.name)
        if group is None:
            self._create(template_version, in_service=in_service)
            group = None if self.plan.check else find_group(self.autoscaling, self.name)
        else:
            self._update(group, in_service=in_service)
        current: Mapping[str, Any] = group or {}
        self._tags(current)
        self._target_groups(current)
        self._metrics(current)
        self._suspension(current, in_service=in_service)
        self._drain_hook(exists=group is not None)
        self._scaling_policy(exists=group is not None)
        self._schedule(exists=group is not None)

    def _settings(self) -> dict[str, Any]:
        low, high = self.fleet.maintenance_percent
        return {
            "VPCZoneIdentifier": ",".join(sorted(self.fleet.subnets)),
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": self.fleet.health_check_grace_seconds,
            "DefaultInstanceWarmup": self.fleet.warmup_seconds,
            "TerminationPolicies": list(self.fleet.termination_policies),
            "InstanceMaintenancePolicy": {"MinHealthyPercentage": low, "MaxHealthyPercentage": high},
            "NewInstancesProtectedFromScaleIn": False,
        }

    def _create(self, template_version: str, *, in_service: bool) -> None:
        sizes = self.fleet.sizes if in_service else Sizes(0, 0, self.fleet.sizes.maximum)
        limits: dict[str, Any] = {"MinSize": sizes.minimum, "DesiredCapacity": sizes.desired, "MaxSize": sizes.maximum}
        settings = self._settings()
        template = {"LaunchTemplateId": self.fleet.launch_template_id, "Version": template_version}

        def make() -> str:
            self.autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=self.name,
                LaunchTemplate=template,  # type: ignore[arg-type]
                TargetGroupARNs=[self.fleet.target_group_arn],
                Tags=self._tag_list(),
                **limits,
                **settings,
            )
            return self.name

        self.plan.create(
            f"Auto Scaling group {self.name}",
            {**limits, **settings, "LaunchTemplate": template},
            # A new instance profile takes some seconds to be known to Auto Scaling.
            lambda: retry(make, {"ValidationError"}, about="instance profile"),
        )

    def _update(self, group: AutoScalingGroupTypeDef, *, in_service: bool) -> None:
        wanted = self._settings()
        current: dict[str, Any] = {key: group.get(key) for key in wanted}
        current["VPCZoneIdentifier"] = ",".join(sorted(group.get("VPCZoneIdentifier", "").split(",")))
        has = Sizes(group["MinSize"], group["DesiredCapacity"], group["MaxSize"])
        remembered = {tag["Key"]: tag["Value"] for tag in group.get("Tags", [])}.get(SIZES_TAG, "")
        sizes = wanted_sizes(has, remembered, self.fleet.sizes, self.fleet.schedule, in_service=in_service)
        current |= {"MinSize": has.minimum, "DesiredCapacity": has.desired, "MaxSize": has.maximum}
        wanted |= {"MinSize": sizes.minimum, "DesiredCapacity": sizes.desired, "MaxSize": sizes.maximum}
        changed = {key: value for key, value in wanted.items() if current[key] != value}
        self.plan.update(
            f"Auto Scaling group {self.name}",
            {key: current[key] for key in changed},
            changed,
            lambda: self.autoscaling.update_auto_scaling_group(AutoScalingGroupName=self.name, **changed),
        )

    def _tag_list(self) -> list[Any]:
        tags = {**self.fleet.tags, SIZES_TAG: str(self.fleet.sizes)}
        own = [(key, value, key in self.fleet.instance_tags) for key, value in tags.items()]
        more = [(key, value, True) for key, value in self.fleet.instance_tags.items() if key not in tags]
        return [
            {
                "ResourceId": self.name,
                "ResourceType": "auto-scaling-group",
                "Key": key,
                "Value": value,
                "PropagateAtLaunch": propagate,
            }
            for key, value, propagate in sorted([*own, *more])
        ]

    def _tags(self, group: Mapping[str, Any]) -> None:
        if not group:
            return
        current = {tag["Key"]: (tag["Value"], tag["PropagateAtLaunch"]) for tag in group.get("Tags", [])}
        lacking = [
            tag for tag in self._tag_list() if current.get(tag["Key"]) != (tag["Value"], tag["PropagateAtLaunch"])
        ]
        self.plan.update(
            f"Auto Scaling group {self.name} tags",
            {tag["Key"]: current[tag["Key"]][0] for tag in lacking if tag["Key"] in current},
            {tag["Key"]: tag["Value"] for tag in lacking},
            lambda: self.autoscaling.create_or_update_tags(Tags=lacking),
        )

    def _target_groups(self, group: Mapping[str, Any]) -> None:
        if not group:
            return
        current, wanted = set(group.get("TargetGroupARNs", [])), {self.fleet.target_group_arn}
        self.plan.update(
            f"Auto Scaling group {self.name} target groups",
            sorted(current),
            sorted(wanted),
            lambda: self._attach(sorted(wanted - current), sorted(current - wanted)),
        )

    def _attach(self, attach: list[str], detach: list[str]) -> None:
        if attach:
            self.autoscaling.attach_load_balancer_target_groups(AutoScalingGroupName=self.name, TargetGroupARNs=attach)
        if detach:
            self.autoscaling.detach_load_balancer_target_groups(AutoScalingGroupName=self.name, TargetGroupARNs=detach)

    def _metrics(self, group: Mapping[str, Any]) -> None:
        current = {entry["Metric"] for entry in group.get("EnabledMetrics", [])}
        lacking = sorted(set(self.fleet.metrics) - current)
        self.plan.update(
            f"Auto Scaling group {self.name} metrics",
            [],
            lacking,
            lambda: self.autoscaling.enable_metrics_collection(
                AutoScalingGroupName=self.name, Granularity="1Minute", Metrics=lacking
            ),
        )

    def _suspension(self, group: Mapping[str, Any], *, in_service: bool) -> None:
        current = {entry["ProcessName"] for entry in group.get("SuspendedProcesses", [])}
        wanted = not in_service
        self.plan.update(
            f"Auto Scaling group {self.name} suspends {SUSPENDED_AT_FIRST}",
            SUSPENDED_AT_FIRST in current,
            wanted,
            lambda: self._suspend() if wanted else self._resume(),
        )

    def _suspend(self) -> None:
        self.autoscaling.suspend_processes(AutoScalingGroupName=self.name, ScalingProcesses=[SUSPENDED_AT_FIRST])

    def _resume(self) -> None:
        self.autoscaling.resume_processes(AutoScalingGroupName=self.name, ScalingProcesses=[SUSPENDED_AT_FIRST])

    def _drain_hook(self, *, exists: bool) -> None:
        wanted = {
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "HeartbeatTimeout": self.fleet.drain_seconds,
            # When the time is up the instance ends all the same.
            "DefaultResult": "CONTINUE",
        }
        hooks: dict[str, Mapping[str, Any]] = {}
        if exists:
            answer = self.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=self.name)
            hooks = {hook["LifecycleHookName"]: hook for hook in answer["LifecycleHooks"]}
        name = self.fleet.drain_hook
        found = hooks.pop(name, None)
        self.plan.update(
            f"Lifecycle hook {name}",
            {key: found.get(key) for key in wanted} if found else None,
            wanted,
            lambda: self.autoscaling.put_lifecycle_hook(
                AutoScalingGroupName=self.name,
                LifecycleHookName=name,
                **wanted,  # type: ignore[arg-type]
            ),
        )
        for other in sorted(hooks):
            self.plan.delete(
                f"Lifecycle hook {other}",
                {"transition": hooks[other]["LifecycleTransition"]},
                lambda other=other: self.autoscaling.delete_lifecycle_hook(  # type: ignore[misc]
                    AutoScalingGroupName=self.name, LifecycleHookName=other
                ),
            )

    def _scaling_policy(self, *, exists: bool) -> None:
        name = f"{self.name}-cpu"
        wanted = {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": float(self.fleet.target_cpu_percent),
        }
        policies: dict[str, Mapping[str, Any]] = {}
        if exists:
            pages = self.autoscaling.get_paginator("describe_policies").paginate(AutoScalingGroupName=self.name)
            policies = {policy["PolicyName"]: policy for page in pages for policy in page["ScalingPolicies"]}
        found = policies.pop(name, None)
        has: Mapping[str, Any] = (found or {}).get("TargetTrackingConfiguration", {})
        metric = has.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
        current = {
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
            "TargetValue": has.get("TargetValue"),
        }
        self.plan.update(
            f"Scaling policy {name}",
            current if found else None,
            wanted,
            lambda: self.autoscaling.put_scaling_policy(
                AutoScalingGroupName=self.name,
                PolicyName=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingConfiguration=wanted,  # type: ignore[arg-type]
            ),
        )
        for other in sorted(policies):
            self.plan.delete(
                f"Scaling policy {other}",
                {"type": policies[other].get("PolicyType")},
                lambda other=other: self.autoscaling.delete_policy(  # type: ignore[misc]
                    AutoScalingGroupName=self.name, PolicyName=other
                ),
            )

    def _schedule(self, *, exists: bool) -> None:
        current: dict[str, Mapping[str, Any]] = {}
        if exists:
            pages = self.autoscaling.get_paginator("describe_scheduled_actions").paginate(
                AutoScalingGroupName=self.name
            )
            current = {
                action["ScheduledActionName"]: action
                for page in pages
                for action in page["ScheduledUpdateGroupActions"]
            }
        for action in self.fleet.schedule:
            wanted = {
                "Recurrence": action.recurrence,
                "TimeZone": self.fleet.schedule_time_zone,
                "MinSize": action.sizes.minimum,
                "DesiredCapacity": action.sizes.desired,
                "MaxSize": action.sizes.maximum,
            }
            found = current.pop(action.name, None)
            self.plan.update(
                f"Scheduled action {action.name}",
                {key: found.get(key) for key in wanted} if found else None,
                wanted,
                lambda wanted=wanted, action=action: (  # type: ignore[misc]
                    self.autoscaling.put_scheduled_update_group_action(
                        AutoScalingGroupName=self.name, ScheduledActionName=action.name, **wanted
                    )
                ),
            )
        for name in sorted(current):
            self.plan.delete(
                f"Scheduled action {name}",
                {"Recurrence": current[name].get("Recurrence")},
                lambda name=name: self.autoscaling.delete_scheduled_action(  # type: ignore[misc]
                    AutoScalingGroupName=self.name, ScheduledActionName=name
                ),
            )
