#!/usr/bin/python
"""Ansible module: target group, load balancer and listeners."""

DOCUMENTATION = r"""
module: checkop_load_balancer
short_description: Make an application load balancer that ends TLS and forwards to one target group
description:
  - Port 80 redirects to 443, and 443 forwards to the target group; listeners and rules beside these are removed.
  - C(community.aws.elb_target_group) lacks slow start.
options:
  name: {description: Name of the load balancer, type: str, required: true}
  target_group: {description: Name of the target group, type: str, required: true}
  target_port: {description: Port of the targets, type: int, required: true}
  health_path: {description: Path of the readiness check, type: str, required: true}
  health_interval_seconds: {description: Seconds between two checks, type: int, required: true}
  health_timeout_seconds: {description: Seconds until a check has failed, type: int, required: true}
  healthy_count: {description: Good checks until healthy, type: int, required: true}
  unhealthy_count: {description: Failed checks until unhealthy, type: int, required: true}
  deregistration_delay_seconds: {description: Seconds to finish requests, type: int, required: true}
  slow_start_seconds: {description: Seconds of slow start; 0 is off, type: int, required: true}
  idle_timeout_seconds: {description: Seconds until an idle connection is closed, type: int, required: true}
  deletion_protection: {description: Whether deletion is refused, type: bool, required: true}
  ssl_policy: {description: TLS security policy, type: str, required: true}
  certificate_arn: {description: Certificate of the HTTPS listener, type: str, required: true}
  logs_bucket: {description: S3 bucket of the access logs, type: str, required: true}
  vpc_name: {description: Tag Name of the VPC, type: str, required: true}
  zones: {description: Zones in whose public subnets it stands, type: list, elements: str, required: true}
  security_group: {description: Name of its security group, type: str, required: true}
  wait_seconds: {description: Bound of the wait until it is active, type: int, required: true}
  region: {description: Region of the load balancer, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make Progresus-ELB
  checkop_load_balancer:
    name: Progresus-ELB
    target_group: AUTOChOp
    target_port: 80
    health_path: /health/ready
    health_interval_seconds: 10
    health_timeout_seconds: 5
    healthy_count: 2
    unhealthy_count: 3
    deregistration_delay_seconds: 300
    slow_start_seconds: 0
    idle_timeout_seconds: 120
    deletion_protection: true
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
    certificate_arn: "{{ aws_load_balancer__certificate.certificate_arn }}"
    logs_bucket: checkop-production-access-logs-123456789012
    vpc_name: checkop
    zones: [us-east-1a, us-east-1d]
    security_group: checkop-alb
    wait_seconds: 600
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
dns_name: {description: Name of the balancer; empty where a check found none, type: str, returned: success}
target_group_arn: {description: ARN; empty where a check found none, type: str, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.balancer import listeners, load_balancer, target_group
from checkop.module import COMMON, run
from checkop.provision import lookup
from checkop.reconcile import Plan

TARGET_GROUP_OPTIONS = {
    "health_path": "str",
    "health_interval_seconds": "int",
    "health_timeout_seconds": "int",
    "healthy_count": "int",
    "unhealthy_count": "int",
    "deregistration_delay_seconds": "int",
    "slow_start_seconds": "int",
}
BALANCER_OPTIONS = {
    "name": "str",
    "idle_timeout_seconds": "int",
    "deletion_protection": "bool",
    "logs_bucket": "str",
    "wait_seconds": "int",
}
OTHER_OPTIONS = {
    "target_group": "str",
    "target_port": "int",
    "ssl_policy": "str",
    "certificate_arn": "str",
    "vpc_name": "str",
    "security_group": "str",
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Make the target group, the load balancer and its listeners, in this order."""
    ec2, elbv2, tags, zones = clients.ec2, clients.elbv2, options["tags"], options["zones"]
    vpc = lookup.vpc_id(ec2, options["vpc_name"], tags, check=plan.check)
    group = target_group.TargetGroup(
        **{name: options[name] for name in TARGET_GROUP_OPTIONS},
        name=options["target_group"],
        port=options["target_port"],
        vpc_id=vpc,
        tags=tags,
    )
    group_arn = target_group.reconcile(elbv2, plan, group)
    balancer = load_balancer.LoadBalancer(
        **{name: options[name] for name in BALANCER_OPTIONS},
        subnet_ids=lookup.zone_subnets(ec2, vpc, tags, "public", zones, check=plan.check),
        security_group_id=lookup.security_group_id(ec2, vpc, options["security_group"], check=plan.check),
        tags=tags,
    )
    made = load_balancer.reconcile(elbv2, plan, balancer) or {}
    wanted = listeners.wanted(options["certificate_arn"], options["ssl_policy"], group_arn)
    listeners.reconcile(elbv2, plan, (balancer.name, made.get("LoadBalancerArn")), wanted, tags)
    return {
        "dns_name": made.get("DNSName", ""),
        "target_group_arn": group_arn if Plan.exists(group_arn) else "",
    }


def main() -> None:
    """Run the module."""
    kinds = TARGET_GROUP_OPTIONS | BALANCER_OPTIONS | OTHER_OPTIONS
    options: dict[str, Any] = {name: {"type": kind, "required": True} for name, kind in kinds.items()}
    options["zones"] = {"type": "list", "elements": "str", "required": True}
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
