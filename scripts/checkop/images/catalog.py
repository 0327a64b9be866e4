"""The environment's images as EC2 and their tags describe them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from checkop.bake.publication import (
    ENVIRONMENT_TAG,
    RECALLED_TAG,
    ROLE,
    ROLE_TAG,
    VERIFIED_TAG,
)
from checkop.reconcile import tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client

PRUNE_TAG = "checkop:prune-after"
# Amazon EBS snapshots, standard tier, us-east-1, US dollars a GB and month.
SNAPSHOT_GB_MONTH = 0.05


@dataclass(frozen=True)
class Ami:
    """A base-chop image. `size_gb` is the sum of its volumes: what its snapshots hold at most."""

    image_id: str
    name: str
    state: str
    created: datetime
    snapshots: tuple[str, ...]
    size_gb: int
    tags: dict[str, str] = field(default_factory=dict)
    deprecation: str = ""

    @property
    def verified(self) -> str:
        """When it passed its gates, or empty."""
        return self.tags.get(VERIFIED_TAG, "")

    @property
    def recalled(self) -> str:
        """Why it was recalled, or empty."""
        return self.tags.get(RECALLED_TAG, "")

    @property
    def version(self) -> str:
        """Version of the application inside."""
        return self.tags.get("checkop:application-version", "")

    @property
    def prune_after(self) -> datetime | None:
        """When it may be deregistered, once it was marked for that."""
        text = self.tags.get(PRUNE_TAG, "")
        return moment(text) if text else None

    @property
    def usd_a_month(self) -> float:
        """What its snapshots cost at most; snapshots hold only blocks that differ, so it is often far less."""
        return self.size_gb * SNAPSHOT_GB_MONTH


def moment(text: str) -> datetime:
    """Read a time as AWS and our tags write it, in UTC."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def describe(image: Mapping[str, Any]) -> Ami:
    """Make plain data of one entry of EC2 DescribeImages."""
    volumes = [device["Ebs"] for device in image.get("BlockDeviceMappings", []) if device.get("Ebs")]
    return Ami(
        image_id=image["ImageId"],
        name=image.get("Name", ""),
        state=image["State"],
        created=moment(image["CreationDate"]),
        snapshots=tuple(volume["SnapshotId"] for volume in volumes if volume.get("SnapshotId")),
        size_gb=sum(volume.get("VolumeSize", 0) for volume in volumes),
        tags=tag_map(image.get("Tags")),
        deprecation=image.get("DeprecationTime", ""),
    )


def read(ec2: EC2Client, environment: str) -> list[Ami]:
    """Read the environment's images (EC2 DescribeImages), the newest first, deprecated and recalled ones included."""
    pages = ec2.get_paginator("describe_images").paginate(
        Owners=["self"],
        IncludeDeprecated=True,
        Filters=[
            {"Name": f"tag:{ENVIRONMENT_TAG}", "Values": [environment]},
            {"Name": f"tag:{ROLE_TAG}", "Values": [ROLE]},
        ],
    )
    found = [describe(image) for page in pages for image in page["Images"]]
    return sorted(found, key=lambda ami: (ami.created, ami.name), reverse=True)


def newest_verified(amis: list[Ami]) -> Ami | None:
    """Return the image that passed its gates last and was not recalled, or None."""
    good = [ami for ami in amis if ami.verified and not ami.recalled and ami.state == "available"]
    return max(good, key=lambda ami: moment(ami.verified), default=None)
