"""Amazon RDS: instance, subnet group, parameter group (Amazon RDS API Reference and user guide)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkop.errors import CheckopError
from checkop.reconcile import tag_list, tag_map
from checkop.resources.kind import Data, Kind, Part, Tags, described, pages

# In these states the database answers and RDS takes changes ("Viewing DB instance status" of the RDS user guide).
USABLE = (
    "available",
    "storage-optimization",
    "backing-up",
    "configuring-log-exports",
    "configuring-enhanced-monitoring",
)
# These end only when somebody does something about them.
STORAGE_FULL = "storage-full"
STUCK = ("failed", "inaccessible-encryption-credentials", "restore-error", "stopped", STORAGE_FULL)
# Properties whose changes may wait for the maintenance window, under their own names in PendingModifiedValues.
WINDOWED = (
    "AllocatedStorage",
    "BackupRetentionPeriod",
    "DBInstanceClass",
    "EngineVersion",
    "Iops",
    "MultiAZ",
    "StorageThroughput",
    "StorageType",
)
# ModifyDBParameterGroup and ResetDBParameterGroup take twenty parameters at most.
PARAMETERS_A_CALL = 20


def _tags(arn: str) -> Tags:
    return Tags(
        create=lambda tags: {"Tags": tag_list(tags)},
        read=lambda client, found: tag_map(client.list_tags_for_resource(ResourceName=found[arn])["TagList"]),
        write=lambda client, found, tags: client.add_tags_to_resource(ResourceName=found[arn], Tags=tag_list(tags)),
    )


def ready(instance: Data) -> tuple[bool, str]:
    """Say whether an instance takes changes and has an endpoint.

    Raises
    ------
    CheckopError
        It is in a state that no waiting ends.
    """
    status = str(instance.get("DBInstanceStatus", "absent"))
    if status in STUCK or status.startswith("incompatible-"):
        raise CheckopError(
            f"RDS instance {instance['DBInstanceIdentifier']} is {status}, and waiting will not change that. Start or "
            "repair it (the RDS console gives the cause; storage-full needs a larger database_allocated_storage_gb), "
            "then run this again."
        )
    return status in USABLE and "Address" in instance.get("Endpoint", {}), status


def settle_instance(current: Data, desired: Data) -> Data:
    """Adjust what is desired to what RDS does by itself.

    Storage autoscaling grows the allocation, which is never shrunk. Minor upgrades raise the version, which is never
    lowered within a major version. The port is not compared: clients read it from SSM. A failover swaps the zones.
    Values that wait for the maintenance window count as reached, unless ``ApplyImmediately`` is true: these, and
    whatever else waits, are applied with the next change, so they are a difference of their own.
    """
    at_once = bool(desired.get("ApplyImmediately"))
    pending = current.get("PendingModifiedValues", {})
    settled = {name: value for name, value in desired.items() if name != "Port"}
    if current["MultiAZ"]:
        settled.pop("AvailabilityZone", None)
    if "AllocatedStorage" in settled:
        settled["AllocatedStorage"] = max(int(_pending("AllocatedStorage")(current)), settled["AllocatedStorage"])
    if "EngineVersion" in settled:
        settled["EngineVersion"] = _version(str(_pending("EngineVersion")(current)), settled["EngineVersion"])
    if "PreferredMaintenanceWindow" in settled:
        settled["PreferredMaintenanceWindow"] = settled["PreferredMaintenanceWindow"].lower()
    if at_once and pending and current.get("DBInstanceStatus") == "available":
        settled["PendingModifiedValues"] = {}
    return settled


def _version(current: str, desired: str) -> str:
    """Return the version to run: a release of the same major version that is not older counts as met."""
    return current if _major(current) == _major(desired) and _numbers(current) >= _numbers(desired) else desired


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _major(version: str) -> str:
    """Return MySQL's major version: the first two numbers."""
    return ".".join(version.split(".")[:2])


def _pending(name: str) -> Any:
    return lambda current: {**current, **current.get("PendingModifiedValues", {})}.get(name)


def _log_exports(current: Data) -> list[str]:
    pending = current.get("PendingModifiedValues", {}).get("PendingCloudwatchLogsExports", {})
    logs = {*current.get("EnabledCloudwatchLogsExports", ()), *pending.get("LogTypesToEnable", ())}
    return sorted(logs - set(pending.get("LogTypesToDisable", ())))


def modification(changed: Data, current: Data) -> Data:
    """Turn what differs into parameters of ModifyDBInstance."""
    renamed = ("EnableCloudwatchLogsExports", "PendingModifiedValues")
    request = {name: value for name, value in changed.items() if name not in renamed}
    if "PendingModifiedValues" in changed:
        pending = current["PendingModifiedValues"]
        request = {name: pending[name] for name in WINDOWED if name in pending} | request
    if "EnableCloudwatchLogsExports" in changed:
        before, after = set(_log_exports(current)), set(changed["EnableCloudwatchLogsExports"])
        request["CloudwatchLogsExportConfiguration"] = {
            "EnableLogTypes": sorted(after - before),
            "DisableLogTypes": sorted(before - after),
        }
    if "EngineVersion" in changed and _major(changed["EngineVersion"]) != _major(current["EngineVersion"]):
        request["AllowMajorVersionUpgrade"] = True
    return request


def _cure(changed: Data, current: Data) -> Data:
    """More storage cures a full database, which serves nobody: no window is waited for."""
    full = current.get("DBInstanceStatus") == STORAGE_FULL
    return {"ApplyImmediately": True} if full and "AllocatedStorage" in changed else {}


def _read_parameters(client: Any, group: Data) -> dict[str, str]:
    listed = pages(
        client,
        "describe_db_parameters",
        "Parameters",
        DBParameterGroupName=group["DBParameterGroupName"],
        Source="user",
    )
    return {item["ParameterName"]: item.get("ParameterValue", "") for item in listed}


def _write_parameters(client: Any, group: Data, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Set what differs, at once where the engine allows it and with the next reboot where it does not."""
    name = group["DBParameterGroupName"]
    known = pages(client, "describe_db_parameters", "Parameters", DBParameterGroupName=name)
    dynamic = {item["ParameterName"] for item in known if item.get("ApplyType") == "dynamic"}

    def entry(key: str) -> Data:
        return {"ParameterName": key, "ApplyMethod": "immediate" if key in dynamic else "pending-reboot"}

    changed = [entry(key) | {"ParameterValue": value} for key, value in after.items() if before.get(key) != value]
    dropped = [entry(key) for key in before if key not in after]
    for modify, entries in ((client.modify_db_parameter_group, changed), (client.reset_db_parameter_group, dropped)):
        for start in range(0, len(entries), PARAMETERS_A_CALL):
            modify(DBParameterGroupName=name, Parameters=entries[start : start + PARAMETERS_A_CALL])


KINDS: Mapping[str, Kind] = {
    "rds.db_subnet_group": Kind(
        label="RDS subnet group",
        service="rds",
        find=described(
            "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName", "DBSubnetGroupNotFoundFault"
        ),
        create="create_db_subnet_group",
        update="modify_db_subnet_group",
        delete="delete_db_subnet_group",
        key="DBSubnetGroupName",
        identifier="DBSubnetGroupName",
        name_tag=False,
        tags=_tags("DBSubnetGroupArn"),
        reads={"SubnetIds": lambda found: [subnet["SubnetIdentifier"] for subnet in found["Subnets"]]},
    ),
    "rds.db_parameter_group": Kind(
        label="RDS parameter group",
        service="rds",
        find=described(
            "describe_db_parameter_groups",
            "DBParameterGroups",
            "DBParameterGroupName",
            "DBParameterGroupNotFound",
            "DBParameterGroupNotFoundFault",
        ),
        create="create_db_parameter_group",
        delete="delete_db_parameter_group",
        key="DBParameterGroupName",
        identifier="DBParameterGroupName",
        name_tag=False,
        tags=_tags("DBParameterGroupArn"),
        remedy="RDS upgrades the engine with a parameter group of the new family: name a new one.",
        parts={"Parameters": Part(_read_parameters, _write_parameters)},
    ),
    "rds.db_instance": Kind(
        label="RDS instance",
        service="rds",
        find=described(
            "describe_db_instances",
            "DBInstances",
            "DBInstanceIdentifier",
            "DBInstanceNotFound",
            "DBInstanceNotFoundFault",
        ),
        create="create_db_instance",
        update="modify_db_instance",
        delete="delete_db_instance",
        key="DBInstanceIdentifier",
        identifier="DBInstanceIdentifier",
        tags=_tags("DBInstanceArn"),
        # The update call's Engine is for other engines' conversions, its subnet group for a move to another VPC.
        replaces=("Engine", "DBSubnetGroupName"),
        remedy="Restore a snapshot into a new instance with these properties, then swap the identifiers.",
        options=("ApplyImmediately",),
        changeable=("EnableCloudwatchLogsExports", "PendingModifiedValues"),
        reads={
            **{name: _pending(name) for name in WINDOWED},
            "DBSubnetGroupName": lambda found: found["DBSubnetGroup"]["DBSubnetGroupName"],
            "DBParameterGroupName": lambda found: found["DBParameterGroups"][0]["DBParameterGroupName"],
            "EnableCloudwatchLogsExports": _log_exports,
            "EnablePerformanceInsights": lambda found: found.get("PerformanceInsightsEnabled"),
            "VpcSecurityGroupIds": lambda found: [
                group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"] if group.get("Status") != "removing"
            ],
        },
        settle=settle_instance,
        request=modification,
        urgent=_cure,
        serves=lambda found: "Address" in found.get("Endpoint", {}),
        ready=ready,
    ),
}
