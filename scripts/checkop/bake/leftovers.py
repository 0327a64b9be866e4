"""Everything a bake makes carries its run's mark; whatever bears it can be found again and removed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from checkop.bake.publication import ENVIRONMENT_TAG, VERIFIED_TAG, snapshots_of
from checkop.errors import CheckopError
from checkop.reconcile import tag_list, tag_map
from checkop.removal import delete
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        ImageTypeDef,
        InstanceTypeDef,
        SecurityGroupTypeDef,
        SnapshotTypeDef,
        VolumeTypeDef,
    )

RUN_TAG = "checkop:bake-run"
# The copy of the hub that a bake starts from: a mark of its own, because it goes whether the bake succeeds or not.
COPY_TAG = "checkop:hub-copy-of-run"
TERMINATION_SECONDS = 600
LIVING_STATES = ["pending", "running", "shutting-down", "stopping", "stopped"]


def marked(run_id: str) -> list[FilterTypeDef]:
    """Filters for what carries the mark of a run."""
    return [{"Name": f"tag:{RUN_TAG}", "Values": [run_id]}]


def key_pair_name(run_id: str, purpose: str) -> str:
    """Name of one of the run's temporary key pairs; ``builder`` is Packer's."""
    return f"checkop-bake-{run_id}-{purpose}"


def make_security_group(ec2: EC2Client, run_id: str, vpc_id: str, cidrs: Sequence[str], tags: Mapping[str, str]) -> str:
    """Make the run's security group: ssh from the operator's addresses, nothing else (EC2 CreateSecurityGroup).

    Parameters
    ----------
    cidrs:
        The operator's addresses.
    tags:
        The environment's tags.

    Raises
    ------
    CheckopError
        No address was given: a builder is never open to everybody.
    """
    if not cidrs or "0.0.0.0/0" in cidrs:
        raise CheckopError(
            f"perimeter_administrator_cidrs is {list(cidrs)}; the builder is reached by ssh from named addresses only. "
            "Put your own into the inventory's perimeter.yml, or name it with --operator-cidr 203.0.113.7/32."
        )
    group_id: str = ec2.create_security_group(
        GroupName=f"checkop-bake-{run_id}",
        Description="Bake of an image: ssh from the operator",
        VpcId=vpc_id,
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": tag_list({**tags, RUN_TAG: run_id, "Name": "checkop bake"})}
        ],
    )["GroupId"]
    # Whoever is told its id next has to find it.
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group_id])
    ec2.authorize_security_group_ingress(
        GroupId=group_id,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": cidr} for cidr in cidrs]}
        ],
    )
    return group_id


def by_run(ec2: EC2Client, environment: str) -> dict[str, list[str]]:
    """Find what bakes use and remove at their end: instances, volumes, security groups, copies of the hub.

    Parameters
    ----------
    environment:
        The inventory's ``checkop_environment``.

    Returns
    -------
    dict[str, list[str]]
        Mark of a run -> ids. A run is under way, or was killed before it could remove them.
    """
    here: list[Any] = [{"Name": f"tag:{ENVIRONMENT_TAG}", "Values": [environment]}]
    ours: list[Any] = [*here, {"Name": "tag-key", "Values": [RUN_TAG]}]
    copied: list[Any] = [*here, {"Name": "tag-key", "Values": [COPY_TAG]}]
    there: list[tuple[str, Any]] = [
        *((instance["InstanceId"], instance.get("Tags")) for instance in _living(ec2, ours)),
        *((volume["VolumeId"], volume.get("Tags")) for volume in _volumes(ec2, ours)),
        *((group["GroupId"], group.get("Tags")) for group in _security_groups(ec2, ours)),
        *((image["ImageId"], image.get("Tags")) for image in _images(ec2, copied)),
        *((snapshot["SnapshotId"], snapshot.get("Tags")) for snapshot in _snapshots(ec2, copied)),
    ]
    found: dict[str, list[str]] = {}
    for name, tags in there:
        marks = tag_map(tags)
        found.setdefault(marks.get(RUN_TAG) or marks[COPY_TAG], []).append(name)
    return found


def images(ec2: EC2Client, run_id: str) -> list[ImageTypeDef]:
    """Return the images that a run made (EC2 DescribeImages), verified or not.

    By their names, too: Packer 1.6.6 marks an image only once it is available.
    """
    named = _images(ec2, [{"Name": "name", "Values": [f"*-{run_id}"]}])
    found = {image["ImageId"]: image for image in [*_images(ec2, marked(run_id)), *named]}
    return [image for image in found.values() if COPY_TAG not in tag_map(image.get("Tags"))]


def verified(ec2: EC2Client, run_id: str) -> list[str]:
    """Return the ids of the run's images that have passed their gates: somebody may be rolling them out."""
    return [image["ImageId"] for image in images(ec2, run_id) if VERIFIED_TAG in tag_map(image.get("Tags"))]


def _living(ec2: EC2Client, filters: Sequence[FilterTypeDef]) -> list[InstanceTypeDef]:
    living: list[Any] = [*filters, {"Name": "instance-state-name", "Values": LIVING_STATES}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=living)
    return [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]


def _volumes(ec2: EC2Client, filters: Sequence[FilterTypeDef]) -> list[VolumeTypeDef]:
    pages = ec2.get_paginator("describe_volumes").paginate(Filters=filters)
    return [volume for page in pages for volume in page["Volumes"]]


def _security_groups(ec2: EC2Client, filters: Sequence[FilterTypeDef]) -> list[SecurityGroupTypeDef]:
    pages = ec2.get_paginator("describe_security_groups").paginate(Filters=filters)
    return [group for page in pages for group in page["SecurityGroups"]]


def _images(ec2: EC2Client, filters: Sequence[FilterTypeDef]) -> list[ImageTypeDef]:
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=filters, IncludeDeprecated=True)
    return [image for page in pages for image in page["Images"]]


def _snapshots(ec2: EC2Client, filters: Sequence[FilterTypeDef]) -> list[SnapshotTypeDef]:
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
    return [snapshot for page in pages for snapshot in page["Snapshots"]]


def terminate_instances(ec2: EC2Client, run_id: str) -> list[str]:
    """Terminate the run's instances and wait for their end (EC2 TerminateInstances); return their ids."""

    def living() -> list[str]:
        return [instance["InstanceId"] for instance in _living(ec2, marked(run_id))]

    found = living()
    if found:
        ec2.terminate_instances(InstanceIds=found)

    def look() -> tuple[bool, str]:
        left = living()
        return not left, ", ".join(left)

    if found:
        wait_until(f"the end of instances {', '.join(found)}", look, timeout_seconds=TERMINATION_SECONDS)
    return found


def remove_images(ec2: EC2Client, run_id: str) -> list[str]:
    """Deregister the run's images and delete their snapshots (EC2 DeregisterImage, DeleteSnapshot); return all ids."""
    return _remove_images(ec2, images(ec2, run_id), marked(run_id))


def remove_copies(ec2: EC2Client, run_id: str) -> list[str]:
    """Deregister the run's copy of the hub and delete its snapshots; return their ids."""
    copies: list[Any] = [{"Name": f"tag:{COPY_TAG}", "Values": [run_id]}]
    return _remove_images(ec2, _images(ec2, copies), copies)


def _remove_images(ec2: EC2Client, found: Sequence[ImageTypeDef], marks: Sequence[FilterTypeDef]) -> list[str]:
    removed = []
    snapshots = {snapshot["SnapshotId"] for snapshot in _snapshots(ec2, marks)}
    for image in found:
        # An image that is still being made names no snapshots yet; EC2 describes them by its id.
        made = f"Created by CreateImage(*) for {image['ImageId']}*"
        snapshots |= {one["SnapshotId"] for one in _snapshots(ec2, [{"Name": "description", "Values": [made]}])}
        snapshots |= set(snapshots_of(image))
        ec2.deregister_image(ImageId=image["ImageId"])
        removed.append(image["ImageId"])
    deleted = [name for name in sorted(snapshots) if delete(name, partial(ec2.delete_snapshot, SnapshotId=name))]
    return removed + deleted


def remove_key_pairs(ec2: EC2Client, run_id: str) -> list[str]:
    """Delete the run's key pairs, Packer's and the gates' (EC2 DeleteKeyPair)."""
    names = [key_pair_name(run_id, purpose) for purpose in ("builder", "gate")]
    pairs = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": names}])["KeyPairs"]
    for pair in pairs:
        ec2.delete_key_pair(KeyName=pair["KeyName"])
    return [f"key pair {pair['KeyName']}" for pair in pairs]


def remove_volumes(ec2: EC2Client, run_id: str) -> list[str]:
    """Delete the run's volumes that did not end with their instances (EC2 DeleteVolume)."""
    names = [volume["VolumeId"] for volume in _volumes(ec2, marked(run_id))]
    return [name for name in names if delete(name, partial(ec2.delete_volume, VolumeId=name))]


def remove_security_groups(ec2: EC2Client, run_id: str) -> list[str]:
    """Delete the run's security group, once no network interface is in it (EC2 DeleteSecurityGroup)."""
    names = [group["GroupId"] for group in _security_groups(ec2, marked(run_id))]
    return [name for name in names if delete(name, partial(ec2.delete_security_group, GroupId=name))]


def clear(ec2: EC2Client, run_id: str, *, keep_image: bool, elsewhere: Sequence[EC2Client] = ()) -> list[str]:
    """Remove what a run leaves; without `keep_image` its images and snapshots too, if they are not verified.

    Parameters
    ----------
    ec2:
        Client of the environment's region.
    run_id:
        The run's mark.
    keep_image:
        Leave the run's images alone.
    elsewhere:
        Clients of the regions that images are copied to.

    Returns
    -------
    list[str]
        Ids and names of what was removed.

    Raises
    ------
    CheckopError
        Something could not be removed; everything else was.
    """
    steps: list[Callable[[], list[str]]] = [partial(terminate_instances, ec2, run_id)]
    if not keep_image:
        steps += [partial(_remove_unverified, ec2, run_id, elsewhere)]
    others = (remove_copies, remove_key_pairs, remove_volumes, remove_security_groups)
    steps += [partial(remove, ec2, run_id) for remove in others]
    removed, failed = [], []
    for step in steps:
        try:
            removed += step()
        except (CheckopError, BotoCoreError, ClientError) as error:
            failed.append(str(error))
    if failed:
        raise CheckopError(
            f"Bake {run_id} left something that could not be removed: {'; '.join(failed)} Removed were: "
            f"{', '.join(removed) or 'nothing'}. Try again later with checkop bake --clear {run_id}."
        )
    return removed


def _remove_unverified(ec2: EC2Client, run_id: str, elsewhere: Sequence[EC2Client]) -> list[str]:
    if verified(ec2, run_id):
        return []
    return [name for region in (ec2, *elsewhere) for name in remove_images(region, run_id)]
