#!/usr/bin/python
"""Ansible module: replace one sick instance. Carried out by the action plugin of the same name."""

DOCUMENTATION = r"""
module: checkop_replace
short_description: Replace one instance of the fleet without losing a request
description:
  - With room below the group's maximum a fresh instance serves in the same zone before the sick one is drained and
    ended; without, the sick one goes first. Meanwhile Auto Scaling does not even out the zones (AZRebalance).
  - Run again after an interruption it goes on where it stood.
options:
  region: {description: Region of the fleet., type: str, required: true}
  settings: {description: The inventory's C(rollout_settings)., type: dict, required: true}
  instance: {description: Id of the instance., type: str, required: true}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Replace a sick instance
  checkop_replace:
    region: "{{ aws_region }}"
    settings: "{{ rollout_settings }}"
    instance: i-0123456789abcdef0
"""

RETURN = r"""
"""
