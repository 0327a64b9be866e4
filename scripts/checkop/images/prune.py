"""Old images go in two steps: first they are deprecated and marked with a day, and after that day they are removed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Literal

from checkop.bake.publication import snapshots_of
from checkop.errors import CheckopError
from checkop.images.catalog import PRUNE_TAG, moment
from checkop.removal import delete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mypy_boto3_ec2 import EC2Client

    from checkop.images.catalog import Ami

Verb = Literal["keep", "deprecate", "wait", "restore", "remove"]
# EnableImageDeprecation takes no time that has passed, and cuts the seconds.
DEPRECATION_LEAD = timedelta(minutes=2)


@dataclass(frozen=True)
class Action:
    """What is done with one image, and why."""

    verb: Verb
    ami: Ami
    reasons: tuple[str, ...]


@dataclass
class Removed:
    """What a removal took away, and the snapshots that it left with their reason."""

    image: str
    snapshots: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def plan(amis: Iterable[Ami], reasons: Mapping[str, list[str]], *, keep: int, now: datetime) -> list[Action]:
    """Decide for every image, without asking AWS anything.

    Parameters
    ----------
    amis:
        The environment's images.
    reasons:
        Image id -> why it stays (`checkop.images.reach`).
    keep:
        How many of the newest verified images stay although nothing reaches them (``image_keep``).
    now:
        The present.
    """
    listed = list(amis)
    verified = sorted(
        (ami for ami in listed if ami.verified and not ami.recalled), key=lambda ami: moment(ami.verified), reverse=True
    )
    newest = {ami.image_id for ami in verified[:keep]}
    actions = []
    for ami in listed:
        why = list(reasons.get(ami.image_id, []))
        if ami.image_id in newest:
            why.append(f"one of the {keep} newest verified")
        if ami.state == "pending":
            why.append("still being made")
        due = ami.prune_after
        if why:
            actions.append(Action("restore" if due else "keep", ami, tuple(why)))
        elif due is None:
            actions.append(Action("deprecate", ami, ("nothing reaches it",)))
        elif due > now:
            actions.append(Action("wait", ami, (f"nothing reaches it, to be removed after {due:%Y-%m-%d %H:%M} UTC",)))
        else:
            actions.append(Action("remove", ami, (f"nothing has reached it, and {due:%Y-%m-%d %H:%M} UTC is over",)))
    return actions


def shared_snapshots(ec2: EC2Client, image_id: str, snapshots: Iterable[str]) -> dict[str, str]:
    """Return those snapshots that somebody else uses, with who: another image, or accounts they are shared with.

    Follows EC2 DescribeImages and DescribeSnapshotAttribute (createVolumePermission).
    """
    users: dict[str, list[str]] = defaultdict(list)
    for page in ec2.get_paginator("describe_images").paginate(Owners=["self"], IncludeDeprecated=True):
        for image in page["Images"]:
            if image["ImageId"] != image_id:
                for snapshot_id in snapshots_of(image):
                    users[snapshot_id].append(f"image {image['ImageId']}")
    for snapshot_id in snapshots:
        attribute = ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
        for permission in attribute.get("CreateVolumePermissions", []):
            holder = permission.get("UserId") or f"group {permission.get('Group')}"
            users[snapshot_id].append(f"shared with {holder}")
    return {snapshot_id: ", ".join(users[snapshot_id]) for snapshot_id in snapshots if users[snapshot_id]}


class Pruner:
    """Carries a plan out.

    Parameters
    ----------
    ec2:
        Client of the images' region.
    wait:
        Time between deprecation and removal.
    now:
        The present.
    """

    def __init__(self, ec2: EC2Client, wait: timedelta, now: datetime | None = None) -> None:
        self._ec2 = ec2
        self._wait = wait
        self._now = now or datetime.now(timezone.utc)

    def apply(self, actions: Iterable[Action], still_unreached: Callable[[str], bool]) -> list[Removed]:
        """Carry the actions out; an image that is to be removed is looked at once more right before it.

        Parameters
        ----------
        actions:
            From `plan`.
        still_unreached:
            Asks AWS anew whether nothing reaches an image.
        """
        removed = []
        for action in actions:
            if action.verb == "deprecate":
                self.deprecate(action.ami)
            elif action.verb == "restore":
                self.restore(action.ami)
            elif action.verb == "remove" and still_unreached(action.ami.image_id):
                removed.append(self.remove(action.ami))
        return removed

    def deprecate(self, ami: Ami) -> None:
        """Deprecate an image and mark the day of its removal (EC2 EnableImageDeprecation, CreateTags)."""
        self._ec2.enable_image_deprecation(ImageId=ami.image_id, DeprecateAt=self._now + DEPRECATION_LEAD)
        due = (self._now + self._wait).astimezone(timezone.utc).isoformat(timespec="seconds")
        self._ec2.create_tags(Resources=[ami.image_id], Tags=[{"Key": PRUNE_TAG, "Value": due}])

    def restore(self, ami: Ami) -> None:
        """Take the mark and the deprecation back (EC2 DeleteTags, DisableImageDeprecation)."""
        self._ec2.disable_image_deprecation(ImageId=ami.image_id)
        self._ec2.delete_tags(Resources=[ami.image_id], Tags=[{"Key": PRUNE_TAG}])

    def remove(self, ami: Ami) -> Removed:
        """Deregister an image and delete its snapshots, but those that somebody else uses (EC2 DeregisterImage)."""
        removed = Removed(ami.image_id, left=shared_snapshots(self._ec2, ami.image_id, ami.snapshots))
        self._ec2.deregister_image(ImageId=ami.image_id)
        for snapshot_id in ami.snapshots:
            if snapshot_id not in removed.left:
                try:
                    delete(snapshot_id, partial(self._ec2.delete_snapshot, SnapshotId=snapshot_id))
                except CheckopError as error:
                    # Once its image is gone nothing leads to a snapshot any more: it has to be named.
                    removed.left[snapshot_id] = str(error)
                else:
                    removed.snapshots.append(snapshot_id)
        return removed
