"""Tests of a builder before it becomes an image. Packer runs them over ssh; an ordinary test run leaves them alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from checkop import inventory

if "CHECKOP_BUILDER_HOST" not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    """The inventory's facts for the environment that the image is baked for."""
    return inventory.load(Path(os.environ["CHECKOP_INVENTORY"]))


@pytest.fixture(scope="session")
def application_version() -> str:
    """The version that the image is to have."""
    return os.environ["CHECKOP_APPLICATION_VERSION"]
