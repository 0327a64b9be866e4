"""Make ChOp-Temp what the inventory says, in EFS."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.errors import CheckopError
from checkop.ownership import ENVIRONMENT_TAG
from checkop.policies import normalise
from checkop.reconcile import UNKNOWN, present_tags, tag_list, tag_map
from checkop.storage import policy
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_efs import EFSClient

    from checkop.reconcile import Plan


@dataclass(frozen=True)
class FileSystem:
    """The file system as wanted.

    Parameters
    ----------
    name:
        Tag ``Name``.
    throughput_mode:
        ``bursting`` or ``elastic``.
    transition_to_ia, transition_to_primary:
        Values of the EFS lifecycle policy, for example ``AFTER_30_DAYS`` and ``AFTER_1_ACCESS``; empty: never.
    backup:
        Whether AWS Backup's automatic backups are on.
    subnets:
        Zone to the id of the subnet of its mount target.
    security_group_id:
        Id of the mount targets' group.
    access_point_path, owner_uid, owner_gid:
        Root directory of the access point and its owner.
    client_roles:
        Names of the IAM roles that may mount.
    account_id:
        Twelve digits.
    tags:
        Tags of ownership.
    wait_seconds:
        Bound of each wait.
    """

    name: str
    throughput_mode: str
    transition_to_ia: str
    transition_to_primary: str
    backup: bool
    subnets: Mapping[str, str]
    security_group_id: str
    access_point_path: str
    owner_uid: int
    owner_gid: int
    client_roles: Sequence[str]
    account_id: str
    tags: Mapping[str, str]
    wait_seconds: int

    @property
    def all_tags(self) -> dict[str, str]:
        """Tags of ownership and the name."""
        return {**self.tags, "Name": self.name}


def find(efs: EFSClient, name: str, environment: str) -> dict[str, Any] | None:
    """Find the file system by its name among those that are no other environment's (EFS DescribeFileSystems).

    Raises
    ------
    CheckopError
        More than one answers to the name.
    """
    candidates: list[dict[str, Any]] = [
        dict(system)
        for page in efs.get_paginator("describe_file_systems").paginate()
        for system in page["FileSystems"]
        if system.get("Name") == name
        and tag_map(system["Tags"]).get(ENVIRONMENT_TAG) in (None, environment)
        and system["LifeCycleState"] not in ("deleting", "deleted")
    ]
    if len(candidates) > 1:
        raise CheckopError(
            f"There are {len(candidates)} EFS file systems named {name!r}: "
            f"{', '.join(system['FileSystemId'] for system in candidates)}. Rename the one that is not in use."
        )
    return candidates[0] if candidates else None


def reconcile(efs: EFSClient, plan: Plan, wanted: FileSystem) -> dict[str, str]:
    """Make the file system and everything that belongs to it.

    Returns
    -------
    dict[str, str]
        ``file_system_id`` and ``access_point_id``; empty text where a check found none.
    """
    identifier = _file_system(efs, plan, wanted)
    _mount_targets(efs, plan, wanted, identifier)
    access_point = _access_point(efs, plan, wanted, identifier)
    _policy(efs, plan, wanted, identifier, access_point)
    _lifecycle(efs, plan, wanted, identifier)
    _backup(efs, plan, wanted, identifier)
    return {"file_system_id": identifier or "", "access_point_id": access_point[0] if access_point else ""}


def _file_system(efs: EFSClient, plan: Plan, wanted: FileSystem) -> str | None:
    resource = f"EFS file system {wanted.name}"
    system = find(efs, wanted.name, wanted.tags[ENVIRONMENT_TAG])
    attributes = {"throughput_mode": wanted.throughput_mode, "tags": wanted.all_tags}
    if system is None:
        created = plan.step(
            resource,
            None,
            {**attributes, "encrypted": True},
            lambda: efs.create_file_system(
                # Idempotent on EFS's side too: a second creation with the token is refused.
                CreationToken=f"checkop-{wanted.tags[ENVIRONMENT_TAG]}-{wanted.name}",
                PerformanceMode="generalPurpose",
                ThroughputMode=wanted.throughput_mode,  # type: ignore[arg-type]
                Encrypted=True,
                Backup=wanted.backup,
                Tags=tag_list(wanted.all_tags),
            ),
        )
        identifier = created["FileSystemId"] if created else None
    else:
        identifier = system["FileSystemId"]
        tags = tag_map(system["Tags"])
        ownership.require(plan, resource, tags, wanted.tags)
        plan.fixed(
            f"{resource}: encryption",
            {"encrypted": system["Encrypted"]},
            {"encrypted": True},
            "Restore its backup into a new, encrypted file system of this name, and rename the old one.",
        )
        current = {"throughput_mode": system.get("ThroughputMode"), "tags": present_tags(tags, wanted.all_tags)}
        plan.step(resource, current, attributes, lambda: _update(efs, wanted, identifier, current))
    if identifier and not plan.check:
        wait_until(
            f"{resource} ({identifier}) to become available",
            lambda: _state(efs.describe_file_systems(FileSystemId=identifier)["FileSystems"][0]["LifeCycleState"]),
            timeout_seconds=wanted.wait_seconds,
        )
    return identifier


def _state(state: str) -> tuple[bool, str]:
    return state == "available", state


def _update(efs: EFSClient, wanted: FileSystem, identifier: str, current: Mapping[str, Any]) -> None:
    if current["throughput_mode"] != wanted.throughput_mode:
        efs.update_file_system(FileSystemId=identifier, ThroughputMode=wanted.throughput_mode)  # type: ignore[arg-type]
    if current["tags"] != wanted.all_tags:
        efs.tag_resource(ResourceId=identifier, Tags=tag_list(wanted.all_tags))


def _mount_targets(efs: EFSClient, plan: Plan, wanted: FileSystem, identifier: str | None) -> None:
    group = wanted.security_group_id
    existing = {}
    if identifier:
        pages = efs.get_paginator("describe_mount_targets").paginate(FileSystemId=identifier)
        existing = {target["SubnetId"]: target for page in pages for target in page["MountTargets"]}
    made = False
    for zone, subnet_id in wanted.subnets.items():
        resource = f"EFS mount target of {wanted.name} in {zone}"
        after = {"subnet": subnet_id, "security_groups": [group]}
        target = existing.pop(subnet_id, None)
        if target is None:
            plan.step(
                resource,
                None,
                after,
                lambda subnet_id=subnet_id: efs.create_mount_target(  # type: ignore[misc]
                    FileSystemId=str(identifier), SubnetId=subnet_id, SecurityGroups=[group]
                ),
            )
            made = True
            continue
        target_id = target["MountTargetId"]
        groups = efs.describe_mount_target_security_groups(MountTargetId=target_id)["SecurityGroups"]
        plan.step(
            resource,
            {"subnet": subnet_id, "security_groups": sorted(groups)},
            after,
            lambda target_id=target_id: efs.modify_mount_target_security_groups(  # type: ignore[misc]
                MountTargetId=target_id, SecurityGroups=[group]
            ),
        )
    for subnet_id, target in existing.items():
        plan.step(
            f"EFS mount target of {wanted.name} in {subnet_id}",
            {"mount_target": target["MountTargetId"], "zone": target.get("AvailabilityZoneName")},
            None,
            lambda target=target: efs.delete_mount_target(MountTargetId=target["MountTargetId"]),  # type: ignore[misc]
        )
    if made and identifier and not plan.check:
        _await_mount_targets(efs, wanted, identifier)


def _await_mount_targets(efs: EFSClient, wanted: FileSystem, identifier: str) -> None:
    def look() -> tuple[bool, str]:
        pages = efs.get_paginator("describe_mount_targets").paginate(FileSystemId=identifier)
        states = {
            target["MountTargetId"]: target["LifeCycleState"] for page in pages for target in page["MountTargets"]
        }
        return all(state in ("available", "deleting", "deleted") for state in states.values()), str(states)

    wait_until(f"mount targets of {wanted.name} to become available", look, timeout_seconds=wanted.wait_seconds)


def _access_point(efs: EFSClient, plan: Plan, wanted: FileSystem, identifier: str | None) -> tuple[str, str] | None:
    """Return id and ARN. EFS cannot change an access point: other path or owner means a new one beside the old."""
    posix_user = {"Uid": wanted.owner_uid, "Gid": wanted.owner_gid}
    root = {
        "Path": wanted.access_point_path,
        "CreationInfo": {"OwnerUid": wanted.owner_uid, "OwnerGid": wanted.owner_gid, "Permissions": "0750"},
    }
    points = []
    if identifier:
        pages = efs.get_paginator("describe_access_points").paginate(FileSystemId=identifier)
        points = [
            point
            for page in pages
            for point in page["AccessPoints"]
            if point["RootDirectory"].get("Path") == wanted.access_point_path
            and (point["PosixUser"]["Uid"], point["PosixUser"]["Gid"]) == (wanted.owner_uid, wanted.owner_gid)
            and point["LifeCycleState"] not in ("deleting", "deleted")
        ]
    resource = f"EFS access point of {wanted.name} on {wanted.access_point_path}"
    after = {"path": wanted.access_point_path, "owner": posix_user, "tags": wanted.all_tags}
    if not points:
        created = plan.step(
            resource,
            None,
            after,
            lambda: efs.create_access_point(
                ClientToken=_token(identifier, wanted),
                FileSystemId=str(identifier),
                PosixUser=posix_user,  # type: ignore[arg-type]
                RootDirectory=root,  # type: ignore[arg-type]
                Tags=tag_list(wanted.all_tags),
            ),
        )
        return (created["AccessPointId"], created["AccessPointArn"]) if created else None
    point = points[0]
    current = {**after, "tags": present_tags(tag_map(point["Tags"]), wanted.all_tags)}
    plan.step(
        resource,
        current,
        after,
        lambda: efs.tag_resource(ResourceId=point["AccessPointId"], Tags=tag_list(wanted.all_tags)),
    )
    return point["AccessPointId"], point["AccessPointArn"]


def _token(identifier: str | None, wanted: FileSystem) -> str:
    """Name an access point by all that it has (EFS CreateAccessPoint: at most 64 characters, each but once)."""
    what = f"{identifier} {wanted.access_point_path} {wanted.owner_uid} {wanted.owner_gid}"
    return f"checkop-{hashlib.sha256(what.encode()).hexdigest()[:32]}"


def _policy(
    efs: EFSClient,
    plan: Plan,
    wanted: FileSystem,
    identifier: str | None,
    access_point: tuple[str, str] | None,
) -> None:
    arn = f"arn:aws:elasticfilesystem:{efs.meta.region_name}:{wanted.account_id}:file-system/{identifier or UNKNOWN}"
    point = access_point[1] if access_point else UNKNOWN
    document = policy.document(wanted.account_id, arn, point, wanted.client_roles)
    current: dict[str, Any] = {}
    if identifier:
        try:
            current = normalise(efs.describe_file_system_policy(FileSystemId=identifier)["Policy"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "PolicyNotFound":
                raise
    plan.step(
        f"EFS file system policy of {wanted.name}",
        current or None,
        normalise(document),
        lambda: efs.put_file_system_policy(FileSystemId=str(identifier), Policy=json.dumps(document)),
    )


def _lifecycle(efs: EFSClient, plan: Plan, wanted: FileSystem, identifier: str | None) -> None:
    after = {
        name: value
        for name, value in (
            ("TransitionToIA", wanted.transition_to_ia),
            ("TransitionToPrimaryStorageClass", wanted.transition_to_primary),
        )
        if value
    }
    current: dict[str, Any] = {}
    if identifier:
        for rule in efs.describe_lifecycle_configuration(FileSystemId=identifier)["LifecyclePolicies"]:
            current.update(rule)
    plan.step(
        f"EFS lifecycle of {wanted.name}",
        current,
        after,
        lambda: efs.put_lifecycle_configuration(
            FileSystemId=str(identifier),
            # EFS wants one transition in each policy.
            LifecyclePolicies=[{name: value} for name, value in after.items()],  # type: ignore[misc]
        ),
    )


def _backup(efs: EFSClient, plan: Plan, wanted: FileSystem, identifier: str | None) -> None:
    on = False
    if identifier:
        try:
            status = efs.describe_backup_policy(FileSystemId=identifier)["BackupPolicy"]["Status"]
            on = status in ("ENABLED", "ENABLING")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PolicyNotFound":
                raise
    plan.step(
        f"EFS backup policy of {wanted.name}",
        {"enabled": on},
        {"enabled": wanted.backup},
        lambda: efs.put_backup_policy(
            FileSystemId=str(identifier), BackupPolicy={"Status": "ENABLED" if wanted.backup else "DISABLED"}
        ),
    )
