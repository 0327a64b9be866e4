"""AMIs: pending until the runtime has committed them, with the snapshots, tags and deprecation that AWS keeps."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import Instance
from moto.ec2.utils import random_ami_id

from lab.api import context, views
from lab.api.base import Refusal
from lab.names import UPSTREAM_IMAGE_ID

UPSTREAM_OWNER = "125523088429"
UPSTREAM_NAME = "CentOS Linux 7 x86_64 - 7.9.2009"
UPSTREAM_SIZE_GB = 8

Tags = Mapping[str, Mapping[str, str]]


class LabImage(Ami):  # type: ignore[misc]
    """An AMI with its block devices as they are, and where its content comes from."""

    image_location: str | None
    architecture: str | None

    def __init__(self, *args: Any, size: int = UPSTREAM_SIZE_GB, encrypted: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.from_instance: str | None = None
        self.from_image: str | None = None
        self.no_reboot = False
        self.deprecate_at: datetime | None = None
        self.last_launched_time: datetime | None = None
        self.state_reason: dict[str, str] | None = None
        self.ena_support = True
        self.imds_support: str | None = None
        self.root_device_type = "ebs"
        self.image_location = self.image_location or f"{self.owner_id}/{self.name}"
        self.hypervisor = "xen"
        self.virtualization_type = "hvm"
        self.architecture = self.architecture or "x86_64"
        self.usage_operation = "RunInstances"
        self.platform_details = "Linux/UNIX"
        self.ebs_snapshot.volume.size = size
        self.ebs_snapshot.encrypted = encrypted
        self.other_devices: list[dict[str, Any]] = []
        self.volume_type = "gp3"
        self.boot_mode = None

    @property
    def deprecation_time(self) -> str | None:
        """When it is deprecated, as the API writes it."""
        return f"{self.deprecate_at:%Y-%m-%dT%H:%M:%S.000Z}" if self.deprecate_at else None

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The block devices of its instances."""
        root = {
            "DeviceName": self.root_device_name,
            "Ebs": {
                "SnapshotId": self.ebs_snapshot.id,
                "VolumeSize": self.ebs_snapshot.volume.size,
                "DeleteOnTermination": True,
                "VolumeType": self.volume_type,
                "Encrypted": self.ebs_snapshot.encrypted,
            },
        }
        return [root, *self.other_devices]

    def snapshot_ids(self) -> list[str]:
        """Return the ids of all its snapshots."""
        return [device["Ebs"]["SnapshotId"] for device in self.block_device_mappings]

    def view(self) -> views.Image:
        """Return it as the runtime needs to see it."""
        return views.Image(
            image_id=self.id,
            name=self.name or "",
            state=self.state,
            source_instance_id=self.from_instance,
            source_image_id=self.from_image,
            no_reboot=self.no_reboot,
            tags={tag["key"]: tag["value"] for tag in self.get_tags()},
        )


class ImageMixin:
    """The part of the EC2 backend that deals with images."""

    amis: dict[str, LabImage]
    deleted_amis: list[str]
    snapshots: dict[str, Any]

    def _load_amis(self) -> None:
        """Register the upstream image that bakes start from, instead of moto's list."""
        image = LabImage(
            self,
            UPSTREAM_IMAGE_ID,
            name=UPSTREAM_NAME,
            description=UPSTREAM_NAME,
            owner_id=UPSTREAM_OWNER,
            public=True,
            architecture="x86_64",
            root_device_name="/dev/sda1",
            creation_date=datetime(2020, 11, 12, tzinfo=timezone.utc),
        )
        # As the vendor's own: only described by its id or with IncludeDeprecated.
        image.deprecate_at = datetime(2022, 11, 12, tzinfo=timezone.utc)
        self.amis[image.id] = image

    def _free_name(self, name: str) -> None:
        if any(image.name == name and image.owner_id == context.ACCOUNT for image in self.amis.values()):
            raise Refusal("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by another AMI.")

    def commit_image(self, instance: Instance, name: str, description: str, *, no_reboot: bool, tags: Tags) -> LabImage:
        """Begin an image of an instance (CreateImage)."""
        if instance.state not in ("running", "stopping", "stopped"):
            message = f"Instance {instance.id} is in state {instance.state}; an image needs running or stopped."
            raise Refusal("IncorrectState", message)
        self._free_name(name)
        root = instance.block_device_mapping.get(instance.root_device_name)
        size = root.size if root else UPSTREAM_SIZE_GB
        encrypted = bool(root and self.get_volume(root.volume_id).encrypted)  # type: ignore[attr-defined]
        image = LabImage(
            self,
            random_ami_id(),
            instance=instance,
            name=name,
            description=description,
            architecture="x86_64",
            root_device_name=instance.root_device_name,
            state="pending",
            size=size,
            encrypted=encrypted,
        )
        image.from_instance, image.no_reboot = instance.id, no_reboot
        return self._begin(image, tags, f"Created by CreateImage({instance.id}) for {image.id}")

    def begin_copy(self, source: LabImage, name: str, description: str, *, encrypted: bool, tags: Tags) -> LabImage:
        """Begin a copy of an image (CopyImage)."""
        self._free_name(name)
        image = LabImage(
            self,
            random_ami_id(),
            source_ami=source,
            name=name,
            description=description,
            root_device_name=source.root_device_name,
            state="pending",
            size=source.ebs_snapshot.volume.size,
            encrypted=encrypted or source.ebs_snapshot.encrypted,
        )
        image.from_image, image.imds_support = source.id, source.imds_support
        return self._begin(image, tags, f"Copied for DestinationAmi {image.id} from SourceAmi {source.id}")

    def _begin(self, image: LabImage, tags: Tags, snapshot_description: str) -> LabImage:
        image.add_tags(tags.get("image", {}))
        image.ebs_snapshot.status = "pending"
        image.ebs_snapshot.description = snapshot_description
        image.ebs_snapshot.add_tags(tags.get("snapshot", {}))
        self.amis[image.id] = image
        return image

    def tick_images(self) -> bool:
        """Take over what the runtime says of pending images; return whether one is still pending."""
        hooks = context.current().hooks
        waiting = False
        for image in [image for image in self.amis.values() if image.state == "pending"]:
            condition = hooks.image_condition(image.id)
            if condition == "available":
                image.state, image.ebs_snapshot.status = "available", "completed"
            elif condition == "failed":
                image.state, image.ebs_snapshot.status = "failed", "error"
                image.state_reason = {"Code": "Server.InternalError", "Message": "The commit of the instance failed."}
            else:
                waiting = True
        return waiting

    def image(self, image_id: str) -> LabImage:
        """Return an image; refused with InvalidAMIID when it is not there."""
        if image_id in self.amis:
            return self.amis[image_id]
        if image_id in self.deleted_amis:
            raise Refusal("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is no longer available")
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")

    def launchable_image(self, image_id: str) -> LabImage:
        """Return an image that instances can start from; refused when its state forbids it."""
        image = self.image(image_id)
        if image.state != "available":
            raise Refusal("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is in state {image.state}")
        return image

    def drop_image(self, image_id: str, *, with_snapshots: bool) -> list[dict[str, str]]:
        """Deregister an image; return what became of its snapshots (DeleteSnapshotResults)."""
        image = self.image(image_id)
        del self.amis[image_id]
        self.deleted_amis.append(image_id)
        results = []
        for snapshot_id in image.snapshot_ids() if with_snapshots else []:
            shared = any(snapshot_id in other.snapshot_ids() for other in self.amis.values())
            if not shared:
                self.snapshots.pop(snapshot_id, None)
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped" if shared else "success"})
        return results

    def visible_images(
        self, images: list[LabImage], ids: list[str], *, deprecated: bool, disabled: bool
    ) -> list[LabImage]:
        """Leave out what DescribeImages does not show: others' deprecated images, and disabled ones."""
        now = datetime.now(tz=timezone.utc)

        def shown(image: LabImage) -> bool:
            if image.id in ids or image.owner_id == context.ACCOUNT:
                return image.state != "disabled" or disabled or image.id in ids
            return deprecated or image.deprecate_at is None or image.deprecate_at > now

        return [image for image in images if shown(image)]

    def note_launch(self, image: LabImage) -> None:
        """Note that an instance was started from an image."""
        image.last_launched_time = utcnow()
