"""The application load balancer itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.reconcile import present_tags, retry, tag_list, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

    from checkop.reconcile import Plan


@dataclass(frozen=True)
class LoadBalancer:
    """The load balancer as wanted; names and units are those of ELBv2 CreateLoadBalancer (seconds).

    ``logs_bucket`` must exist with a policy that lets Elastic Load Balancing write, because it tries to at once.
    """

    name: str
    subnet_ids: Sequence[str]
    security_group_id: str
    idle_timeout_seconds: int
    deletion_protection: bool
    logs_bucket: str
    wait_seconds: int
    tags: Mapping[str, str]

    @property
    def all_tags(self) -> dict[str, str]:
        """Tags of ownership and the name."""
        return {**self.tags, "Name": self.name}

    def attributes(self) -> dict[str, str]:
        """Attributes as ELBv2 spells them."""
        return {
            "access_logs.s3.enabled": "true",
            "access_logs.s3.bucket": self.logs_bucket,
            "deletion_protection.enabled": "true" if self.deletion_protection else "false",
            "idle_timeout.timeout_seconds": str(self.idle_timeout_seconds),
            # Headers that RFC 7230 forbids are how request smuggling begins.
            "routing.http.drop_invalid_header_fields.enabled": "true",
            "routing.http.desync_mitigation_mode": "defensive",
            "routing.http2.enabled": "true",
        }


def find(elbv2: ElasticLoadBalancingv2Client, name: str) -> dict[str, Any] | None:
    """Find a load balancer by name (ELBv2 DescribeLoadBalancers); None where there is none."""
    try:
        return dict(elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("LoadBalancerNotFound", "LoadBalancerNotFoundException"):
            return None
        raise


def reconcile(elbv2: ElasticLoadBalancingv2Client, plan: Plan, wanted: LoadBalancer) -> dict[str, Any] | None:
    """Make the load balancer and wait until it is active.

    Returns
    -------
    dict[str, Any] | None
        The load balancer as DescribeLoadBalancers gives it; None where a check found none.
    """
    resource = f"Load balancer {wanted.name}"
    balancer = find(elbv2, wanted.name)
    if balancer is None:
        made = plan.step(
            resource,
            None,
            {
                "subnets": list(wanted.subnet_ids),
                "security_groups": [wanted.security_group_id],
                "attributes": wanted.attributes(),
                "tags": wanted.all_tags,
            },
            lambda: elbv2.create_load_balancer(
                Name=wanted.name,
                Type="application",
                Scheme="internet-facing",
                IpAddressType="ipv4",
                Subnets=list(wanted.subnet_ids),
                SecurityGroups=[wanted.security_group_id],
                Tags=tag_list(wanted.all_tags),
            ),
        )
        if made is None:
            return None
        balancer = dict(made["LoadBalancers"][0])
    arn = str(balancer["LoadBalancerArn"])
    tags = tag_map(elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0].get("Tags"))
    ownership.require(plan, resource, tags, wanted.tags)
    plan.fixed(
        resource,
        {"type": balancer["Type"], "scheme": balancer["Scheme"]},
        {"type": "application", "scheme": "internet-facing"},
        "Give balancer_name another name: a new one is made, and the records move to it.",
    )
    _placement(elbv2, plan, wanted, balancer, arn)
    attributes = wanted.attributes()
    current = {
        attribute["Key"]: attribute["Value"]
        for attribute in elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        if attribute["Key"] in attributes
    }
    plan.step(
        f"{resource}: attributes",
        current,
        attributes,
        # Elastic Load Balancing writes a test log at once, and S3 may not know the bucket's new policy yet.
        lambda: retry(
            lambda: elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=tag_list(attributes)),
            ("InvalidConfigurationRequest",),
        ),
    )
    plan.step(
        f"{resource}: tags",
        present_tags(tags, wanted.all_tags),
        wanted.all_tags,
        lambda: elbv2.add_tags(ResourceArns=[arn], Tags=tag_list(wanted.all_tags)),
    )
    if not plan.check:
        _await_active(elbv2, resource, arn, wanted.wait_seconds)
    return balancer


def _placement(
    elbv2: ElasticLoadBalancingv2Client, plan: Plan, wanted: LoadBalancer, balancer: Mapping[str, Any], arn: str
) -> None:
    resource = f"Load balancer {wanted.name}"
    plan.step(
        f"{resource}: subnets",
        {"subnets": sorted(zone["SubnetId"] for zone in balancer["AvailabilityZones"])},
        {"subnets": sorted(wanted.subnet_ids)},
        lambda: elbv2.set_subnets(LoadBalancerArn=arn, Subnets=list(wanted.subnet_ids)),
    )
    plan.step(
        f"{resource}: security groups",
        {"security_groups": sorted(balancer.get("SecurityGroups", []))},
        {"security_groups": [wanted.security_group_id]},
        lambda: elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[wanted.security_group_id]),
    )


def _await_active(elbv2: ElasticLoadBalancingv2Client, resource: str, arn: str, wait_seconds: int) -> None:
    def look() -> tuple[bool, str]:
        state = elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]
        return state["Code"] in ("active", "active_impaired"), f"{state['Code']} {state.get('Reason', '')}".strip()

    wait_until(f"{resource} to become active", look, timeout_seconds=wait_seconds)
