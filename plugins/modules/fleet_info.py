#!/usr/bin/python
"""Ansible module: what a run has to know of the fleet: the image to start from, and the sizes to set."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Look up the image in service and decide the fleet's sizes
description:
  - Changes nothing. The image is the one in service, else the vendor's CentOS 7.
  - A group without an image in service stays empty until the first release. Sizes that scaling or a scheduled action
    has set since are kept, unless the inventory's own have changed.
options:
  name: {description: Name of the Auto Scaling group, type: str, required: true}
  min_size: {description: Inventory's minimum, type: int, required: true}
  desired_size: {description: Inventory's desired size, type: int, required: true}
  max_size: {description: Inventory's maximum, type: int, required: true}
  scheduled_actions: {description: "The inventory's fleet_scheduled_actions", type: list, elements: dict, default: []}
  source_image: {description: "Vendor's image: pinned (an id, may be empty), owner, name", type: dict, required: true}
  ssm_prefix: {description: Path of the environment's parameters, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Look up image and sizes
  fleet_info:
    name: AUTOChOp
    min_size: 2
    desired_size: 2
    max_size: 4
    source_image: {pinned: "", owner: "125523088429", name: "CentOS Linux 7 x86_64 - *"}
    ssm_prefix: /checkop/production
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
image_id: {description: Image that a new version of the launch template starts from, type: str, returned: success}
in_service: {description: Whether an image is in service, type: bool, returned: success}
sizes: {description: "MinSize, DesiredCapacity and MaxSize", type: dict, returned: success}
remembered: {description: The inventory's limits as the group's tag keeps them, type: str, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.images.source import IN_SERVICE, Source, published_images, source_image
from checkop.module import COMMON, run
from checkop.reconcile import Plan, tag_map
from checkop.resources.group_sizes import Sizes, wanted_sizes
from checkop.resources.kinds import kind_of
from checkop.resources.kinds.autoscaling import SIZES_TAG


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, Any]:
    """Look up and decide."""
    published = published_images(clients.ssm, options["ssm_prefix"])
    in_service = IN_SERVICE in published
    base = Sizes(options["min_size"], options["desired_size"], options["max_size"])
    group = kind_of("autoscaling.group").find(clients.autoscaling, options["name"], {})
    if group:
        peaks = [
            Sizes(*(int(action[f"{word}_size"]) for word in ("min", "desired", "max")))
            for action in options["scheduled_actions"]
        ]
        has = Sizes(group["MinSize"], group["DesiredCapacity"], group["MaxSize"])
        remembered = tag_map(group.get("Tags")).get(SIZES_TAG, "")
        sizes = wanted_sizes(has, remembered, base, peaks, in_service=in_service)
    else:
        sizes = base if in_service else Sizes(0, 0, base.maximum)
    return {
        "image_id": published.get(IN_SERVICE) or source_image(clients.ec2, Source(**options["source_image"])),
        "in_service": in_service,
        "sizes": {"MinSize": sizes.minimum, "DesiredCapacity": sizes.desired, "MaxSize": sizes.maximum},
        "remembered": str(base),
    }


def main() -> None:
    """Run the module."""
    options: dict[str, Any] = {
        **{name: {"type": "str", "required": True} for name in ("name", "ssm_prefix")},
        **{name: {"type": "int", "required": True} for name in ("min_size", "desired_size", "max_size")},
        "scheduled_actions": {"type": "list", "elements": "dict", "default": []},
        "source_image": {"type": "dict", "required": True},
    }
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
