#!/usr/bin/python
"""Ansible module: bring an earlier release back. Carried out by the action plugin of the same name."""

DOCUMENTATION = r"""
module: checkop_rollback
short_description: Bring an earlier release back, as fast as instances can be replaced
description:
  - Takes a rollout under way back first (RollbackInstanceRefresh), whoever began it.
  - Proves that the release's AMI, its snapshots and its launch template version still exist before anything is changed.
  - Check mode ends after the proof and the forecast.
options:
  region: {description: Region of the fleet., type: str, required: true}
  settings: {description: The inventory's C(rollout_settings)., type: dict, required: true}
  release: {description: 'Number of the release to bring back; empty: the last good one.', type: str, default: ''}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Bring the last good release back
  checkop_rollback:
    region: "{{ aws_region }}"
    settings: "{{ rollout_settings }}"
"""

RETURN = r"""
release: {description: Number of the release that this rollback is., type: str, returned: when one was begun}
result: {description: 'C(succeeded), C(rolled_back), C(aborted) or C(failed).', type: str, returned: with release}
image: {description: The release's image., type: str, returned: with release}
forecast: {description: Steps and seconds., type: list, elements: str, returned: when something is to be done}
"""
