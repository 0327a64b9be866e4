"""Everything that an instance needs starts by itself."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("name", ["sshd"])
def test_service_starts_at_boot(host: Any, name: str) -> None:
    assert host.service(name).is_enabled
