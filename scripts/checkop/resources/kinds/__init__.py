"""The rows of the resource table, a file a service."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.resources.kinds import autoscaling, ec2, elbv2, iam, rds, s3

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checkop.resources.kind import Kind

KINDS: Mapping[str, Kind] = {
    **autoscaling.KINDS,
    **ec2.KINDS,
    **elbv2.KINDS,
    **iam.KINDS,
    **rds.KINDS,
    **s3.KINDS,
}


def kind_of(type_name: str) -> Kind:
    """Return the row of a kind such as ``rds.db_instance``.

    Raises
    ------
    CheckopError
        There is none; the message has the nearest names.
    """
    try:
        return KINDS[type_name]
    except KeyError:
        near = difflib.get_close_matches(type_name, KINDS, 3, 0.4) or sorted(KINDS)
        raise CheckopError(f"{type_name} is not a kind of resource known here; known are {', '.join(near)}.") from None
