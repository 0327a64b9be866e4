"""Publication: an image that passed its gates is tagged so, and its id goes to SSM for whoever rolls out next."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.images.source import VERIFIED, published_images
from checkop.reconcile import tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import ImageTypeDef
    from mypy_boto3_ssm import SSMClient

VERIFIED_TAG = "checkop:verified"
RECALLED_TAG = "checkop:recalled"
KEY_TAG = "checkop:bake-key"
MANIFEST_TAG = "checkop:manifest"
ROLE_TAG = "checkop:role"
ENVIRONMENT_TAG = "checkop:environment"
ROLE = "base-chop"


def find_image(ec2: EC2Client, image_id: str) -> ImageTypeDef:
    """Read one AMI (EC2 DescribeImages), deprecated or not.

    Raises
    ------
    CheckopError
        It does not exist in this region, or is not ours to see.
    """
    found = ec2.describe_images(
        Filters=[{"Name": "image-id", "Values": [image_id]}], Owners=["self"], IncludeDeprecated=True
    )["Images"]
    if not found:
        raise CheckopError(f"Image {image_id}: this account has none of that id in {ec2.meta.region_name}.")
    return found[0]


def own_image(ec2: EC2Client, image_id: str, environment: str) -> ImageTypeDef:
    """Read one AMI of this environment.

    Raises
    ------
    CheckopError
        It does not exist, or is another environment's.
    """
    image = find_image(ec2, image_id)
    current = tag_map(image.get("Tags"))
    if current.get(ENVIRONMENT_TAG) != environment:
        raise CheckopError(
            f"Image {image_id} is of environment {current.get(ENVIRONMENT_TAG, 'none')!r}, and this inventory "
            f"describes {environment!r}. Name the inventory you mean with -i."
        )
    return image


def version_of(ec2: EC2Client, image_id: str) -> str:
    """Return the application version that an image's tags name, or empty."""
    return tag_map(find_image(ec2, image_id).get("Tags")).get("checkop:application-version", "")


def snapshots_of(image: ImageTypeDef) -> list[str]:
    """Return the ids of an image's snapshots."""
    devices: list[Any] = list(image.get("BlockDeviceMappings", []))
    return [device["Ebs"]["SnapshotId"] for device in devices if device.get("Ebs", {}).get("SnapshotId")]


def verified_with_key(ec2: EC2Client, environment: str, key: str) -> ImageTypeDef | None:
    """Return the newest verified image of the environment that was baked of the same inputs, or None."""
    pages = ec2.get_paginator("describe_images").paginate(
        Owners=["self"],
        IncludeDeprecated=True,
        Filters=[
            {"Name": f"tag:{ENVIRONMENT_TAG}", "Values": [environment]},
            {"Name": f"tag:{KEY_TAG}", "Values": [key]},
            {"Name": "state", "Values": ["available"]},
        ],
    )
    good = [
        image
        for page in pages
        for image in page["Images"]
        if VERIFIED_TAG in tag_map(image.get("Tags")) and RECALLED_TAG not in tag_map(image.get("Tags"))
    ]
    return max(good, key=lambda image: tag_map(image.get("Tags"))[VERIFIED_TAG], default=None)


def set_verified(ssm: SSMClient, prefix: str, image_id: str, tags: Mapping[str, str]) -> bool:
    """Name the newest verified image in ``<prefix>/image/verified`` (SSM PutParameter); True if it was another."""
    current = published_images(ssm, prefix).get(VERIFIED)
    if current == image_id:
        return False
    name = f"{prefix}/{VERIFIED}"
    if current is None:
        ssm.put_parameter(Name=name, Value=image_id, Type="String", Tags=tag_list(tags))
    else:
        ssm.put_parameter(Name=name, Value=image_id, Type="String", Overwrite=True)
    return True


def publish(
    ec2: EC2Client,
    ssm: SSMClient,
    prefix: str,
    image_id: str,
    tags: Mapping[str, str],
    *,
    manifest: str = "",
    now: datetime | None = None,
) -> bool:
    """Tag an image and its snapshots as verified and name it in SSM (EC2 CreateTags, SSM PutParameter).

    Parameters
    ----------
    prefix:
        The inventory's ``ssm_prefix``.
    tags:
        The environment's tags.
    manifest:
        Where the image's manifest lies; empty where there is none.
    now:
        The time of verification; by default the present.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    CheckopError
        The image does not exist, is another environment's, or was recalled.
    """
    image = own_image(ec2, image_id, tags[ENVIRONMENT_TAG])
    current = tag_map(image.get("Tags"))
    if RECALLED_TAG in current:
        raise CheckopError(
            f"Image {image_id} was recalled ({current[RECALLED_TAG]}); it is not published. Bake a new one, or lift "
            f"the recall: checkop recall {image_id} --lift."
        )
    changed = False
    if VERIFIED_TAG not in current:
        moment = (now or datetime.now(timezone.utc)).astimezone(timezone.utc).isoformat(timespec="seconds")
        marks = {VERIFIED_TAG: moment} | ({MANIFEST_TAG: manifest} if manifest else {})
        ec2.create_tags(Resources=[image_id, *snapshots_of(image)], Tags=tag_list(marks))
        changed = True
    return set_verified(ssm, prefix, image_id, tags) or changed
