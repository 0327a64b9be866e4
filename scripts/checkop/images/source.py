"""Which image an instance starts from: the one in service, the newest verified one, or the vendor's CentOS 7."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

IN_SERVICE = "image/in_service"
VERIFIED = "image/verified"


@dataclass(frozen=True)
class Source:
    """The vendor's image: a pinned id, or owner and name filter of which the newest is taken."""

    pinned: str
    owner: str
    name: str


def source_image(ec2: EC2Client, source: Source) -> str:
    """Give the id of the vendor's image (EC2 DescribeImages).

    Raises
    ------
    CheckopError
        No image matches.
    """
    if source.pinned:
        return source.pinned
    # CentOS 7's images are deprecated since 2022, and hidden from a search that does not ask for such.
    pages = ec2.get_paginator("describe_images").paginate(
        Owners=[source.owner],
        IncludeDeprecated=True,
        Filters=[{"Name": "name", "Values": [source.name]}, {"Name": "state", "Values": ["available"]}],
    )
    found = [image for page in pages for image in page["Images"] if image.get("Architecture") == "x86_64"]
    if not found:
        raise CheckopError(
            f"image_source_name: owner {source.owner} offers no image named {source.name!r} in "
            f"{ec2.meta.region_name}. Copy a CentOS 7 image into the account and name it in image_source_id."
        )
    return max(found, key=lambda image: image.get("CreationDate", ""))["ImageId"]


def published_images(ssm: SSMClient, prefix: str) -> dict[str, str]:
    """Give the images that bakes and rollouts published: ``image/in_service`` and ``image/verified``, if any."""
    names = [f"{prefix}/{name}" for name in (IN_SERVICE, VERIFIED)]
    answer = ssm.get_parameters(Names=names)
    return {entry["Name"].removeprefix(f"{prefix}/"): entry["Value"] for entry in answer["Parameters"]}
