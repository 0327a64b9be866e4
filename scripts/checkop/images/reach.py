"""What reaches an image: whoever runs it, may start it, or may have to go back to it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from checkop import ledger as ledgers
from checkop.images.source import published_images
from checkop.ledger import Ledger
from checkop.rollout.lock import Lock, this_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

    from checkop.aws import Clients
    from checkop.ledger import Entry

Reasons = dict[str, list[str]]
ENDED = frozenset({"Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"})


class Reach:
    """Collects, image by image, why it has to stay.

    Parameters
    ----------
    clients:
        Clients of the environment's region.
    values:
        The inventory's variables.
    """

    def __init__(self, clients: Clients, values: Mapping[str, Any]) -> None:
        self._ec2: EC2Client = clients.ec2
        self._autoscaling: AutoScalingClient = clients.autoscaling
        self._ssm: SSMClient = clients.ssm
        self._prefix: str = values["ssm_prefix"]
        self._window: int = values["rollout_window"]
        # Launch template id -> version number -> image.
        self._versions: dict[str, dict[int, str]] = {}

    def collect(self) -> Reasons:
        """Return image id -> the reasons why it stays.

        An answer that AWS refuses is raised and not skipped: without it nobody can say what is reachable.
        """
        reasons: Reasons = defaultdict(list)
        entries = Ledger(self._ssm, self._prefix).entries()
        for image, reason in [
            *self._published(),
            *self._lock(),
            *self._instances(),
            *self._templates(),
            *self._groups(),
            *self._ledger(entries),
        ]:
            if image and reason not in reasons[image]:
                reasons[image].append(reason)
        return dict(reasons)

    def _published(self) -> Iterable[tuple[str, str]]:
        for name, image in published_images(self._ssm, self._prefix).items():
            yield image, f"SSM {name}"

    def _lock(self) -> Iterable[tuple[str, str]]:
        """The rollout that has begun but is not in the ledger yet."""
        holder = Lock(self._ssm, self._prefix, this_session("")).read()
        if holder is not None:
            yield holder.image, f"{holder.operation} {holder.release}, under way"

    def _instances(self) -> Iterable[tuple[str, str]]:
        """Instances of the whole account that have not ended (EC2 DescribeInstances)."""
        states = ["pending", "running", "stopping", "stopped"]
        pages = self._ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "instance-state-name", "Values": states}]
        )
        for page in pages:
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    yield instance["ImageId"], f"instance {instance['InstanceId']}"

    def _templates(self) -> Iterable[tuple[str, str]]:
        """Newest and default version of every launch template of the account (EC2 DescribeLaunchTemplateVersions)."""
        for template in self._every_template():
            name = template["LaunchTemplateName"]
            numbers = {template["DefaultVersionNumber"]: "default", template["LatestVersionNumber"]: "newest"}
            for number, image in self._images_of(template["LaunchTemplateId"]).items():
                if number in numbers:
                    yield image, f"{numbers[number]} version {number} of launch template {name}"

    def _every_template(self) -> list[Any]:
        pages = self._ec2.get_paginator("describe_launch_templates").paginate()
        return [template for page in pages for template in page["LaunchTemplates"]]

    def _groups(self) -> Iterable[tuple[str, str]]:
        """Versions that groups, their instances and refreshes under way name (Auto Scaling's Describe actions)."""
        for page in self._autoscaling.get_paginator("describe_auto_scaling_groups").paginate():
            for group in page["AutoScalingGroups"]:
                name = group["AutoScalingGroupName"]
                named = [group.get("LaunchTemplate"), _mixed(group)]
                named += [instance.get("LaunchTemplate") for instance in group.get("Instances", [])]
                for template in named:
                    yield self._image(template), f"group {name}"
                answer = self._autoscaling.describe_instance_refreshes(AutoScalingGroupName=name)
                for refresh in answer["InstanceRefreshes"]:
                    if refresh["Status"] not in ENDED:
                        wanted = refresh.get("DesiredConfiguration", {}).get("LaunchTemplate")
                        yield self._image(wanted), f"refresh {refresh['InstanceRefreshId']} of {name}"

    def _ledger(self, entries: list[Entry]) -> Iterable[tuple[str, str]]:
        """Releases under way, and the newest good ones, as many as the window says."""
        good = [entry for entry in entries if entry.result == "succeeded"]
        windowed: list[str] = []
        for entry in ledgers.newest_first(good):
            if entry.image not in windowed:
                windowed.append(entry.image)
            if entry.image in windowed[: self._window]:
                yield entry.image, f"release {entry.release}"
        for entry in entries:
            if entry.open:
                yield entry.image, f"release {entry.release}, under way"
                yield entry.previous_image, f"way back of release {entry.release}, under way"

    def _image(self, template: Mapping[str, Any] | None) -> str:
        if not template:
            return ""
        template_id = template["LaunchTemplateId"]
        versions = self._images_of(template_id)
        wanted = template.get("Version", "$Default")
        if not wanted.isdigit():
            answer = self._ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[wanted])
            return answer["LaunchTemplateVersions"][0]["LaunchTemplateData"].get("ImageId", "")
        # A version that was deleted starts nothing any more.
        return versions.get(int(wanted), "")

    def _images_of(self, template_id: str) -> dict[int, str]:
        if template_id not in self._versions:
            pages = self._ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateId=template_id)
            self._versions[template_id] = {
                version["VersionNumber"]: version["LaunchTemplateData"].get("ImageId", "")
                for page in pages
                for version in page["LaunchTemplateVersions"]
            }
        return self._versions[template_id]


def _mixed(group: Mapping[str, Any]) -> Mapping[str, Any] | None:
    policy = group.get("MixedInstancesPolicy", {})
    found: Mapping[str, Any] | None = policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification")
    return found
