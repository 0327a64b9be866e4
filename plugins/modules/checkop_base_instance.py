#!/usr/bin/python
"""Ansible module: make Base ChOp, the hub instance, true."""

DOCUMENTATION = r"""
module: checkop_base_instance
short_description: Make the hub instance and give it its Elastic IP address
description:
  - Finds the instance by name and ownership tag; launches it when there is none, and never replaces one that exists.
  - A new hub starts from the image in service, else the newest verified one, else the vendor's.
  - Follows the EC2 API (RunInstances, ModifyInstanceAttribute, ModifyVolume, AssociateAddress).
options:
  name: {description: Name of the instance, type: str, required: true}
  network: {description: Name of the VPC, type: str, required: true}
  zone: {description: Availability zone, type: str, required: true}
  instance_type: {description: Instance type, type: str, required: true}
  key_name: {description: Name of the key pair, type: str, required: true}
  instance_profile: {description: Name of the instance profile, type: str, required: true}
  security_group: {description: Name of the security group, type: str, required: true}
  root_device: {description: Device of the root volume in the image, type: str, required: true}
  root_volume_gb: {description: Size of the root volume in GiB, type: int, required: true}
  root_volume_type: {description: Type of the root volume, type: str, required: true}
  source_image: {description: "The vendor's image: pinned, owner, name", type: dict, required: true}
  ssm_prefix: {description: Path of the parameters that name images, type: str, required: true}
  termination_protection: {description: Refuse to terminate it, type: bool, default: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make Base ChOp
  checkop_base_instance:
    name: Base ChOp
    network: checkop
    zone: us-east-1a
    instance_type: t3.xlarge
    key_name: checkop
    instance_profile: checkop-production-hub
    security_group: checkop-base
    root_device: /dev/sda1
    root_volume_gb: 50
    root_volume_type: gp3
    source_image: {pinned: "", owner: "125523088429", name: "CentOS Linux 7 x86_64 - *"}
    ssm_prefix: /checkop/production
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
instance_id: {description: Id of the instance, type: str, returned: success}
public_ip: {description: Its Elastic IP address, type: str, returned: success}
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.resources.base_instance import converge

TEXT = ("name", "network", "zone", "instance_type", "key_name", "instance_profile", "security_group", "root_device",
        "root_volume_type", "ssm_prefix")  # fmt: skip

SPEC = {
    **{name: {"type": "str", "required": True} for name in TEXT},
    "key_name": {"type": "str", "required": True, "no_log": False},
    "root_volume_gb": {"type": "int", "required": True},
    "termination_protection": {"type": "bool", "default": True},
    "source_image": {
        "type": "dict",
        "required": True,
        "options": {
            "pinned": {"type": "str", "default": ""},
            "owner": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
        },
    },
}


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), converge)
