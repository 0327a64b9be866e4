"""Scaling policies and scheduled actions: kept and returned whole, never run; a rehearsal scales when it is told to."""

from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from lab.api.base import Refusal
from lab.api.context import ACCOUNT, REGION
from lab.api.paging import page

SCHEDULE_KEYS = ("StartTime", "EndTime", "Recurrence", "MinSize", "MaxSize", "DesiredCapacity", "TimeZone")
POLICY_KEYS = (
    "PolicyType",
    "AdjustmentType",
    "MinAdjustmentStep",
    "MinAdjustmentMagnitude",
    "ScalingAdjustment",
    "Cooldown",
    "MetricAggregationType",
    "StepAdjustments",
    "EstimatedInstanceWarmup",
    "TargetTrackingConfiguration",
    "PredictiveScalingConfiguration",
)


class PolicyRequests:
    """Operations of policies, scheduled actions and group metrics; mixed into the handler of the service."""

    backend: Any
    _group: Any
    _get_param: Any
    _get_params: Any
    _get_int_param: Any

    def put_scaling_policy(self) -> ActionResult:
        """PutScalingPolicy."""
        group, params = self._group(), self._get_params()
        name = params["PolicyName"]
        arn = (
            f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:{group.group_id}:"
            f"autoScalingGroupName/{group.name}:policyName/{name}"
        )
        policy = {
            "AutoScalingGroupName": group.name,
            "PolicyName": name,
            "PolicyARN": arn,
            "PolicyType": "SimpleScaling",
            "Alarms": [],
            "Enabled": params.get("Enabled", True),
            **{key: params[key] for key in POLICY_KEYS if key in params},
        }
        if "TargetTrackingConfiguration" in policy:
            policy["TargetTrackingConfiguration"] = {"DisableScaleIn": False, **policy["TargetTrackingConfiguration"]}
        self.backend.scaling_policies[group.name, name] = policy
        return ActionResult({"PolicyARN": arn, "Alarms": []})

    def describe_policies(self) -> ActionResult:
        """DescribePolicies."""
        group, names, types = (
            self._get_param("AutoScalingGroupName"),
            self._get_param("PolicyNames", []),
            self._get_param("PolicyTypes", []),
        )
        found = [
            policy
            for policy in self.backend.scaling_policies.values()
            if group in (None, policy["AutoScalingGroupName"])
            and (not names or policy["PolicyName"] in names or policy["PolicyARN"] in names)
            and (not types or policy["PolicyType"] in types)
        ]
        policies, token = page(found, self._get_param("NextToken"), self._get_int_param("MaxRecords", 50))
        return ActionResult({"ScalingPolicies": policies, "NextToken": token})

    def delete_policy(self) -> ActionResult:
        """DeletePolicy."""
        name, group = self._get_param("PolicyName"), self._get_param("AutoScalingGroupName")
        for key, policy in list(self.backend.scaling_policies.items()):
            if name in (policy["PolicyName"], policy["PolicyARN"]) and group in (None, key[0]):
                del self.backend.scaling_policies[key]
                return EmptyResult()
        raise Refusal("ValidationError", f"Scaling policy {name} was not found.")

    def put_scheduled_update_group_action(self) -> ActionResult:
        """PutScheduledUpdateGroupAction."""
        self._schedule(self._get_params())
        return EmptyResult()

    def batch_put_scheduled_update_group_action(self) -> ActionResult:
        """BatchPutScheduledUpdateGroupAction."""
        self._group()
        for action in self._get_param("ScheduledUpdateGroupActions", []):
            self._schedule(action)
        return ActionResult({"FailedScheduledUpdateGroupActions": []})

    def _schedule(self, params: Any) -> None:
        group, name = self._group(), params["ScheduledActionName"]
        key = (group.name, name)
        action = self.backend.scheduled.get(key) or {
            "AutoScalingGroupName": group.name,
            "ScheduledActionName": name,
            "ScheduledActionARN": (
                f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scheduledUpdateGroupAction:{group.group_id}:"
                f"autoScalingGroupName/{group.name}:scheduledActionName/{name}"
            ),
        }
        action.update({key: params[key] for key in SCHEDULE_KEYS if key in params})
        if not any(size in action for size in ("MinSize", "MaxSize", "DesiredCapacity")):
            raise Refusal("ValidationError", "At least one of MinSize, MaxSize and DesiredCapacity must be specified")
        self.backend.scheduled[key] = action

    def describe_scheduled_actions(self) -> ActionResult:
        """DescribeScheduledActions."""
        group, names = self._get_param("AutoScalingGroupName"), self._get_param("ScheduledActionNames", [])
        found = [
            action
            for (owner, name), action in self.backend.scheduled.items()
            if group in (None, owner) and (not names or name in names)
        ]
        actions, token = page(found, self._get_param("NextToken"), self._get_int_param("MaxRecords", 50))
        return ActionResult({"ScheduledUpdateGroupActions": actions, "NextToken": token})

    def delete_scheduled_action(self) -> ActionResult:
        """DeleteScheduledAction."""
        self._unschedule(self._get_param("ScheduledActionName"))
        return EmptyResult()

    def batch_delete_scheduled_action(self) -> ActionResult:
        """BatchDeleteScheduledAction."""
        for name in self._get_param("ScheduledActionNames", []):
            self._unschedule(name)
        return ActionResult({"FailedScheduledActions": []})

    def _unschedule(self, name: str) -> None:
        if self.backend.scheduled.pop((self._group().name, name), None) is None:
            raise Refusal("ValidationError", f"Scheduled action name not found - {name}")

    def enable_metrics_collection(self) -> ActionResult:
        """EnableMetricsCollection."""
        self._group().metrics |= set(self._get_param("Metrics", [])) or set(METRICS)
        return EmptyResult()

    def disable_metrics_collection(self) -> ActionResult:
        """DisableMetricsCollection."""
        self._group().metrics -= set(self._get_param("Metrics", [])) or set(METRICS)
        return EmptyResult()

    def describe_metric_collection_types(self) -> ActionResult:
        """DescribeMetricCollectionTypes."""
        metrics = [{"Metric": name} for name in METRICS]
        return ActionResult({"Metrics": metrics, "Granularities": [{"Granularity": "1Minute"}]})

    def describe_notification_configurations(self) -> ActionResult:
        """DescribeNotificationConfigurations: none are kept."""
        return ActionResult({"NotificationConfigurations": []})


METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
)
