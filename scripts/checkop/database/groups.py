"""The database's subnet group and parameter group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.reconcile import present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBParameterGroupTypeDef

    from checkop.reconcile import Plan

# RDS ModifyDBParameterGroup and ResetDBParameterGroup take twenty parameters at most.
BATCH = 20


def subnet_group(rds: RDSClient, plan: Plan, name: str, subnet_ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Make the subnet group span the given subnets (RDS CreateDBSubnetGroup, ModifyDBSubnetGroup)."""
    resource = f"RDS subnet group {name}"
    description = "Data subnets of CheckOP"
    after = {"subnets": sorted(subnet_ids), "tags": dict(tags)}
    try:
        group = rds.describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "DBSubnetGroupNotFoundFault":
            raise
        plan.step(
            resource,
            None,
            after,
            lambda: rds.create_db_subnet_group(
                DBSubnetGroupName=name,
                DBSubnetGroupDescription=description,
                SubnetIds=list(subnet_ids),
                Tags=tag_list(tags),
            ),
        )
        return
    arn = group["DBSubnetGroupArn"]
    current_tags = tag_map(rds.list_tags_for_resource(ResourceName=arn)["TagList"])
    ownership.require(plan, resource, current_tags, tags)
    plan.step(
        resource,
        {"subnets": sorted(subnet["SubnetIdentifier"] for subnet in group["Subnets"])},
        {"subnets": after["subnets"]},
        lambda: rds.modify_db_subnet_group(
            DBSubnetGroupName=name, DBSubnetGroupDescription=description, SubnetIds=list(subnet_ids)
        ),
    )
    _tags(rds, plan, (resource, arn), current_tags, tags)


def parameter_group(
    rds: RDSClient,
    plan: Plan,
    name: str,
    *,
    family: str,
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
) -> None:
    """Make the parameter group hold exactly the given parameters beside the engine's defaults."""
    resource = f"RDS parameter group {name}"
    wanted = {key: str(value) for key, value in parameters.items()}
    group = _find_parameter_group(rds, name)
    if group is None:
        plan.step(
            resource,
            None,
            {"family": family, "parameters": wanted, "tags": dict(tags)},
            lambda: _create_parameter_group(rds, name, family, wanted, tags),
        )
        return
    arn = group["DBParameterGroupArn"]
    current_tags = tag_map(rds.list_tags_for_resource(ResourceName=arn)["TagList"])
    ownership.require(plan, resource, current_tags, tags)
    plan.fixed(
        f"{resource}: family",
        {"family": group["DBParameterGroupFamily"]},
        {"family": family},
        "RDS upgrades the engine with a parameter group of the new family: name a new one.",
    )
    current = {
        parameter["ParameterName"]: parameter.get("ParameterValue", "")
        for page in rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=name, Source="user")
        for parameter in page["Parameters"]
    }
    plan.step(f"{resource}: parameters", current, wanted, lambda: _set_parameters(rds, name, current, wanted))
    _tags(rds, plan, (resource, arn), current_tags, tags)


def _find_parameter_group(rds: RDSClient, name: str) -> DBParameterGroupTypeDef | None:
    try:
        groups = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"):
            return None
        raise
    return groups[0] if groups else None


def _create_parameter_group(
    rds: RDSClient, name: str, family: str, wanted: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    rds.create_db_parameter_group(
        DBParameterGroupName=name,
        DBParameterGroupFamily=family,
        Description="Parameters of CheckOP",
        Tags=tag_list(tags),
    )
    _set_parameters(rds, name, {}, wanted)


def _set_parameters(rds: RDSClient, name: str, current: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Set what differs, at once where the engine allows it and with the next reboot where it does not."""
    dynamic = {
        parameter["ParameterName"]
        for page in rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=name)
        for parameter in page["Parameters"]
        if parameter.get("ApplyType") == "dynamic"
    }

    def entry(key: str) -> dict[str, Any]:
        return {"ParameterName": key, "ApplyMethod": "immediate" if key in dynamic else "pending-reboot"}

    changed = [entry(key) | {"ParameterValue": value} for key, value in wanted.items() if current.get(key) != value]
    for start in range(0, len(changed), BATCH):
        rds.modify_db_parameter_group(
            DBParameterGroupName=name,
            Parameters=changed[start : start + BATCH],  # type: ignore[arg-type]
        )
    dropped = [entry(key) for key in current if key not in wanted]
    for start in range(0, len(dropped), BATCH):
        rds.reset_db_parameter_group(
            DBParameterGroupName=name,
            Parameters=dropped[start : start + BATCH],  # type: ignore[arg-type]
        )


def _tags(
    rds: RDSClient, plan: Plan, group: tuple[str, str], current: Mapping[str, str], wanted: Mapping[str, str]
) -> None:
    resource, arn = group
    plan.step(
        f"{resource}: tags",
        present_tags(current, wanted),
        dict(wanted),
        lambda: rds.add_tags_to_resource(ResourceName=arn, Tags=tag_list(wanted)),
    )
