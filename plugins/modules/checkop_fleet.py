#!/usr/bin/python
"""Ansible module: make the fleet's launch template and Auto Scaling group true."""

DOCUMENTATION = r"""
module: checkop_fleet
short_description: Make a launch template, and the Auto Scaling group that uses it
description:
  - Makes version 1 of the launch template; other settings later become a new default version that is not rolled out.
  - Makes the group empty while no image is in service; an existing group keeps its version and its desired size.
  - Follows the EC2 API (CreateLaunchTemplate) and the Auto Scaling API (CreateAutoScalingGroup, PutLifecycleHook,
    PutScalingPolicy, PutScheduledUpdateGroupAction).
options:
  name: {description: Name of launch template and group, type: str, required: true}
  network: {description: Name of the VPC, type: str, required: true}
  zones: {description: Availability zones, type: list, elements: str, required: true}
  target_group: {description: Name of the balancer's target group, type: str, required: true}
  instance_type: {description: Instance type, type: str, required: true}
  key_name: {description: Name of the key pair, type: str, required: true}
  instance_profile: {description: Name of the instance profile, type: str, required: true}
  security_group: {description: Name of the instances' security group, type: str, required: true}
  root_device: {description: Device of the root volume in the image, type: str, required: true}
  root_volume_gb: {description: Size of the root volume in GiB, type: int, required: true}
  root_volume_type: {description: Type of the root volume, type: str, required: true}
  source_image: {description: "The vendor's image: pinned, owner, name", type: dict, required: true}
  ssm_prefix: {description: Path of the parameter that names the image in service, type: str, required: true}
  min_size: {description: Lowest number of instances, type: int, required: true}
  desired_size: {description: Number of instances of a group made anew, type: int, required: true}
  max_size: {description: Highest number of instances, type: int, required: true}
  health_check_grace_seconds: {description: Grace period of the balancer's health check, type: int, required: true}
  warmup_seconds: {description: Default instance warmup, type: int, required: true}
  termination_policies: {description: Order in which instances go, type: list, elements: str, required: true}
  maintenance_min_healthy_percent: {description: Instance maintenance policy, type: int, required: true}
  maintenance_max_healthy_percent: {description: Instance maintenance policy, type: int, required: true}
  metrics: {description: Group metrics to collect, type: list, elements: str, required: true}
  target_cpu_percent: {description: Average CPU that scaling keeps, type: int, required: true}
  schedule: {description: Known peaks, type: list, elements: dict, default: []}
  schedule_time_zone: {description: IANA time zone of the peaks, type: str, required: true}
  drain_hook: {description: Name of the lifecycle hook for draining, type: str, required: true}
  drain_timeout_seconds: {description: Seconds that an ending instance may drain, type: int, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the fleet
  checkop_fleet:
    name: AUTOChOp
    network: checkop
    zones: [us-east-1a, us-east-1d]
    target_group: AUTOChOp
    instance_type: t3.xlarge
    key_name: checkop
    instance_profile: checkop-production-fleet
    security_group: checkop-app
    root_device: /dev/sda1
    root_volume_gb: 50
    root_volume_type: gp3
    source_image: {pinned: "", owner: "125523088429", name: "CentOS Linux 7 x86_64 - *"}
    ssm_prefix: /checkop/production
    min_size: 2
    desired_size: 2
    max_size: 4
    health_check_grace_seconds: 180
    warmup_seconds: 60
    termination_policies: [OldestLaunchTemplate]
    maintenance_min_healthy_percent: 100
    maintenance_max_healthy_percent: 150
    metrics: [GroupInServiceInstances]
    target_cpu_percent: 60
    schedule: [{name: peak, recurrence: "0 6 28-31 * *", min_size: 4, desired_size: 4, max_size: 4}]
    schedule_time_zone: America/Bogota
    drain_hook: checkop-drain
    drain_timeout_seconds: 900
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
launch_template_id: {description: Id of the launch template, type: str, returned: success}
in_service: {description: Whether an image is in service, type: bool, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.provision.fleet import ensure_fleet

TEXT = ("name", "network", "target_group", "instance_type", "key_name", "instance_profile", "security_group",
        "root_device", "root_volume_type", "ssm_prefix", "schedule_time_zone", "drain_hook")  # fmt: skip
NUMBERS = ("root_volume_gb", "min_size", "desired_size", "max_size", "health_check_grace_seconds", "warmup_seconds",
           "maintenance_min_healthy_percent", "maintenance_max_healthy_percent", "target_cpu_percent",
           "drain_timeout_seconds")  # fmt: skip
LISTS = ("zones", "termination_policies", "metrics")

SPEC = {
    **{name: {"type": "str", "required": True} for name in TEXT},
    **{name: {"type": "int", "required": True} for name in NUMBERS},
    **{name: {"type": "list", "elements": "str", "required": True} for name in LISTS},
    "key_name": {"type": "str", "required": True, "no_log": False},
    "source_image": {
        "type": "dict",
        "required": True,
        "options": {
            "pinned": {"type": "str", "default": ""},
            "owner": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
        },
    },
    "schedule": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "recurrence": {"type": "str", "required": True},
            "min_size": {"type": "int", "required": True},
            "desired_size": {"type": "int", "required": True},
            "max_size": {"type": "int", "required": True},
        },
    },
}


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), ensure_fleet)
