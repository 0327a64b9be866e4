"""SSM parameters that tell hosts and later plays what AWS decided: ids, addresses, ARNs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.errors import CheckopError
from checkop.reconcile import UNKNOWN, present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ssm import SSMClient

    from checkop.reconcile import Plan

# SSM GetParameters takes ten names at most.
BATCH = 10


def current_values(ssm: SSMClient, names: list[str]) -> dict[str, str]:
    """Read parameters by full name (SSM GetParameters); those that do not exist are left out."""
    found: dict[str, str] = {}
    for start in range(0, len(names), BATCH):
        answer = ssm.get_parameters(Names=names[start : start + BATCH])
        found.update({parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]})
    return found


def reconcile(ssm: SSMClient, plan: Plan, prefix: str, wanted: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Write String parameters below a prefix, each only where value or tags differ.

    Follows SSM PutParameter: tags can be given only with a new parameter, so those of an existing one are added apart.

    Parameters
    ----------
    ssm:
        The SSM client.
    plan:
        Notes and applies.
    prefix:
        Path without a slash at its end, for example ``/checkop/production``.
    wanted:
        Name below the prefix to value; an empty value is one that AWS has not given yet, as in a check from nothing.
    tags:
        Tags of ownership.

    Raises
    ------
    CheckopError
        A value is empty in a real run.
    """
    empty = sorted(name for name, value in wanted.items() if not value)
    if empty and not plan.check:
        raise CheckopError(
            f"No value for SSM parameters {', '.join(empty)} below {prefix}, which take any text but an empty one. The "
            "task that was to find them comes before this one in the play: see what it returned with -vv."
        )
    full = {f"{prefix}/{name}": value or UNKNOWN for name, value in wanted.items()}
    current = current_values(ssm, list(full))
    for name, value in full.items():
        existing_tags = {}
        if name in current:
            answer = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
            existing_tags = tag_map(answer["TagList"])
        plan.step(
            f"SSM parameter {name}",
            {"value": current[name], "tags": present_tags(existing_tags, tags)} if name in current else None,
            {"value": value, "tags": dict(tags)},
            lambda name=name, value=value: _put(ssm, name, value, tags, exists=name in current),  # type: ignore[misc]
        )


def _put(ssm: SSMClient, name: str, value: str, tags: Mapping[str, str], *, exists: bool) -> None:
    if not exists:
        ssm.put_parameter(Name=name, Value=value, Type="String", Tags=tag_list(tags))
        return
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=tag_list(tags))
