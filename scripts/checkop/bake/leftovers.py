"""Everything a bake makes carries its run's mark; whatever bears it can be found again and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.bake.publication import ENVIRONMENT_TAG, VERIFIED_TAG, snapshots_of
from checkop.errors import CheckopError
from checkop.reconcile import tag_list, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, ImageTypeDef

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
    group_id = ec2.create_security_group(
        GroupName=f"checkop-bake-{run_id}",
        Description="Bake of an image: ssh from the operator",
        VpcId=vpc_id,
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": tag_list({**tags, RUN_TAG: run_id, "Name": "checkop bake"})}
        ],
    )["GroupId"]
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
    living: list[Any] = [*ours, {"Name": "instance-state-name", "Values": LIVING_STATES}]
    instances = [
        (instance["InstanceId"], instance.get("Tags"))
        for page in ec2.get_paginator("describe_instances").paginate(Filters=living)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    volumes = [
        (volume["VolumeId"], volume.get("Tags"))
        for page in ec2.get_paginator("describe_volumes").paginate(Filters=ours)
        for volume in page["Volumes"]
    ]
    groups = [
        (group["GroupId"], group.get("Tags"))
        for page in ec2.get_paginator("describe_security_groups").paginate(Filters=ours)
        for group in page["SecurityGroups"]
    ]
    copies = [
        (image["ImageId"], image.get("Tags"))
        for image in _images(ec2, [*here, {"Name": "tag-key", "Values": [COPY_TAG]}])
    ]
    found: dict[str, list[str]] = {}
    for name, tags in [*instances, *volumes, *groups, *copies]:
        marks = tag_map(tags)
        found.setdefault(marks.get(RUN_TAG) or marks[COPY_TAG], []).append(name)
    return found


def images(ec2: EC2Client, run_id: str) -> list[ImageTypeDef]:
    """Return the images that a run made (EC2 DescribeImages), published or not."""
    return _images(ec2, marked(run_id))


def _images(ec2: EC2Client, filters: Sequence[FilterTypeDef]) -> list[ImageTypeDef]:
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=filters, IncludeDeprecated=True)
    return [image for page in pages for image in page["Images"]]


def terminate_instances(ec2: EC2Client, run_id: str) -> list[str]:
    """Terminate the run's instances and wait for their end (EC2 TerminateInstances); return their ids."""
    filters: list[Any] = [*marked(run_id), {"Name": "instance-state-name", "Values": LIVING_STATES}]

    def living() -> list[str]:
        pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
        return [
            instance["InstanceId"]
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        ]

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
    """Deregister the run's images and delete their snapshots (EC2 DeregisterImage, DeleteSnapshot); return all ids.

    What has been published stays: from that moment on, somebody may have rolled it out.
    """
    removed = []
    published: set[str] = set()
    snapshots: set[str] = set()
    for image in images(ec2, run_id):
        if VERIFIED_TAG in tag_map(image.get("Tags")):
            published |= set(snapshots_of(image))
            continue
        snapshots |= set(snapshots_of(image))
        ec2.deregister_image(ImageId=image["ImageId"])
        removed.append(image["ImageId"])
    tagged = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=marked(run_id))
    snapshots |= {snapshot["SnapshotId"] for page in tagged for snapshot in page["Snapshots"]}
    return removed + _delete_snapshots(ec2, snapshots - published)


def remove_copies(ec2: EC2Client, run_id: str) -> list[str]:
    """Deregister the run's copy of the hub and delete its snapshots; return their ids."""
    removed = []
    for image in _images(ec2, [{"Name": f"tag:{COPY_TAG}", "Values": [run_id]}]):
        ec2.deregister_image(ImageId=image["ImageId"])
        removed += [image["ImageId"], *_delete_snapshots(ec2, snapshots_of(image))]
    return removed


def _delete_snapshots(ec2: EC2Client, snapshots: Iterable[str]) -> list[str]:
    return [
        snapshot_id
        for snapshot_id in sorted(snapshots)
        if _gone(lambda snapshot_id=snapshot_id: ec2.delete_snapshot(SnapshotId=snapshot_id))  # type: ignore[misc]
    ]


def remove_helpers(ec2: EC2Client, run_id: str) -> list[str]:
    """Delete the run's volumes, key pairs and security groups, once no instance uses them; return what went."""
    removed = []
    volumes = ec2.get_paginator("describe_volumes").paginate(Filters=marked(run_id))
    for volume_id in [volume["VolumeId"] for page in volumes for volume in page["Volumes"]]:
        if _gone(lambda volume_id=volume_id: ec2.delete_volume(VolumeId=volume_id)):  # type: ignore[misc]
            removed.append(volume_id)
    names = [key_pair_name(run_id, purpose) for purpose in ("builder", "gate")]
    pairs = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": names}])["KeyPairs"]
    for name in [pair["KeyName"] for pair in pairs]:
        ec2.delete_key_pair(KeyName=name)
        removed.append(f"key pair {name}")
    groups = ec2.get_paginator("describe_security_groups").paginate(Filters=marked(run_id))
    for group_id in [group["GroupId"] for page in groups for group in page["SecurityGroups"]]:
        if _gone(lambda group_id=group_id: ec2.delete_security_group(GroupId=group_id)):  # type: ignore[misc]
            removed.append(group_id)
    return removed


def _gone(delete: Callable[[], object]) -> bool:
    """Delete something that may have ended by itself; True when this call removed it."""
    try:
        delete()
    except ClientError as error:
        if "NotFound" in error.response["Error"]["Code"]:
            return False
        raise
    return True


def clear(ec2: EC2Client, run_id: str, *, keep_image: bool) -> list[str]:
    """Remove what a run leaves; without `keep_image` its images and snapshots too, if they are not published.

    Returns
    -------
    list[str]
        Ids and names of what was removed.
    """
    removed = terminate_instances(ec2, run_id)
    if not keep_image:
        removed += remove_images(ec2, run_id)
    return removed + remove_copies(ec2, run_id) + remove_helpers(ec2, run_id)
