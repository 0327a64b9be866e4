"""Tags in the two shapes that AWS APIs use, and the mark of ownership."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENVIRONMENT_TAG = "checkop:environment"
MANAGED_BY_TAG = "checkop:managed-by"


def as_list(tags: Mapping[str, str]) -> list[Any]:
    """Turn a mapping into AWS's list of ``{"Key": ..., "Value": ...}``."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def as_dict(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Turn AWS's list of ``{"Key": ..., "Value": ...}`` into a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def relevant(current: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the current values of the tags that are wanted; others belong to somebody else and are left alone."""
    return {key: current[key] for key in wanted if key in current}


def owned(tags: Mapping[str, str], environment: str, managed_by: str) -> bool:
    """Say whether a resource carries this environment's marks of ownership."""
    return tags.get(ENVIRONMENT_TAG) == environment and tags.get(MANAGED_BY_TAG) == managed_by
