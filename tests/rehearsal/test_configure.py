"""Living hosts: what the image brought is what the roles want, and a host without a release is refused."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.rehearsal import changed_tasks

pytestmark = pytest.mark.rehearsal


def test_roles_find_nothing_to_change_on_instances_of_the_image(service):
    assert changed_tasks(service.play("configure", host_group="autochop")) == 0
    assert {len(images) for images in service.serving().values()} == {1}


def test_a_hub_that_would_have_no_release_is_refused_with_the_mend(service):
    with pytest.raises(LabError, match=r"/opt/checkop/current does not exist .* Name the first release whole"):
        service.play("configure")
