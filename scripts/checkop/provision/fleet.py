"""The fleet as a whole: finds what it needs of other systems, then makes launch template and group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.provision import lookup
from checkop.provision.auto_scaling import Fleet, GroupReconciler, ScheduledAction, Sizes
from checkop.provision.images import IN_SERVICE, Source, published_images, source_image
from checkop.provision.launch_template import Machine, ensure_launch_template, find_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

    from checkop.aws import Clients
    from checkop.reconcile import Plan


def target_group_arn(elbv2: ElasticLoadBalancingv2Client, name: str, *, check: bool) -> str:
    """Give the ARN of the balancer's target group (DescribeTargetGroups).

    Raises
    ------
    CheckopError
        It does not exist (outside check mode).
    """
    try:
        return elbv2.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
    except elbv2.exceptions.TargetGroupNotFoundException:
        if check:
            return f"(target group {name})"
        raise CheckopError(
            f"balancer_target_group: there is no target group {name}. Run playbooks/balancer.yml first."
        ) from None


def schedule(actions: list[Mapping[str, Any]]) -> list[ScheduledAction]:
    """Read ``fleet_scheduled_actions``."""
    return [
        ScheduledAction(
            action["name"],
            action["recurrence"],
            Sizes(action["min_size"], action["desired_size"], action["max_size"]),
        )
        for action in actions
    ]


def ensure_fleet(clients: Clients, plan: Plan, params: dict[str, Any]) -> dict[str, Any]:
    """Make launch template and group.

    Parameters
    ----------
    params:
        The options of the module ``checkop_fleet``, which documents them.

    Returns
    -------
    dict[str, Any]
        ``launch_template_id`` and ``in_service``.
    """
    tags: Mapping[str, str] = params["tags"]
    ec2, name = clients.ec2, params["name"]
    published = published_images(clients.ssm, params["ssm_prefix"])
    vpc = lookup.vpc_id(ec2, params["network"], tags, check=plan.check)
    instance_tags = {**tags, "Name": name, "checkop:group": "autochop"}
    machine = Machine(
        instance_type=params["instance_type"],
        key_name=params["key_name"],
        instance_profile=params["instance_profile"],
        security_group_id=lookup.security_group_id(ec2, vpc, params["security_group"], check=plan.check),
        root_device=params["root_device"],
        root_volume_gb=params["root_volume_gb"],
        root_volume_type=params["root_volume_type"],
        tags=instance_tags,
    )
    template_id = ensure_launch_template(
        ec2,
        plan,
        name,
        machine,
        image=lambda: published.get(IN_SERVICE) or source_image(ec2, Source(**params["source_image"])),
        tags=tags,
    )
    group = Fleet(
        name=name,
        launch_template_id=template_id,
        subnets=lookup.zone_subnets(ec2, vpc, tags, "public", params["zones"], check=plan.check),
        target_group_arn=target_group_arn(clients.elbv2, params["target_group"], check=plan.check),
        sizes=Sizes(params["min_size"], params["desired_size"], params["max_size"]),
        health_check_grace_seconds=params["health_check_grace_seconds"],
        warmup_seconds=params["warmup_seconds"],
        termination_policies=params["termination_policies"],
        maintenance_percent=(params["maintenance_min_healthy_percent"], params["maintenance_max_healthy_percent"]),
        metrics=params["metrics"],
        target_cpu_percent=params["target_cpu_percent"],
        schedule=schedule(params["schedule"]),
        schedule_time_zone=params["schedule_time_zone"],
        drain_hook=params["drain_hook"],
        drain_seconds=params["drain_timeout_seconds"],
        tags={**tags, "Name": name},
        instance_tags=instance_tags,
    )
    template = find_template(ec2, name)
    GroupReconciler(clients.autoscaling, plan, group).run(
        in_service=IN_SERVICE in published,
        template_version=str(template["DefaultVersionNumber"]) if template else "1",
    )
    return {"launch_template_id": template_id, "in_service": IN_SERVICE in published}
