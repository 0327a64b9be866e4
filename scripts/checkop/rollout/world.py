"""The AWS API as a rollout sees it: reads into plain data, and the few changes it makes.

One observation costs four calls however large the group is: DescribeAutoScalingGroups lists all of a group's
instances in one
answer, DescribeTargetHealth all targets, DescribeAlarms up to a hundred names, DescribeInstanceRefreshes a page.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.errors import CheckopError
from checkop.rollout.model import Alarm, Group, Image, Instance, Observation, Refresh, Target, TemplateVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from checkop.aws import Clients
    from checkop.rollout.settings import Settings

REFRESHES_LOOKED_AT = 20


class World:
    """Reads and changes of one fleet.

    Parameters
    ----------
    clients:
        Clients of the fleet's region.
    settings:
        Names of the group, the balancer, the alarms, and the SSM prefix.
    """

    def __init__(self, clients: Clients, settings: Settings) -> None:
        self.clients = clients
        self.region = clients.region
        self._settings = settings
        self._target_group_arn = ""

    # --- reads -------------------------------------------------------------------------------------------------------

    def observe(self) -> Observation:
        """Look at group, targets, alarms and refreshes.

        Raises
        ------
        CheckopError
            The group does not exist.
        """
        return Observation(self.group(self._settings.fleet), self.targets(), self.alarms(), self.refreshes())

    def group(self, name: str) -> Group:
        """Read an Auto Scaling group (DescribeAutoScalingGroups).

        Raises
        ------
        CheckopError
            There is no such group, or it has no launch template.
        """
        found = self.find_group(name)
        if found is None:
            raise CheckopError(
                f"Auto Scaling group {name} does not exist in {self.region}. Make it with playbooks/fleet.yml."
            )
        return found

    def find_group(self, name: str) -> Group | None:
        """Read an Auto Scaling group, or None when there is none."""
        answer = self.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
            "AutoScalingGroups"
        ]
        if not answer:
            return None
        item: Mapping[str, Any] = answer[0]
        template = item.get("LaunchTemplate")
        if template is None:
            raise CheckopError(
                f"Auto Scaling group {name} has no launch template. Put it right with playbooks/fleet.yml."
            )
        return Group(
            name=name,
            template_id=template["LaunchTemplateId"],
            template_version=template.get("Version", "$Default"),
            min_size=item["MinSize"],
            desired=item["DesiredCapacity"],
            max_size=item["MaxSize"],
            zones=tuple(sorted(item["AvailabilityZones"])),
            target_group_arns=tuple(item.get("TargetGroupARNs", ())),
            instances=tuple(_instance(each) for each in item.get("Instances", ())),
            suspended=tuple(process["ProcessName"] for process in item.get("SuspendedProcesses", ())),
        )

    def target_group_arn(self) -> str:
        """Return the ARN of the fleet's target group (DescribeTargetGroups).

        Raises
        ------
        CheckopError
            There is no such target group.
        """
        if not self._target_group_arn:
            name = self._settings.target_group
            try:
                found = self.clients.elbv2.describe_target_groups(Names=[name])["TargetGroups"]
            except self.clients.elbv2.exceptions.TargetGroupNotFoundException:
                found = []
            if not found:
                raise CheckopError(
                    f"Target group {name} does not exist in {self.region}. Make it with playbooks/balancer.yml."
                )
            self._target_group_arn = found[0]["TargetGroupArn"]
        return self._target_group_arn

    def targets(self, arn: str = "") -> tuple[Target, ...]:
        """Read the health of a target group's targets (DescribeTargetHealth); by default the fleet's."""
        answer = self.clients.elbv2.describe_target_health(TargetGroupArn=arn or self.target_group_arn())
        return tuple(
            Target(item["Target"]["Id"], item["TargetHealth"]["State"], item["TargetHealth"].get("Reason", ""))
            for item in answer["TargetHealthDescriptions"]
        )

    def alarms(self) -> tuple[Alarm, ...]:
        """Read the watched alarms (DescribeAlarms); one that does not exist is left out."""
        if not self._settings.alarms:
            return ()
        pages = self.clients.cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNames=list(self._settings.alarms)
        )
        return tuple(
            Alarm(item["AlarmName"], item["StateValue"], item.get("StateReason", ""))
            for page in pages
            for item in page["MetricAlarms"]
        )

    def refreshes(self) -> tuple[Refresh, ...]:
        """Read the newest refreshes (DescribeInstanceRefreshes), the newest first."""
        answer = self.clients.autoscaling.describe_instance_refreshes(
            AutoScalingGroupName=self._settings.fleet, MaxRecords=REFRESHES_LOOKED_AT
        )
        return tuple(_refresh(item) for item in answer["InstanceRefreshes"])

    def image(self, image_id: str) -> Image | None:
        """Read an AMI (DescribeImages), a deprecated one too; None when it does not exist here."""
        try:
            found = self.clients.ec2.describe_images(ImageIds=[image_id], IncludeDeprecated=True)["Images"]
        except ClientError as error:
            if error.response["Error"]["Code"].startswith("InvalidAMIID"):
                return None
            raise
        if not found:
            return None
        item: Mapping[str, Any] = found[0]
        devices = item.get("BlockDeviceMappings", ())
        return Image(
            image_id=item["ImageId"],
            name=item.get("Name", ""),
            state=item["State"],
            architecture=item.get("Architecture", ""),
            created=item.get("CreationDate", ""),
            snapshots=tuple(each["Ebs"]["SnapshotId"] for each in devices if each.get("Ebs", {}).get("SnapshotId")),
            tags={tag["Key"]: tag["Value"] for tag in item.get("Tags", ())},
        )

    def missing_snapshots(self, image: Image) -> tuple[str, ...]:
        """Return those of an AMI's snapshots that are gone or not completed (DescribeSnapshots)."""
        if not image.snapshots:
            return ()
        pages = self.clients.ec2.get_paginator("describe_snapshots").paginate(
            Filters=[{"Name": "snapshot-id", "Values": list(image.snapshots)}], OwnerIds=["self"]
        )
        there = {item["SnapshotId"] for page in pages for item in page["Snapshots"] if item["State"] == "completed"}
        return tuple(snapshot for snapshot in image.snapshots if snapshot not in there)

    def architectures(self, instance_type: str) -> tuple[str, ...]:
        """Return what an instance type runs (DescribeInstanceTypes), for example ``("x86_64",)``."""
        if not instance_type:
            return ()
        found = self.clients.ec2.describe_instance_types(InstanceTypes=[instance_type])  # type: ignore[list-item]
        return tuple(
            name for item in found["InstanceTypes"] for name in item["ProcessorInfo"].get("SupportedArchitectures", ())
        )

    def template_versions(self, template_id: str) -> list[TemplateVersion]:
        """Read all numbered versions of a launch template (DescribeLaunchTemplateVersions)."""
        pages = self.clients.ec2.get_paginator("describe_launch_template_versions").paginate(
            LaunchTemplateId=template_id
        )
        return [_template_version(item) for page in pages for item in page["LaunchTemplateVersions"]]

    def template_version(self, template_id: str, version: str) -> TemplateVersion | None:
        """Read one version, by number, `$Default` or `$Latest`; None when it is gone."""
        try:
            found = self.clients.ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=[version])
        except ClientError as error:
            if "NotFound" in error.response["Error"]["Code"]:
                return None
            raise
        return next((_template_version(item) for item in found["LaunchTemplateVersions"]), None)

    def parameter(self, name: str) -> str:
        """Read a parameter below the prefix (SSM GetParameter), or empty when it is not there."""
        try:
            return self.clients.ssm.get_parameter(Name=f"{self._settings.ssm_prefix}/{name}")["Parameter"]["Value"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                return ""
            raise

    def balancer_state(self) -> str:
        """Return the balancer's state code (DescribeLoadBalancers), or `missing`."""
        try:
            found = self.clients.elbv2.describe_load_balancers(Names=[self._settings.balancer])["LoadBalancers"]
        except self.clients.elbv2.exceptions.LoadBalancerNotFoundException:
            return "missing"
        return found[0].get("State", {}).get("Code", "unknown")

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags of a balancer or target group (DescribeTags of Elastic Load Balancing)."""
        found = self.clients.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return {tag["Key"]: tag.get("Value", "") for item in found for tag in item["Tags"]}

    def caller(self) -> str:
        """Return the ARN of whoever calls (STS GetCallerIdentity)."""
        return self.clients.sts.get_caller_identity()["Arn"]

    # --- changes -----------------------------------------------------------------------------------------------------

    def create_template_version(self, template_id: str, image_id: str, description: str) -> TemplateVersion:
        """Make a numbered version: the default version's settings with another image (CreateLaunchTemplateVersion).

        `playbooks/fleet.yml` keeps the inventory's settings in the default version.
        """
        answer = self.clients.ec2.create_launch_template_version(
            LaunchTemplateId=template_id,
            SourceVersion="$Default",
            VersionDescription=description,
            # An answer that was lost on its way makes no second version.
            ClientToken=f"{self._settings.fleet}-{description}".replace(" ", "-"),
            LaunchTemplateData={"ImageId": image_id},
        )
        return _template_version(answer["LaunchTemplateVersion"])

    def start_refresh(self, group: Group, version: int, preferences: Mapping[str, Any]) -> str:
        """Start a refresh to a numbered version (StartInstanceRefresh); the group keeps its own until the end."""
        answer = self.clients.autoscaling.start_instance_refresh(
            AutoScalingGroupName=group.name,
            Strategy="Rolling",
            DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": group.template_id, "Version": str(version)}},
            Preferences=preferences,  # type: ignore[arg-type]
        )
        return answer["InstanceRefreshId"]

    def rollback_refresh(self) -> None:
        """Have the refresh under way taken back (RollbackInstanceRefresh)."""
        self.clients.autoscaling.rollback_instance_refresh(AutoScalingGroupName=self._settings.fleet)

    def cancel_refresh(self) -> None:
        """End the refresh under way where it stands (CancelInstanceRefresh)."""
        self.clients.autoscaling.cancel_instance_refresh(AutoScalingGroupName=self._settings.fleet)

    def size(self, group: Group, version: int, minimum: int, desired: int, maximum: int) -> None:
        """Give a group without instances its version and its size (UpdateAutoScalingGroup).

        Known peaks count once there is an image for them: the fleet's playbook makes an empty group whose scheduled
        actions are suspended.
        """
        self.clients.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=group.name,
            LaunchTemplate={"LaunchTemplateId": group.template_id, "Version": str(version)},
            MinSize=minimum,
            DesiredCapacity=desired,
            MaxSize=maximum,
        )
        scheduled = ["ScheduledActions"]
        if minimum:
            self.clients.autoscaling.resume_processes(AutoScalingGroupName=group.name, ScalingProcesses=scheduled)
        else:
            self.clients.autoscaling.suspend_processes(AutoScalingGroupName=group.name, ScalingProcesses=scheduled)

    def set_desired(self, group: Group, desired: int) -> None:
        """Give a group another size within its bounds (SetDesiredCapacity)."""
        self.clients.autoscaling.set_desired_capacity(
            AutoScalingGroupName=group.name, DesiredCapacity=desired, HonorCooldown=False
        )

    def launch(self, group: Group, zone: str) -> str:
        """Launch one instance more in a zone (LaunchInstances); return AWS's error, or empty when it was launched."""
        answer = self.clients.autoscaling.launch_instances(
            AutoScalingGroupName=group.name,
            RequestedCapacity=1,
            AvailabilityZones=[zone],
            # An answer that was lost on its way launches no second one.
            ClientToken=uuid.uuid4().hex,
        )
        return "; ".join(f"{error['ErrorCode']}: {error['ErrorMessage']}" for error in answer.get("Errors", ()))

    def suspend(self, process: str) -> None:
        """Suspend a process of the fleet's group (SuspendProcesses)."""
        self.clients.autoscaling.suspend_processes(
            AutoScalingGroupName=self._settings.fleet, ScalingProcesses=[process]
        )

    def resume(self, process: str) -> None:
        """Resume a process of the fleet's group (ResumeProcesses)."""
        self.clients.autoscaling.resume_processes(AutoScalingGroupName=self._settings.fleet, ScalingProcesses=[process])

    def terminate(self, instance_id: str, *, decrement: bool) -> None:
        """End one instance of a group, drained first (TerminateInstanceInAutoScalingGroup)."""
        self.clients.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=decrement
        )

    def put_parameter(self, name: str, value: str) -> None:
        """Write a parameter below the prefix (SSM PutParameter)."""
        self.clients.ssm.put_parameter(
            Name=f"{self._settings.ssm_prefix}/{name}", Value=value, Type="String", Overwrite=True
        )

    def delete_parameter(self, name: str) -> None:
        """Delete a parameter below the prefix; no error when there is none."""
        try:
            self.clients.ssm.delete_parameter(Name=f"{self._settings.ssm_prefix}/{name}")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise


def _template_version(item: Mapping[str, Any]) -> TemplateVersion:
    data = item.get("LaunchTemplateData", {})
    return TemplateVersion(
        number=item["VersionNumber"],
        image_id=data.get("ImageId", ""),
        instance_type=data.get("InstanceType", ""),
        description=item.get("VersionDescription", ""),
        settings=json.dumps(
            {key: value for key, value in data.items() if key != "ImageId"}, sort_keys=True, default=str
        ),
    )


def _instance(item: Mapping[str, Any]) -> Instance:
    version = item.get("LaunchTemplate", {}).get("Version", "")
    return Instance(
        instance_id=item["InstanceId"],
        zone=item["AvailabilityZone"],
        lifecycle_state=item["LifecycleState"],
        health_status=item["HealthStatus"],
        template_version=int(version) if version.isdigit() else None,
        protected=bool(item.get("ProtectedFromScaleIn")),
    )


def _refresh(item: Mapping[str, Any]) -> Refresh:
    version = item.get("DesiredConfiguration", {}).get("LaunchTemplate", {}).get("Version", "")
    preferences = item.get("Preferences", {})
    rollback = item.get("RollbackDetails", {}).get("RollbackReason", "")
    return Refresh(
        refresh_id=item["InstanceRefreshId"],
        status=item["Status"],
        reason=rollback or item.get("StatusReason", ""),
        percentage=item.get("PercentageComplete", 0),
        to_update=item.get("InstancesToUpdate", 0),
        template_version=int(version) if version.isdigit() else None,
        start=item.get("StartTime"),
        end=item.get("EndTime"),
        checkpoints=tuple(preferences.get("CheckpointPercentages", ())),
        checkpoint_delay=preferences.get("CheckpointDelay", 0),
    )
