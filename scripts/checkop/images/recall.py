"""Recalling an image: barred everywhere, and everybody who runs it is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from checkop.bake.publication import (
    ENVIRONMENT_TAG,
    RECALLED_TAG,
    ROLE,
    ROLE_TAG,
    find_image,
    set_verified,
)
from checkop.errors import CheckopError
from checkop.images import catalog, reach
from checkop.images.source import VERIFIED, published_images
from checkop.reconcile import tag_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from checkop.aws import Clients

# EC2 CreateTags: at most 256 characters.
REASON_CHARACTERS = 256


@dataclass
class Recall:
    """What a recall came to. `barred` is region -> ids; `used_by` says who runs the image or may start it."""

    image: str
    barred: dict[str, list[str]] = field(default_factory=dict)
    used_by: list[str] = field(default_factory=list)
    verified_now: str = ""


def check_reason(reason: str) -> str:
    """Return the reason without outer spaces.

    Raises
    ------
    CheckopError
        It is empty, or longer than a tag's value.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= REASON_CHARACTERS:
        raise CheckopError(
            f"--reason has {len(reason)} characters; say in 1 to {REASON_CHARACTERS} why the image must not be used."
        )
    return reason


def copies(clients: Clients, environment: str, name: str) -> list[str]:
    """Return the ids of an image's copies in one region: they carry its name and the environment's tags."""
    pages = clients.ec2.get_paginator("describe_images").paginate(
        Owners=["self"],
        IncludeDeprecated=True,
        Filters=[
            {"Name": "name", "Values": [name]},
            {"Name": f"tag:{ENVIRONMENT_TAG}", "Values": [environment]},
            {"Name": f"tag:{ROLE_TAG}", "Values": [ROLE]},
        ],
    )
    return [image["ImageId"] for page in pages for image in page["Images"]]


def recall(
    regions: Mapping[str, Clients], values: Mapping[str, Any], image_id: str, reason: str, *, dry_run: bool
) -> Recall:
    """Bar an image in every region that has it, and take it out of SSM (EC2 CreateTags, SSM PutParameter).

    Parameters
    ----------
    regions:
        Clients by region, the environment's own first, then those of ``image_copy_regions``.
    values:
        The inventory's variables.
    image_id:
        The image in the environment's own region.
    reason:
        Why; it becomes the tag's value.
    dry_run:
        Tell, and change nothing.

    Raises
    ------
    CheckopError
        The image does not exist or is not this environment's.
    """
    reason = check_reason(reason)
    home = regions[values["aws_region"]]
    name = _own(home, values, image_id)
    result = Recall(image_id, used_by=reach.Reach(home, values).collect().get(image_id, []))
    for region, clients in regions.items():
        ids = copies(clients, values["checkop_environment"], name)
        if ids:
            result.barred[region] = ids
            if not dry_run:
                clients.ec2.create_tags(Resources=ids, Tags=[{"Key": RECALLED_TAG, "Value": reason}])
    result.verified_now = _replace_verified(home, values, image_id, dry_run=dry_run)
    return result


def lift(regions: Mapping[str, Clients], values: Mapping[str, Any], image_id: str, *, dry_run: bool) -> Recall:
    """Take a recall back in every region (EC2 DeleteTags); the image has to be published anew by a bake."""
    name = _own(regions[values["aws_region"]], values, image_id)
    result = Recall(image_id)
    for region, clients in regions.items():
        ids = copies(clients, values["checkop_environment"], name)
        if ids:
            result.barred[region] = ids
            if not dry_run:
                clients.ec2.delete_tags(Resources=ids, Tags=[{"Key": RECALLED_TAG}])
    return result


def _own(clients: Clients, values: Mapping[str, Any], image_id: str) -> str:
    image = find_image(clients.ec2, image_id)
    environment = tag_map(image.get("Tags")).get(ENVIRONMENT_TAG)
    if environment != values["checkop_environment"]:
        raise CheckopError(
            f"Image {image_id} is of environment {environment or 'none'!r}, not {values['checkop_environment']!r}: "
            "name the inventory it belongs to with -i."
        )
    return image.get("Name", "")


def _replace_verified(clients: Clients, values: Mapping[str, Any], image_id: str, *, dry_run: bool) -> str:
    """Let ``image/verified`` name the newest good image but this one; return what it names then."""
    prefix = values["ssm_prefix"]
    current = published_images(clients.ssm, prefix).get(VERIFIED, "")
    if current != image_id:
        return current
    others = [ami for ami in catalog.read(clients.ec2, values["checkop_environment"]) if ami.image_id != image_id]
    newest = catalog.newest_verified(others)
    if not dry_run:
        if newest is None:
            clients.ssm.delete_parameter(Name=f"{prefix}/{VERIFIED}")
        else:
            set_verified(clients.ssm, prefix, newest.image_id, values["aws_tags"])
    return newest.image_id if newest else ""


def region_clients(values: Mapping[str, Any], make: Callable[[str], Clients]) -> dict[str, Clients]:
    """Return clients of the environment's region, which is the first, and of every region that images are copied to."""
    return {region: make(region) for region in [values["aws_region"], *values["image_copy_regions"]]}
