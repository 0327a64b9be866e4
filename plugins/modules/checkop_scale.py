#!/usr/bin/python
"""Ansible module: give the fleet another size. Carried out by the action plugin of the same name."""

DOCUMENTATION = r"""
module: checkop_scale
short_description: Give the fleet another number of instances, and wait until they serve
description:
  - Forecasts time and cost, sets the desired capacity (SetDesiredCapacity) and waits until every zone is served.
  - Refuses a size outside of the bounds, one that leaves a zone empty, and any while a release is under way.
options:
  region: {description: Region of the fleet., type: str, required: true}
  settings: {description: The inventory's C(rollout_settings)., type: dict, required: true}
  size: {description: Wanted number of instances., type: int, required: true}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Prepare for a peak
  checkop_scale:
    region: "{{ aws_region }}"
    settings: "{{ rollout_settings }}"
    size: 4
"""

RETURN = r"""
forecast: {description: Time and cost., type: list, elements: str, returned: when something is to be done}
"""
