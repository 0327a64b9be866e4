"""Whose a resource is: an environment never changes what another environment, or nobody, has marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checkop.reconcile import Plan

ENVIRONMENT_TAG = "checkop:environment"
MANAGED_BY_TAG = "checkop:managed-by"


def owned(current: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Say whether a resource with these tags carries the marks of the environment whose ``aws_tags`` are given."""
    return all(current.get(name) == wanted[name] for name in (ENVIRONMENT_TAG, MANAGED_BY_TAG))


def require(plan: Plan, resource: str, current: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Prove that a resource found by its name is this environment's.

    Parameters
    ----------
    plan:
        A check notes a missing mark as a difference; a real run refuses.
    resource:
        What it is and its name.
    current, wanted:
        Its tags and the inventory's ``aws_tags``.

    Raises
    ------
    CheckopError
        The resource is another environment's, or (real run) carries no mark of ownership.
    """
    environment = wanted[ENVIRONMENT_TAG]
    other = current.get(ENVIRONMENT_TAG)
    if other not in (None, environment):
        raise CheckopError(
            f"{resource} belongs to environment {other!r}, and this inventory describes {environment!r}. Give this "
            "inventory a checkop_name_suffix of its own, for example '-staging'."
        )
    marks = {name: wanted[name] for name in (ENVIRONMENT_TAG, MANAGED_BY_TAG)}
    if any(current.get(name) != value for name, value in marks.items()) and not plan.check:
        raise CheckopError(
            f"{resource} exists but does not carry the tags "
            f"{', '.join(f'{name}={value}' for name, value in marks.items())}. If it is to be managed from here, put "
            "these tags on it once by hand; if not, choose another name in the inventory."
        )
