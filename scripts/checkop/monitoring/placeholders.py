"""Words in braces that stand for what CloudWatch calls a resource, in the dimensions of alarms."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KNOWN = ("balancer", "target_group", "fleet", "database", "file_system", "hub")


def placeholders(values: Iterable[str]) -> set[str]:
    """Return the names in braces that occur in the values, ``{"balancer"}`` for ``["{balancer}"]``."""
    return {name for value in values for _, name, _, _ in string.Formatter().parse(value) if name}


def fill(dimensions: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Put the values in the place of the placeholders."""
    return {name: value.format_map(values) for name, value in dimensions.items()}
