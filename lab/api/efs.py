"""Amazon EFS: tags, updates, policies that are really kept, and the size that the runtime meters."""

import json
from types import SimpleNamespace
from typing import Any

from moto.efs import urls
from moto.efs.models import EFSBackend, FileSystem
from moto.efs.responses import EFSResponse
from moto.moto_api._internal import mock_random

from lab.api import context, views
from lab.api.base import LabBackend, Refusal

Answer = tuple[str, dict[str, Any]]

ROOT = "/2015-02-01"
# What moto does not route.
PATHS = (
    f"{ROOT}/account-preferences",
    f"{ROOT}/create-tags/<file_system_id>",
    f"{ROOT}/delete-tags/<file_system_id>",
    f"{ROOT}/file-systems/<file_system_id>/protection",
    f"{ROOT}/file-systems/replication-configurations",
    f"{ROOT}/resource-tags/<path:resource_id>",
    f"{ROOT}/tags/<file_system_id>",
)
KMS_KEY = f"arn:aws:kms:{context.REGION}:{context.ACCOUNT}:key/00000000-0000-4000-8000-0000000000ef"


class LabEFSBackend(LabBackend, EFSBackend):  # type: ignore[misc]
    """File systems of the rehearsal cloud."""

    service = "efs"
    file_systems_by_id: dict[str, FileSystem]
    access_points: dict[str, Any]

    @property
    def _url_module(self) -> Any:
        extra = dict.fromkeys(PATHS, LabEFSResponse.dispatch)
        paths = {path: LabEFSResponse.dispatch for path in urls.url_paths if "resource-tags" not in path}
        return SimpleNamespace(url_bases=urls.url_bases, url_paths=paths | extra)

    def file_system(self, file_system_id: str) -> FileSystem:
        """Return a file system; refused with FileSystemNotFound."""
        if file_system_id not in self.file_systems_by_id:
            raise Refusal("FileSystemNotFound", f"File system '{file_system_id}' does not exist.")
        return self.file_systems_by_id[file_system_id]

    def create_file_system(self, creation_token: str, *args: Any, **kwargs: Any) -> FileSystem:
        """Create a file system; the same token gives FileSystemAlreadyExists."""
        system = super().create_file_system(creation_token, *args, **kwargs)
        if system.encrypted and not system.kms_key_id:
            system.kms_key_id = KMS_KEY
        return system

    def delete_file_system(self, file_system_id: str) -> None:
        """Delete a file system and its access points."""
        super().delete_file_system(file_system_id)
        self.access_points = {k: p for k, p in self.access_points.items() if p.file_system_id != file_system_id}

    def create_access_point(self, client_token: str, tags: list[dict[str, str]], *args: Any, **kwargs: Any) -> Any:
        """Create an access point; its id has AWS's 17 digits, which the vendor's mount helper insists on.

        The same token gives AccessPointAlreadyExists, whatever else is asked for.
        """
        if any(point.client_token == client_token for point in self.access_points.values()):
            raise Refusal("AccessPointAlreadyExists", f"Access point with token {client_token} already exists.")
        point = super().create_access_point(client_token, [], *args, **kwargs)
        del self.access_points[point.access_point_id]
        old, point.access_point_id = point.access_point_id, f"fsap-{mock_random.get_random_hex(17)}"
        point.access_point_arn = point.access_point_arn.replace(old, point.access_point_id)
        self.access_points[point.access_point_id] = point
        self.tagging_service.tag_resource(point.access_point_id, tags)
        return point

    def measure(self) -> None:
        """Take over the sizes that the runtime meters."""
        for key, system in self.file_systems_by_id.items():
            system._size_value = context.current().hooks.file_system_bytes(key)

    def view(self) -> list[views.FileSystem]:
        """Return the file systems, as the runtime needs to see them."""
        return [self._view(system) for system in self.file_systems_by_id.values()]

    def _view(self, system: FileSystem) -> views.FileSystem:
        tags = {tag["Key"]: tag["Value"] for tag in self.list_tags_for_resource(system.file_system_id)}
        return views.FileSystem(
            file_system_id=system.file_system_id,
            name=tags.get("Name", ""),
            tags=tags,
            mount_targets=tuple(
                views.MountTarget(
                    target.mount_target_id,
                    target.subnet_id,
                    target.availability_zone_name,
                    target.ip_address,
                    tuple(target.security_groups or ()),
                )
                for target in system.iter_mount_targets()
            ),
            access_points=tuple(
                _access_point(point)
                for point in self.access_points.values()
                if point.file_system_id == system.file_system_id
            ),
        )


def _access_point(point: Any) -> views.AccessPoint:
    user, root = point.posix_user or {}, point.root_directory or {}
    creation = root.get("CreationInfo") or {}
    return views.AccessPoint(
        access_point_id=point.access_point_id,
        path=root.get("Path", "/"),
        uid=user.get("Uid"),
        gid=user.get("Gid"),
        creation_uid=creation.get("OwnerUid"),
        creation_gid=creation.get("OwnerGid"),
        creation_permissions=creation.get("Permissions"),
    )


class LabEFSResponse(EFSResponse):  # type: ignore[misc]
    """Requests of EFS."""

    @property
    def _backend(self) -> Any:
        return self.efs_backend

    def _system(self) -> FileSystem:
        system: FileSystem = self._backend.file_system(self._get_param("FileSystemId"))
        return system

    def describe_file_systems(self) -> Answer:
        """DescribeFileSystems, with sizes as they are now."""
        self._backend.measure()
        answer: Answer = super().describe_file_systems()
        return answer

    def update_file_system(self) -> Answer:
        """UpdateFileSystem: throughput."""
        system = self._system()
        system.throughput_mode = self._get_param("ThroughputMode") or system.throughput_mode
        throughput = self._get_param("ProvisionedThroughputInMibps")
        if system.throughput_mode == "provisioned" and not (throughput or system.provisioned_throughput_in_mibps):
            raise Refusal("BadRequest", "ProvisionedThroughputInMibps is required when ThroughputMode is provisioned.")
        system.provisioned_throughput_in_mibps = throughput if system.throughput_mode == "provisioned" else None
        return json.dumps(system.info_json()), {"status": 202, "Content-Type": "application/json"}

    def put_backup_policy(self) -> Answer:
        """PutBackupPolicy."""
        system, status = self._system(), self._get_param("BackupPolicy")["Status"]
        if status not in ("ENABLED", "DISABLED"):
            raise Refusal("ValidationException", f"BackupPolicy status {status} must be ENABLED or DISABLED.")
        system._backup = status == "ENABLED"
        return self._backup_policy(system)

    def describe_backup_policy(self) -> Answer:
        """DescribeBackupPolicy."""
        return self._backup_policy(self._system())

    def _backup_policy(self, system: FileSystem) -> Answer:
        return _json({"BackupPolicy": {"Status": "ENABLED" if system.backup_policy else "DISABLED"}})

    def put_file_system_policy(self) -> Answer:
        """PutFileSystemPolicy."""
        self._system()
        answer: Answer = super().put_file_system_policy()
        return answer

    def describe_file_system_policy(self) -> Answer:
        """DescribeFileSystemPolicy."""
        system = self._system()
        if not system.file_system_policy:
            raise Refusal("PolicyNotFound", f"No policy is set for file system {system.file_system_id}.")
        answer: Answer = super().describe_file_system_policy()
        return answer

    def delete_file_system_policy(self) -> Answer:
        """DeleteFileSystemPolicy."""
        self._system().file_system_policy = None
        return "", {"Content-Type": "application/json"}

    # Tags: of a file system by the older operations, of anything by the newer ones.

    def describe_tags(self) -> Answer:
        """DescribeTags."""
        return _json({"Tags": self._backend.list_tags_for_resource(self._system().file_system_id)})

    def create_tags(self) -> Answer:
        """CreateTags."""
        self._tag(self._system().file_system_id, self._get_param("Tags") or [])
        return "", {"status": 204, "Content-Type": "application/json"}

    def delete_tags(self) -> Answer:
        """DeleteTags."""
        self._backend.untag_resource(self._system().file_system_id, self._get_param("TagKeys") or [])
        return "", {"status": 204, "Content-Type": "application/json"}

    def tag_resource(self) -> Answer:
        """TagResource."""
        self._tag(self._resource(), self._get_param("Tags") or [])
        return _json({})

    def untag_resource(self) -> Answer:
        """UntagResource."""
        self._backend.untag_resource(self._resource(), self.normalized_request.args.getlist("tagKeys"))
        return _json({})

    def list_tags_for_resource(self) -> Answer:
        """ListTagsForResource."""
        return _json({"Tags": self._backend.list_tags_for_resource(self._resource())})

    def _resource(self) -> str:
        resource_id = self._get_param("ResourceId").rsplit("/", 1)[-1]
        if resource_id not in self._backend.file_systems_by_id and resource_id not in self._backend.access_points:
            raise Refusal("FileSystemNotFound", f"Resource '{resource_id}' does not exist.")
        return str(resource_id)

    def _tag(self, resource_id: str, tags: list[dict[str, str]]) -> None:
        self._backend.tagging_service.tag_resource(resource_id, tags)

    def describe_replication_configurations(self) -> Answer:
        """DescribeReplicationConfigurations: there are none."""
        raise Refusal("ReplicationNotFound", "No replication configuration was found.")

    def describe_account_preferences(self) -> Answer:
        """DescribeAccountPreferences."""
        return _json({"ResourceIdPreference": {"ResourceIdType": "LONG_ID", "Resources": ["FILE_SYSTEM"]}})


def _json(answer: dict[str, Any]) -> Answer:
    return json.dumps(answer), {"Content-Type": "application/json"}
