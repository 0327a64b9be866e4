"""The target group: where requests go, and what counts as a healthy target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.reconcile import UNKNOWN, present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

    from checkop.reconcile import Plan


@dataclass(frozen=True)
class TargetGroup:
    """The target group as wanted; names and units are those of ELBv2 CreateTargetGroup (seconds, counts)."""

    name: str
    vpc_id: str
    port: int
    health_path: str
    health_interval_seconds: int
    health_timeout_seconds: int
    healthy_count: int
    unhealthy_count: int
    deregistration_delay_seconds: int
    slow_start_seconds: int
    tags: Mapping[str, str]

    @property
    def all_tags(self) -> dict[str, str]:
        """Tags of ownership and the name."""
        return {**self.tags, "Name": self.name}

    def health_check(self) -> dict[str, Any]:
        """Parameters of CreateTargetGroup and ModifyTargetGroup."""
        return {
            "HealthCheckEnabled": True,
            "HealthCheckProtocol": "HTTP",
            "HealthCheckPort": "traffic-port",
            "HealthCheckPath": self.health_path,
            "HealthCheckIntervalSeconds": self.health_interval_seconds,
            "HealthCheckTimeoutSeconds": self.health_timeout_seconds,
            "HealthyThresholdCount": self.healthy_count,
            "UnhealthyThresholdCount": self.unhealthy_count,
            "Matcher": {"HttpCode": "200"},
        }

    def attributes(self) -> dict[str, str]:
        """Attributes as ELBv2 spells them."""
        return {
            "deregistration_delay.timeout_seconds": str(self.deregistration_delay_seconds),
            "slow_start.duration_seconds": str(self.slow_start_seconds),
            # Round robin is the one algorithm that slow start works with.
            "load_balancing.algorithm.type": "round_robin",
            "stickiness.enabled": "false",
        }


def find(elbv2: ElasticLoadBalancingv2Client, name: str) -> dict[str, Any] | None:
    """Find a target group by name (ELBv2 DescribeTargetGroups); None where there is none."""
    try:
        return dict(elbv2.describe_target_groups(Names=[name])["TargetGroups"][0])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("TargetGroupNotFound", "TargetGroupNotFoundException"):
            return None
        raise


def reconcile(elbv2: ElasticLoadBalancingv2Client, plan: Plan, wanted: TargetGroup) -> str:
    """Make the target group.

    Returns
    -------
    str
        Its ARN; `UNKNOWN` where a check found none.
    """
    resource = f"Target group {wanted.name}"
    group = find(elbv2, wanted.name)
    if group is None:
        made = plan.step(
            resource,
            None,
            {"port": wanted.port, **wanted.health_check(), "tags": wanted.all_tags},
            lambda: elbv2.create_target_group(
                Name=wanted.name,
                Protocol="HTTP",
                ProtocolVersion="HTTP1",
                Port=wanted.port,
                VpcId=wanted.vpc_id,
                TargetType="instance",
                Tags=tag_list(wanted.all_tags),
                **wanted.health_check(),
            ),
        )
        if made is None:
            return UNKNOWN
        group = dict(made["TargetGroups"][0])
    arn = str(group["TargetGroupArn"])
    tags = tag_map(elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0].get("Tags"))
    ownership.require(plan, resource, tags, wanted.tags)
    plan.fixed(
        resource,
        {"port": group["Port"], "protocol": group["Protocol"], "vpc": group["VpcId"], "targets": group["TargetType"]},
        {"port": wanted.port, "protocol": "HTTP", "vpc": wanted.vpc_id, "targets": "instance"},
        "Give balancer_target_group another name: a new group is made, and the listener moves to it.",
    )
    health = wanted.health_check()
    plan.step(
        f"{resource}: health check",
        {name: group.get(name) for name in health},
        health,
        lambda: elbv2.modify_target_group(TargetGroupArn=arn, **health),
    )
    attributes = wanted.attributes()
    current = {
        attribute["Key"]: attribute["Value"]
        for attribute in elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        if attribute["Key"] in attributes
    }
    plan.step(
        f"{resource}: attributes",
        current,
        attributes,
        lambda: elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=tag_list(attributes)),
    )
    plan.step(
        f"{resource}: tags",
        present_tags(tags, wanted.all_tags),
        wanted.all_tags,
        lambda: elbv2.add_tags(ResourceArns=[arn], Tags=tag_list(wanted.all_tags)),
    )
    return arn
