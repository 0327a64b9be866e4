"""Ansible filters: packages at the versions of the lock."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_EPOCH = re.compile(r"^\d+:")


def locked(names: list[str], versions: dict[str, str]) -> list[str]:
    """Return packages as rpm and yum name them, with version and release where the lock has them.

    Args:
        names: package names.
        versions: package name -> [epoch:]version-release. rpm's queries know no epoch, so it is left out.
    """
    return [f"{name}-{_EPOCH.sub('', versions[name])}" if name in versions else name for name in names]


def missing(wanted: list[str], answer: list[str]) -> list[str]:
    """Return the packages that `rpm --query` (in the C locale) says are not installed.

    Args:
        wanted: packages as they were asked for.
        answer: lines of rpm's output.
    """
    return [name for name in wanted if f"package {name} is not installed" in answer]


class FilterModule:
    """Filters of packages."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"checkop_locked": locked, "checkop_missing": missing}
