"""Databases, their groups and secrets, and file systems."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from checkop.reconcile import tag_map
from checkop.teardown.model import Item, Kind

if TYPE_CHECKING:
    from checkop.aws import Clients
    from checkop.teardown.model import Scope

# Days that a secret can be restored for, beside a final snapshot that needs it.
RECOVERY_DAYS = 7


def find_databases(clients: Clients, scope: Scope) -> list[Item]:
    """DB instances."""
    pages = clients.rds.get_paginator("describe_db_instances").paginate()
    return [
        Item(instance["DBInstanceIdentifier"], detail=instance["DBInstanceStatus"])
        for page in pages
        for instance in page["DBInstances"]
        if scope.owns(instance.get("TagList"))
    ]


def remove_database(clients: Clients, scope: Scope, item: Item) -> None:
    """Delete a DB instance, protected or not, with a final snapshot if the scope wants one."""
    if item.detail == "deleting":
        return
    # Takes effect at once; ApplyImmediately would also begin what waits for the window, and hold the deletion up.
    clients.rds.modify_db_instance(DBInstanceIdentifier=item.id, DeletionProtection=False)
    final: dict[str, Any] = {"SkipFinalSnapshot": True}
    if scope.final_snapshot:
        now = dt.datetime.now(dt.UTC).strftime("%Y%m%d%H%M%S")
        final = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": f"{item.id}-final-{now}"}
    clients.rds.delete_db_instance(DBInstanceIdentifier=item.id, DeleteAutomatedBackups=True, **final)


def find_subnet_groups(clients: Clients, scope: Scope) -> list[Item]:
    """DB subnet groups."""
    pages = clients.rds.get_paginator("describe_db_subnet_groups").paginate()
    return [
        Item(group["DBSubnetGroupName"])
        for page in pages
        for group in page["DBSubnetGroups"]
        if scope.owns(clients.rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"])
    ]


def find_parameter_groups(clients: Clients, scope: Scope) -> list[Item]:
    """DB parameter groups; AWS's own ones carry no tags."""
    pages = clients.rds.get_paginator("describe_db_parameter_groups").paginate()
    return [
        Item(group["DBParameterGroupName"])
        for page in pages
        for group in page["DBParameterGroups"]
        if not group["DBParameterGroupName"].startswith("default.")
        and scope.owns(clients.rds.list_tags_for_resource(ResourceName=group["DBParameterGroupArn"])["TagList"])
    ]


def find_secrets(clients: Clients, scope: Scope) -> list[Item]:
    """Secrets that are not scheduled for deletion."""
    pages = clients.secretsmanager.get_paginator("list_secrets").paginate()
    return [
        Item(secret["ARN"], secret["Name"])
        for page in pages
        for secret in page["SecretList"]
        if "DeletedDate" not in secret and scope.owns(secret.get("Tags"))
    ]


def remove_secret(clients: Clients, scope: Scope, item: Item) -> None:
    """Delete a secret, for good only where no snapshot is left that its password opens."""
    if scope.final_snapshot:
        clients.secretsmanager.delete_secret(SecretId=item.id, RecoveryWindowInDays=RECOVERY_DAYS)
    else:
        clients.secretsmanager.delete_secret(SecretId=item.id, ForceDeleteWithoutRecovery=True)


def find_file_systems(clients: Clients, scope: Scope) -> list[Item]:
    """EFS file systems."""
    pages = clients.efs.get_paginator("describe_file_systems").paginate()
    return [
        Item(system["FileSystemId"], tag_map(system["Tags"]).get("Name", ""), system["LifeCycleState"])
        for page in pages
        for system in page["FileSystems"]
        if system["LifeCycleState"] != "deleted" and scope.owns(system["Tags"])
    ]


def find_mount_targets(clients: Clients, scope: Scope) -> list[Item]:
    """Mount targets of these file systems, which must go first."""
    paginator = clients.efs.get_paginator("describe_mount_targets")
    return [
        Item(target["MountTargetId"], system.name, target["LifeCycleState"])
        for system in find_file_systems(clients, scope)
        for page in paginator.paginate(FileSystemId=system.id)
        for target in page["MountTargets"]
        if target["LifeCycleState"] != "deleted"
    ]


def find_access_points(clients: Clients, scope: Scope) -> list[Item]:
    """Access points of these file systems."""
    paginator = clients.efs.get_paginator("describe_access_points")
    return [
        Item(point["AccessPointId"], system.name, point["LifeCycleState"])
        for system in find_file_systems(clients, scope)
        for page in paginator.paginate(FileSystemId=system.id)
        for point in page["AccessPoints"]
        if point["LifeCycleState"] != "deleted"
    ]


def remove_mount_target(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete a mount target; one that is being deleted is left to it."""
    if item.detail != "deleting":
        clients.efs.delete_mount_target(MountTargetId=item.id)


def remove_access_point(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete an access point; one that is being deleted is left to it."""
    if item.detail != "deleting":
        clients.efs.delete_access_point(AccessPointId=item.id)


def remove_file_system(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete a file system with all its files; recovery points of AWS Backup stay until they expire."""
    if item.detail != "deleting":
        clients.efs.delete_file_system(FileSystemId=item.id)


KINDS = (
    Kind("RDS instance", find_databases, remove_database),
    Kind(
        "RDS subnet group",
        find_subnet_groups,
        lambda clients, _scope, item: clients.rds.delete_db_subnet_group(DBSubnetGroupName=item.id),
    ),
    Kind(
        "RDS parameter group",
        find_parameter_groups,
        lambda clients, _scope, item: clients.rds.delete_db_parameter_group(DBParameterGroupName=item.id),
    ),
    Kind("Secrets Manager secret", find_secrets, remove_secret),
    Kind("EFS mount target", find_mount_targets, remove_mount_target),
    Kind("EFS access point", find_access_points, remove_access_point),
    Kind("EFS file system", find_file_systems, remove_file_system),
)
