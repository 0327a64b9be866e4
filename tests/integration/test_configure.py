"""Configuring living hosts: what would do nothing is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook


@pytest.mark.parametrize("group", ["base_chop", "autchop"])
def test_a_group_without_a_host_is_refused(cloud: Cloud, playbook: Playbook, group: str) -> None:
    cloud.reset()
    recap = playbook("configure", "-e", f"host_group={group}")
    assert recap.returncode != 0
    assert f"host_group is '{group}'" in " ".join(recap.output.split())


@pytest.mark.parametrize("given", ["imge=latest", '{"imge": "latest"}'])
def test_a_variable_that_nothing_reads_is_refused_in_each_form(cloud: Cloud, playbook: Playbook, given: str) -> None:
    cloud.reset()
    recap = playbook("configure", "-e", given)
    assert recap.returncode != 0
    assert "Write image" in recap.output
