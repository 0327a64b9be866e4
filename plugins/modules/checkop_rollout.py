#!/usr/bin/python
"""Ansible module: put an image into service. Carried out by the action plugin of the same name."""

DOCUMENTATION = r"""
module: checkop_rollout
short_description: Put an AMI into service on the fleet without losing a request
description:
  - Checks that the rollout can go well, forecasts it, makes a numbered launch template version with the image, and has
    EC2 Auto Scaling replace the instances (StartInstanceRefresh), with checks through the balancer at every checkpoint.
  - Shows its progress on the terminal while it runs. Auto Scaling does the work, so that the terminal may go away; the
    same task run again attaches to the release under way and finishes it.
  - An image that is in service already changes nothing. Check mode ends after the forecast.
options:
  region: {description: Region of the fleet., type: str, required: true}
  settings: {description: The inventory's C(rollout_settings)., type: dict, required: true}
  image: {description: AMI id, or C(latest) for the newest verified one., type: str, default: latest}
  pause:
    description: With C(manual) each checkpoint waits for C(checkop rollout continue) or C(checkop rollout abort).
    type: str
    choices: [automatic, manual]
  strategy:
    description: C(blue_green) brings up a second group and moves the traffic by weight.
    type: str
    choices: [rolling, blue_green]
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Roll out the newest verified image
  checkop_rollout:
    region: "{{ aws_region }}"
    settings: "{{ rollout_settings }}"
"""

RETURN = r"""
release: {description: Number of the release., type: str, returned: when one was begun or finished}
result: {description: 'C(succeeded), C(rolled_back), C(aborted) or C(failed).', type: str, returned: with release}
image: {description: The release's image., type: str, returned: with release}
forecast: {description: Steps and seconds., type: list, elements: str, returned: when something is to be done}
"""
