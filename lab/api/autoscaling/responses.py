"""Requests of the Auto Scaling API, read and answered."""

from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.responses import ActionResult, BaseResponse, EmptyResult

from lab.api.autoscaling.backend import LabAutoScalingBackend
from lab.api.autoscaling.model import PROCESSES, Group
from lab.api.autoscaling.policies import PolicyRequests
from lab.api.autoscaling.refresh import Refresh
from lab.api.base import Refusal
from lab.api.context import moment
from lab.api.paging import page


class LabAutoScalingResponse(PolicyRequests, BaseResponse):  # type: ignore[misc]
    """The API's operations, each named as moto looks it up."""

    def __init__(self) -> None:
        super().__init__(service_name="autoscaling")
        self.automated_parameter_parsing = True

    @property
    def backend(self) -> LabAutoScalingBackend:
        """The backend of the request's account and region."""
        backend: LabAutoScalingBackend = autoscaling_backends[self.current_account][self.region]
        return backend

    def _group(self) -> Group:
        return self.backend.group(self._get_param("AutoScalingGroupName"))

    def _page(self, key: str, items: list[Any], size: int = 50) -> ActionResult:
        found, token = page(items, self._get_param("NextToken"), self._get_int_param("MaxRecords", size))
        return ActionResult({key: found, "NextToken": token})

    # Groups.

    def create_auto_scaling_group(self) -> ActionResult:
        """CreateAutoScalingGroup."""
        self.backend.create_group(self._get_params())
        return EmptyResult()

    def update_auto_scaling_group(self) -> ActionResult:
        """UpdateAutoScalingGroup."""
        self.backend.update_group(self._get_params())
        return EmptyResult()

    def delete_auto_scaling_group(self) -> ActionResult:
        """DeleteAutoScalingGroup."""
        force = self._get_param("ForceDelete", False)
        self.backend.delete_group(self._get_param("AutoScalingGroupName"), force=force)
        return EmptyResult()

    def describe_auto_scaling_groups(self) -> ActionResult:
        """DescribeAutoScalingGroups."""
        names = self._get_param("AutoScalingGroupNames", [])
        groups = [group for group in self.backend.groups.values() if not names or group.name in names]
        for wanted in self._get_param("Filters", []):
            groups = [group for group in groups if _matches(group, wanted["Name"], wanted.get("Values", []))]
        instances = self._get_param("IncludeInstances", True)
        return self._page("AutoScalingGroups", [group.describe(include_instances=instances) for group in groups])

    def set_desired_capacity(self) -> ActionResult:
        """SetDesiredCapacity."""
        honor = self._get_param("HonorCooldown", False)
        self.backend.set_desired(self._group(), self._get_int_param("DesiredCapacity"), honor_cooldown=honor)
        return EmptyResult()

    def launch_instances(self) -> ActionResult:
        """LaunchInstances."""
        return ActionResult(self.backend.launch_instances(self._group(), self._get_params()))

    def suspend_processes(self) -> ActionResult:
        """SuspendProcesses."""
        self._group().suspended |= self._processes()
        return EmptyResult()

    def resume_processes(self) -> ActionResult:
        """ResumeProcesses."""
        self._group().suspended -= self._processes()
        return EmptyResult()

    def _processes(self) -> set[str]:
        names = set(self._get_param("ScalingProcesses", [])) or set(PROCESSES)
        if unknown := names.difference(PROCESSES):
            message = f"Unknown scaling processes: {', '.join(sorted(unknown))}; allowed: {', '.join(PROCESSES)}"
            raise Refusal("ValidationError", message)
        return names

    def describe_scaling_process_types(self) -> ActionResult:
        """DescribeScalingProcessTypes."""
        return ActionResult({"Processes": [{"ProcessName": name} for name in PROCESSES]})

    def describe_termination_policy_types(self) -> ActionResult:
        """DescribeTerminationPolicyTypes."""
        from lab.api.autoscaling.backend import POLICIES  # noqa: PLC0415 - kept beside its only use

        return ActionResult({"TerminationPolicyTypes": list(POLICIES)})

    def describe_scaling_activities(self) -> ActionResult:
        """DescribeScalingActivities, the newest first."""
        name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
        groups = [self.backend.group(name)] if name in self.backend.groups else list(self.backend.groups.values())
        if name and name not in self.backend.groups and not self._get_param("IncludeDeletedGroups", False):
            self.backend.group(name)
        found = [activity for group in groups for activity in group.activities if name in (None, group.name)]
        if self._get_param("IncludeDeletedGroups", False):
            found += [activity for activity in self.backend.deleted_activities if name in (None, activity.group)]
        found.sort(key=lambda activity: -activity.started_at)
        return self._page("Activities", [a.describe() for a in found if not ids or a.activity_id in ids], 100)

    # Tags.

    def create_or_update_tags(self) -> ActionResult:
        """CreateOrUpdateTags."""
        for tag in self._get_param("Tags", []):
            self.backend.group(tag["ResourceId"]).put_tags([tag])
        return EmptyResult()

    def delete_tags(self) -> ActionResult:
        """DeleteTags."""
        for tag in self._get_param("Tags", []):
            self.backend.group(tag["ResourceId"]).drop_tag(tag["Key"])
        return EmptyResult()

    def describe_tags(self) -> ActionResult:
        """DescribeTags."""
        tags = [tag for group in self.backend.groups.values() for tag in group.describe()["Tags"]]
        keys = {
            "auto-scaling-group": "ResourceId",
            "key": "Key",
            "value": "Value",
            "propagate-at-launch": "PropagateAtLaunch",
        }
        for wanted in self._get_param("Filters", []):
            key = keys[wanted["Name"]]
            values = [value.lower() if key == "PropagateAtLaunch" else value for value in wanted["Values"]]
            tags = [
                tag for tag in tags if (str(tag[key]).lower() if key == "PropagateAtLaunch" else tag[key]) in values
            ]
        return self._page("Tags", tags)

    # Instances.

    def describe_auto_scaling_instances(self) -> ActionResult:
        """DescribeAutoScalingInstances."""
        ids = self._get_param("InstanceIds", [])
        found = [
            {**member.describe(), "AutoScalingGroupName": group.name, "HealthStatus": member.health.upper()}
            for group in self.backend.groups.values()
            for member in group.members
            if not ids or member.instance_id in ids
        ]
        return self._page("AutoScalingInstances", found)

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        """TerminateInstanceInAutoScalingGroup."""
        decrement = self._get_param("ShouldDecrementDesiredCapacity", False)
        activity = self.backend.terminate(self._get_param("InstanceId"), decrement=decrement)
        return ActionResult({"Activity": activity.describe()})

    def detach_instances(self) -> ActionResult:
        """DetachInstances."""
        decrement = self._get_param("ShouldDecrementDesiredCapacity", False)
        activities = self.backend.detach(self._group(), self._get_param("InstanceIds", []), decrement=decrement)
        return ActionResult({"Activities": [activity.describe() for activity in activities]})

    def enter_standby(self) -> ActionResult:
        """EnterStandby."""
        decrement = self._get_param("ShouldDecrementDesiredCapacity", False)
        activities = self.backend.enter_standby(self._group(), self._get_param("InstanceIds", []), decrement=decrement)
        return ActionResult({"Activities": [activity.describe() for activity in activities]})

    def exit_standby(self) -> ActionResult:
        """ExitStandby."""
        activities = self.backend.exit_standby(self._group(), self._get_param("InstanceIds", []))
        return ActionResult({"Activities": [activity.describe() for activity in activities]})

    def set_instance_health(self) -> ActionResult:
        """SetInstanceHealth."""
        self.backend.set_health(
            self._get_param("InstanceId"),
            self._get_param("HealthStatus"),
            respect_grace=self._get_param("ShouldRespectGracePeriod", True),
        )
        return EmptyResult()

    def set_instance_protection(self) -> ActionResult:
        """SetInstanceProtection."""
        group = self._group()
        for instance_id in self._get_param("InstanceIds", []):
            member = self.backend._member(group, instance_id)
            member.protected = self._get_param("ProtectedFromScaleIn", False)
        return EmptyResult()

    # Target groups.

    def attach_load_balancer_target_groups(self) -> ActionResult:
        """AttachLoadBalancerTargetGroups."""
        self.backend.attach(self._group(), self._get_param("TargetGroupARNs", []))
        return EmptyResult()

    def detach_load_balancer_target_groups(self) -> ActionResult:
        """DetachLoadBalancerTargetGroups."""
        self.backend.detach_target_groups(self._group(), self._get_param("TargetGroupARNs", []))
        return EmptyResult()

    def describe_load_balancer_target_groups(self) -> ActionResult:
        """DescribeLoadBalancerTargetGroups."""
        arns = self._group().target_groups
        return self._page(
            "LoadBalancerTargetGroups", [{"LoadBalancerTargetGroupARN": arn, "State": "InService"} for arn in arns]
        )

    def describe_load_balancers(self) -> ActionResult:
        """DescribeLoadBalancers: classic ones, of which there are none."""
        self._group()
        return ActionResult({"LoadBalancers": []})

    # Lifecycle hooks.

    def put_lifecycle_hook(self) -> ActionResult:
        """PutLifecycleHook."""
        self.backend.put_hook(self._group(), self._get_params())
        return EmptyResult()

    def describe_lifecycle_hooks(self) -> ActionResult:
        """DescribeLifecycleHooks."""
        names = self._get_param("LifecycleHookNames", [])
        hooks = [hook.describe() for hook in self._group().hooks.values() if not names or hook.name in names]
        return ActionResult({"LifecycleHooks": hooks})

    def delete_lifecycle_hook(self) -> ActionResult:
        """DeleteLifecycleHook: what waits for it goes on."""
        group, name = self._group(), self._get_param("LifecycleHookName")
        if group.hooks.pop(name, None) is None:
            raise Refusal("ValidationError", f"No Lifecycle Hook found with name {name}")
        for member in group.members:
            member.waits = [wait for wait in member.waits if wait.hook.name != name]
        return EmptyResult()

    def complete_lifecycle_action(self) -> ActionResult:
        """CompleteLifecycleAction."""
        result = self._get_param("LifecycleActionResult")
        if result not in ("CONTINUE", "ABANDON"):
            raise Refusal("ValidationError", f"LifecycleActionResult {result} must be CONTINUE or ABANDON.")
        self.backend.lifecycle_action(self._get_params(), result=result)
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        """RecordLifecycleActionHeartbeat."""
        self.backend.lifecycle_action(self._get_params(), result=None)
        return EmptyResult()

    # Instance refresh.

    def start_instance_refresh(self) -> ActionResult:
        """StartInstanceRefresh."""
        return ActionResult({"InstanceRefreshId": self.backend.start_refresh(self._group(), self._get_params())})

    def describe_instance_refreshes(self) -> ActionResult:
        """DescribeInstanceRefreshes, the newest first."""
        group, ids = self._group(), self._get_param("InstanceRefreshIds", [])
        found = [_refresh(group, refresh) for refresh in group.refreshes if not ids or refresh.refresh_id in ids]
        return self._page("InstanceRefreshes", found)

    def cancel_instance_refresh(self) -> ActionResult:
        """CancelInstanceRefresh."""
        refresh = self.backend.active_refresh(self._group())
        refresh.cancel()
        return ActionResult({"InstanceRefreshId": refresh.refresh_id})

    def rollback_instance_refresh(self) -> ActionResult:
        """RollbackInstanceRefresh."""
        return ActionResult({"InstanceRefreshId": self.backend.roll_back(self._group())})


def _matches(group: Group, name: str, values: list[str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in group.tags}
    if name == "tag-key":
        return any(key in values for key in tags)
    if name == "tag-value":
        return any(value in values for value in tags.values())
    if name.startswith("tag:"):
        return tags.get(name[4:]) in values
    raise Refusal("ValidationError", f"Unknown filter {name}; allowed: tag-key, tag-value, tag:<key>")


def _refresh(group: Group, refresh: Refresh) -> dict[str, Any]:
    progress = {"PercentageComplete": refresh.percent, "InstancesToUpdate": refresh.remaining}
    answer: dict[str, Any] = {
        "InstanceRefreshId": refresh.refresh_id,
        "AutoScalingGroupName": group.name,
        "Status": refresh.status,
        "StartTime": moment(refresh.started_at),
        **progress,
        "ProgressDetails": {"LivePoolProgress": progress},
        "Preferences": refresh.asked_preferences,
        "Strategy": "Rolling",
    }
    if refresh.reason:
        answer["StatusReason"] = refresh.reason
    if refresh.ended_at is not None:
        answer["EndTime"] = moment(refresh.ended_at)
    if refresh.desired_configuration:
        answer["DesiredConfiguration"] = refresh.desired_configuration
    if refresh.rollback:
        answer["RollbackDetails"] = {
            **refresh.rollback,
            "RollbackStartTime": moment(refresh.rollback["RollbackStartTime"]),
            "ProgressDetailsOnRollback": {
                "LivePoolProgress": {
                    "PercentageComplete": refresh.rollback["PercentageCompleteOnRollback"],
                    "InstancesToUpdate": refresh.rollback["InstancesToUpdateOnRollback"],
                }
            },
        }
    return answer
