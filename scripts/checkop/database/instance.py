"""Make dbprogressus what the inventory says, in RDS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.errors import CheckopError
from checkop.reconcile import present_tags, tag_list, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_rds import RDSClient

    from checkop.reconcile import Plan

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


@dataclass(frozen=True)
class Instance:
    """The DB instance as wanted; names and units are those of RDS ModifyDBInstance (GB, days, UTC windows)."""

    identifier: str
    engine: str
    engine_version: str
    instance_class: str
    zone: str
    multi_az: bool
    storage_type: str
    allocated_storage_gb: int
    max_allocated_storage_gb: int
    backup_retention_days: int
    backup_window: str
    maintenance_window: str
    deletion_protection: bool
    log_exports: Sequence[str]
    port: int
    schema: str
    username: str
    subnet_group: str
    parameter_group: str
    security_group_id: str
    apply_immediately: bool
    wait_seconds: int
    tags: Mapping[str, str]

    @property
    def all_tags(self) -> dict[str, str]:
        """Tags of ownership and the name."""
        return {**self.tags, "Name": self.identifier}


def find(rds: RDSClient, identifier: str) -> dict[str, Any] | None:
    """Find the DB instance (RDS DescribeDBInstances); None where there is none."""
    try:
        return dict(rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            return None
        raise


def fixed_attributes(instance: Mapping[str, Any], wanted: Instance) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes that RDS cannot change in place, as they are and as wanted."""
    before = {
        "engine": instance["Engine"],
        "encrypted": instance["StorageEncrypted"],
        "schema": instance.get("DBName"),
        "username": instance["MasterUsername"],
        "subnet_group": instance["DBSubnetGroup"]["DBSubnetGroupName"],
    }
    after = {
        "engine": wanted.engine,
        "encrypted": True,
        "schema": wanted.schema,
        "username": wanted.username,
        "subnet_group": wanted.subnet_group,
    }
    # With a standby in the other zone, a failover may have swapped the two.
    if not wanted.multi_az and not instance["MultiAZ"]:
        before["zone"] = instance.get("AvailabilityZone")
        after["zone"] = wanted.zone
    return before, after


def changeable_attributes(instance: Mapping[str, Any], wanted: Instance) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes that RDS can change, as they are (or will be, where a change is pending) and as wanted.

    Storage that autoscaling has grown is never shrunk: the larger of both counts as wanted. A version such as ``8.0``
    is met by every release of it. The port is not compared: clients read it from SSM as RDS gives it.
    """
    state = {**instance, **instance.get("PendingModifiedValues", {})}
    pending_logs = state.get("PendingCloudwatchLogsExports", {})
    logs = set(instance.get("EnabledCloudwatchLogsExports", [])) | set(pending_logs.get("LogTypesToEnable", []))
    version = str(state["EngineVersion"])
    same_version = version == wanted.engine_version or version.startswith(f"{wanted.engine_version}.")
    allocated = int(state["AllocatedStorage"])
    before = {
        "engine_version": version,
        "instance_class": state["DBInstanceClass"],
        "multi_az": state["MultiAZ"],
        "storage_type": state["StorageType"],
        "allocated_storage_gb": allocated,
        "max_allocated_storage_gb": state.get("MaxAllocatedStorage"),
        "backup_retention_days": state["BackupRetentionPeriod"],
        "backup_window": state["PreferredBackupWindow"],
        "maintenance_window": state["PreferredMaintenanceWindow"],
        "deletion_protection": state["DeletionProtection"],
        "copy_tags_to_snapshot": state.get("CopyTagsToSnapshot", False),
        "publicly_accessible": state["PubliclyAccessible"],
        "auto_minor_version_upgrade": state["AutoMinorVersionUpgrade"],
        "log_exports": sorted(logs - set(pending_logs.get("LogTypesToDisable", []))),
        "parameter_group": state["DBParameterGroups"][0]["DBParameterGroupName"],
        "security_groups": sorted(
            group["VpcSecurityGroupId"] for group in state["VpcSecurityGroups"] if group.get("Status") != "removing"
        ),
    }
    after = {
        "engine_version": version if same_version else wanted.engine_version,
        "instance_class": wanted.instance_class,
        "multi_az": wanted.multi_az,
        "storage_type": wanted.storage_type,
        "allocated_storage_gb": max(allocated, wanted.allocated_storage_gb),
        "max_allocated_storage_gb": wanted.max_allocated_storage_gb,
        "backup_retention_days": wanted.backup_retention_days,
        "backup_window": wanted.backup_window,
        "maintenance_window": wanted.maintenance_window.lower(),
        "deletion_protection": wanted.deletion_protection,
        "copy_tags_to_snapshot": True,
        "publicly_accessible": False,
        "auto_minor_version_upgrade": True,
        "log_exports": sorted(wanted.log_exports),
        "parameter_group": wanted.parameter_group,
        "security_groups": [wanted.security_group_id],
    }
    return before, after


# Attribute of ours to the parameter of CreateDBInstance and ModifyDBInstance.
API_NAMES = {
    "engine_version": "EngineVersion",
    "instance_class": "DBInstanceClass",
    "multi_az": "MultiAZ",
    "storage_type": "StorageType",
    "allocated_storage_gb": "AllocatedStorage",
    "max_allocated_storage_gb": "MaxAllocatedStorage",
    "backup_retention_days": "BackupRetentionPeriod",
    "backup_window": "PreferredBackupWindow",
    "maintenance_window": "PreferredMaintenanceWindow",
    "deletion_protection": "DeletionProtection",
    "copy_tags_to_snapshot": "CopyTagsToSnapshot",
    "publicly_accessible": "PubliclyAccessible",
    "auto_minor_version_upgrade": "AutoMinorVersionUpgrade",
    "parameter_group": "DBParameterGroupName",
    "security_groups": "VpcSecurityGroupIds",
}


def modification(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Build the parameters of ModifyDBInstance from what differs."""
    request: dict[str, Any] = {
        API_NAMES[name]: value for name, value in after.items() if name in API_NAMES and before[name] != value
    }
    if before["log_exports"] != after["log_exports"]:
        enable = sorted(set(after["log_exports"]) - set(before["log_exports"]))
        disable = sorted(set(before["log_exports"]) - set(after["log_exports"]))
        request["CloudwatchLogsExportConfiguration"] = {"EnableLogTypes": enable, "DisableLogTypes": disable}
    if _major(before["engine_version"]) != _major(after["engine_version"]):
        request["AllowMajorVersionUpgrade"] = True
    return request


def _major(version: str) -> str:
    """Return MySQL's major version: the first two numbers."""
    return ".".join(version.split(".")[:2])


def creation(wanted: Instance, password: str) -> dict[str, Any]:
    """Build the parameters of CreateDBInstance."""
    request = {
        "DBInstanceIdentifier": wanted.identifier,
        "Engine": wanted.engine,
        "EngineVersion": wanted.engine_version,
        "DBInstanceClass": wanted.instance_class,
        "MultiAZ": wanted.multi_az,
        "StorageType": wanted.storage_type,
        "AllocatedStorage": wanted.allocated_storage_gb,
        "MaxAllocatedStorage": wanted.max_allocated_storage_gb,
        "StorageEncrypted": True,
        "BackupRetentionPeriod": wanted.backup_retention_days,
        "PreferredBackupWindow": wanted.backup_window,
        "PreferredMaintenanceWindow": wanted.maintenance_window,
        "DeletionProtection": wanted.deletion_protection,
        "CopyTagsToSnapshot": True,
        "PubliclyAccessible": False,
        "AutoMinorVersionUpgrade": True,
        "EnableCloudwatchLogsExports": list(wanted.log_exports),
        "DBParameterGroupName": wanted.parameter_group,
        "DBSubnetGroupName": wanted.subnet_group,
        "VpcSecurityGroupIds": [wanted.security_group_id],
        "Port": wanted.port,
        "DBName": wanted.schema,
        "MasterUsername": wanted.username,
        "MasterUserPassword": password,
        "Tags": tag_list(wanted.all_tags),
    }
    # RDS chooses both zones itself where there is a standby, and refuses one that is named.
    return request if wanted.multi_az else {**request, "AvailabilityZone": wanted.zone}


def reconcile(
    rds: RDSClient, plan: Plan, wanted: Instance, found: Mapping[str, Any] | None, password: str
) -> dict[str, str]:
    """Make the DB instance, wait until it answers, and say where.

    Parameters
    ----------
    rds:
        The RDS client.
    plan:
        Records and applies.
    wanted:
        The instance as wanted.
    found:
        The instance as `find` gave it.
    password:
        Master password for a new instance.

    Returns
    -------
    dict[str, str]
        ``endpoint`` and ``port``; empty text where a check found none.
    """
    resource = f"RDS instance {wanted.identifier}"
    if found is None:
        shown = {name: value for name, value in creation(wanted, "").items() if name != "MasterUserPassword"}
        plan.step(resource, None, shown, lambda: rds.create_db_instance(**creation(wanted, password)))
    else:
        tags = tag_map(found.get("TagList"))
        ownership.require(plan, resource, tags, wanted.tags)
        plan.fixed(
            resource,
            *fixed_attributes(found, wanted),
            "Restore a snapshot into a new instance with these attributes, then swap the identifiers.",
        )
        before, after = changeable_attributes(found, wanted)
        plan.step(resource, before, after, lambda: _modify(rds, wanted, modification(before, after)))
        plan.step(
            f"{resource}: tags",
            present_tags(tags, wanted.all_tags),
            wanted.all_tags,
            lambda: rds.add_tags_to_resource(ResourceName=found["DBInstanceArn"], Tags=tag_list(wanted.all_tags)),
        )
    # One that answers already is not waited for, whatever AWS is doing with it just now.
    if not plan.check and "Address" not in (found or {}).get("Endpoint", {}):
        await_usable(rds, wanted.identifier, wanted.wait_seconds)
    endpoint = (find(rds, wanted.identifier) or {}).get("Endpoint", {})
    return {"endpoint": endpoint.get("Address", ""), "port": str(endpoint.get("Port", ""))}


def _modify(rds: RDSClient, wanted: Instance, request: Mapping[str, Any]) -> None:
    status = (find(rds, wanted.identifier) or {}).get("DBInstanceStatus")
    # More storage is the cure of a full one, which serves nobody: no window is waited for.
    cure = status == STORAGE_FULL and "AllocatedStorage" in request
    if not cure:
        await_usable(rds, wanted.identifier, wanted.wait_seconds)
    at_once = cure or wanted.apply_immediately
    rds.modify_db_instance(DBInstanceIdentifier=wanted.identifier, ApplyImmediately=at_once, **request)


def await_usable(rds: RDSClient, identifier: str, timeout_seconds: int) -> None:
    """Wait until the instance takes changes and has an endpoint.

    Raises
    ------
    CheckopError
        It does not within the time, or is in a state that no waiting ends.
    """

    def look() -> tuple[bool, str]:
        instance = find(rds, identifier) or {}
        status = str(instance.get("DBInstanceStatus", "absent"))
        if status in STUCK or status.startswith("incompatible-"):
            raise CheckopError(
                f"RDS instance {identifier} is {status}, and waiting will not change that. Start or repair it "
                "(the RDS console says what is wrong; storage-full wants a larger database_allocated_storage_gb), then "
                "run this again."
            )
        return status in USABLE and "Address" in instance.get("Endpoint", {}), status

    wait_until(
        f"RDS instance {identifier} to become available", look, timeout_seconds=timeout_seconds, interval_seconds=15
    )


def set_password(rds: RDSClient, wanted: Instance, password: str) -> None:
    """Give an existing instance a new master password (RDS applies it at once, whatever the window)."""
    await_usable(rds, wanted.identifier, wanted.wait_seconds)
    # Without ApplyImmediately, which would also apply what waits for the maintenance window.
    rds.modify_db_instance(DBInstanceIdentifier=wanted.identifier, MasterUserPassword=password)
