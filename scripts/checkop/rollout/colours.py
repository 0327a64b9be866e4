"""The second, green half of a blue/green release in AWS: a target group, an Auto Scaling group, and shares of traffic.

Green is a copy of blue, made for the release and gone after it, so that names, alarms and schedules keep meaning
AUTOChOp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from checkop.aws import Clients
    from checkop.rollout.model import Group, Target
    from checkop.rollout.settings import Settings
    from checkop.rollout.world import World

SUFFIX = "-green"
# What a copy of a target group takes over (CreateTargetGroup).
TARGET_GROUP_KEYS = (
    "Protocol",
    "ProtocolVersion",
    "Port",
    "VpcId",
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
    "TargetType",
)
# What a copy of a group takes over (CreateAutoScalingGroup).
GROUP_KEYS = (
    "VPCZoneIdentifier",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "DefaultInstanceWarmup",
    "InstanceMaintenancePolicy",
    "TerminationPolicies",
    "DefaultCooldown",
)
HOOK_KEYS = (
    "LifecycleHookName",
    "LifecycleTransition",
    "HeartbeatTimeout",
    "DefaultResult",
    "NotificationMetadata",
    "NotificationTargetARN",
    "RoleARN",
)


@dataclass(frozen=True)
class Colours:
    """One look at green. `share` is its percentage of the traffic; None: no listener knows it."""

    group: Group | None
    targets: tuple[Target, ...]
    target_group_arn: str
    share: int | None
    # False: listeners disagree, as when somebody was killed between two of them.
    even: bool = True

    def healthy(self) -> int:
        """Count green's instances that are in service and healthy."""
        good = {target.instance_id for target in self.targets if target.state == "healthy"}
        instances = self.group.instances if self.group is not None else ()
        return sum(1 for each in instances if each.in_service and each.instance_id in good)


class GreenWorld:
    """Reads and changes of the green half.

    Parameters
    ----------
    world:
        The fleet's own.
    settings:
        Names.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._clients: Clients = world.clients
        self._settings = settings
        self.name = f"{settings.fleet}{SUFFIX}"
        self.target_group = f"{settings.target_group}{SUFFIX}"

    def look(self) -> Colours:
        """Read green as it is."""
        arn = self._target_group_arn()
        shares = {share for share in (self._share(action) for _, _, action in self._forwards()) if share is not None}
        group = self._world.find_group(self.name)
        return Colours(
            group=group,
            targets=self._world.targets(arn) if arn else (),
            target_group_arn=arn,
            share=min(shares) if shares else None,
            even=len(shares) < 2,  # noqa: PLR2004 - all the same
        )

    def create_target_group(self, tags: Mapping[str, str]) -> None:
        """Copy blue's target group with its attributes (CreateTargetGroup, ModifyTargetGroupAttributes)."""
        elbv2 = self._clients.elbv2
        blue: Mapping[str, Any] = elbv2.describe_target_groups(Names=[self._settings.target_group])["TargetGroups"][0]
        copy = {key: blue[key] for key in TARGET_GROUP_KEYS if key in blue}
        wanted = [{"Key": key, "Value": value} for key, value in tags.items()]
        made = elbv2.create_target_group(Name=self.target_group, Tags=wanted, **copy)  # type: ignore[arg-type]
        attributes = elbv2.describe_target_group_attributes(TargetGroupArn=blue["TargetGroupArn"])["Attributes"]
        elbv2.modify_target_group_attributes(
            TargetGroupArn=made["TargetGroups"][0]["TargetGroupArn"], Attributes=attributes
        )

    def create_group(self, blue: Group, version: int) -> None:
        """Copy blue's group, its hooks and its tags, at blue's size (CreateAutoScalingGroup, PutLifecycleHook)."""
        autoscaling = self._clients.autoscaling
        answer = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[blue.name])
        source: Mapping[str, Any] = answer["AutoScalingGroups"][0]
        hooks = autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=blue.name)["LifecycleHooks"]
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            LaunchTemplate={"LaunchTemplateId": blue.template_id, "Version": str(version)},
            MinSize=blue.desired,
            DesiredCapacity=blue.desired,
            MaxSize=blue.desired,
            TargetGroupARNs=[self._target_group_arn()],
            Tags=[
                {"Key": tag["Key"], "Value": tag["Value"], "PropagateAtLaunch": tag.get("PropagateAtLaunch", False)}
                for tag in source.get("Tags", ())
            ],
            LifecycleHookSpecificationList=[_hook(hook) for hook in hooks],
            **{key: source[key] for key in GROUP_KEYS if source.get(key) not in (None, "", {})},
        )

    def weigh(self, share: int | None) -> None:
        """Give green a share of the traffic wherever a listener or rule leads to blue; None takes it out again."""
        blue, green = self._world.target_group_arn(), self._target_group_arn()
        for arn, is_default, action in list(self._forwards()):
            if self._share(action) == share:
                continue
            if share is None:
                new: dict[str, Any] = {"Type": "forward", "TargetGroupArn": blue}
            else:
                pair = [{"TargetGroupArn": blue, "Weight": 100 - share}, {"TargetGroupArn": green, "Weight": share}]
                new = {"Type": "forward", "ForwardConfig": {"TargetGroups": pair}}
            if "Order" in action:
                new["Order"] = action["Order"]
            if is_default:
                self._clients.elbv2.modify_listener(ListenerArn=arn, DefaultActions=[new])  # type: ignore[list-item]
            else:
                self._clients.elbv2.modify_rule(RuleArn=arn, Actions=[new])  # type: ignore[list-item]

    def empty(self) -> None:
        """Take green's instances away; each one drains first (UpdateAutoScalingGroup)."""
        self._clients.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=self.name, MinSize=0, DesiredCapacity=0
        )

    def delete_group(self) -> None:
        """Delete green's empty group (DeleteAutoScalingGroup)."""
        self._clients.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=self.name)

    def delete_target_group(self) -> None:
        """Delete green's target group (DeleteTargetGroup)."""
        self._clients.elbv2.delete_target_group(TargetGroupArn=self._target_group_arn())

    def _target_group_arn(self) -> str:
        try:
            found = self._clients.elbv2.describe_target_groups(Names=[self.target_group])["TargetGroups"]
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("TargetGroupNotFound"):
                return ""
            raise
        return found[0]["TargetGroupArn"] if found else ""

    def _forwards(self) -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
        """Yield, for each action to blue, the ARN of its listener or rule, whether it is a default, and itself."""
        blue = self._world.target_group_arn()
        elbv2 = self._clients.elbv2
        balancer = elbv2.describe_load_balancers(Names=[self._settings.balancer])["LoadBalancers"][0]["LoadBalancerArn"]
        for page in elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer):
            for listener in page["Listeners"]:
                for rules in elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener["ListenerArn"]):
                    for rule in rules["Rules"]:
                        for action in rule["Actions"]:
                            if blue in _weights(action):
                                default = rule["IsDefault"]
                                yield (listener["ListenerArn"] if default else rule["RuleArn"]), default, action

    def _share(self, action: Mapping[str, Any]) -> int | None:
        weights = _weights(action)
        green = [weight for arn, weight in weights.items() if f":targetgroup/{self.target_group}/" in arn]
        return round(100 * green[0] / max(sum(weights.values()), 1)) if green else None


def green_leftovers(world: World, settings: Settings) -> tuple[str, ...]:
    """Return what a blue/green release has left behind, for a person; nothing when the last one was cleaned up."""
    name = f"{settings.fleet}{SUFFIX}"
    return (f"Auto Scaling group {name}",) if world.find_group(name) is not None else ()


def _hook(hook: Mapping[str, Any]) -> Any:
    return {key: hook[key] for key in HOOK_KEYS if hook.get(key)}


def _weights(action: Mapping[str, Any]) -> dict[str, int]:
    """Return target group ARN to weight of a forward action."""
    if action.get("Type") != "forward":
        return {}
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    found = {group["TargetGroupArn"]: int(group.get("Weight", 1)) for group in groups}
    return found or {action["TargetGroupArn"]: 1}
