"""A bake from the running hub: an image of it without a reboot, from which the builder starts.

The hub itself stays as it is: only the copy is sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.bake.leftovers import COPY_TAG
from checkop.errors import CheckopError
from checkop.reconcile import tag_list
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client

IMAGE_SECONDS = 3600


@dataclass(frozen=True)
class Hub:
    """The hub's instance."""

    instance_id: str
    name: str


def find(ec2: EC2Client, values: Mapping[str, Any]) -> Hub:
    """Find the running hub by its tags (EC2 DescribeInstances).

    Raises
    ------
    CheckopError
        None runs, or more than one does.
    """
    filters: list[Any] = [
        {"Name": "tag:checkop:environment", "Values": [values["checkop_environment"]]},
        {"Name": "tag:checkop:group", "Values": ["base_chop"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    found = [
        instance["InstanceId"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    if len(found) != 1:
        raise CheckopError(
            f"{values['hub_name']}: {len(found)} instances run with checkop:group=base_chop; a bake from the hub needs "
            "exactly one. Run playbooks/hub.yml, or end the one that is too many."
        )
    return Hub(found[0], values["hub_name"])


def copy(ec2: EC2Client, values: Mapping[str, Any], run_id: str) -> str:
    """Make an image of the hub without stopping it, wait until it can be started from, and return its id.

    Follows EC2 CreateImage with NoReboot: the disk is copied as it is at that moment, as after a power cut, which the
    journalling file system and the seal afterwards put right.
    """
    hub = find(ec2, values)
    tags = tag_list({**values["aws_tags"], COPY_TAG: run_id, "Name": f"{hub.name} copy {run_id}"})
    image_id = ec2.create_image(
        InstanceId=hub.instance_id,
        Name=f"{values['image_name_prefix']}-hub-copy-{run_id}",
        Description=f"Copy of {hub.name} ({hub.instance_id}), removed after the bake",
        NoReboot=True,
        TagSpecifications=[
            {"ResourceType": "image", "Tags": tags},
            {"ResourceType": "snapshot", "Tags": tags},
        ],
    )["ImageId"]

    def look() -> tuple[bool, str]:
        # Not by ImageIds, which is an error as long as EC2 does not know it everywhere.
        found = ec2.describe_images(Owners=["self"], Filters=[{"Name": "image-id", "Values": [image_id]}])["Images"]
        state = found[0]["State"] if found else "not visible yet"
        if state in {"failed", "error", "invalid"}:
            raise CheckopError(f"The copy {image_id} of {hub.instance_id} ended as {state}.")
        return state == "available", state

    wait_until(f"image {image_id} of the hub", look, timeout_seconds=IMAGE_SECONDS)
    return image_id
