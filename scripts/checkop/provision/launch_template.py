"""The fleet's launch template: numbered versions, of which the default one is what the next rollout starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.reconcile import missing_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import LaunchTemplateTypeDef

    from checkop.reconcile import Plan

# Only requests with a session token reach the metadata service, and their answers do not leave the instance.
METADATA_OPTIONS = {
    "HttpEndpoint": "enabled",
    "HttpTokens": "required",
    "HttpPutResponseHopLimit": 1,
    "InstanceMetadataTags": "enabled",
}


@dataclass(frozen=True)
class Machine:
    """What an instance is, apart from its image and its place.

    Parameters
    ----------
    root_volume_gb:
        GiB of the encrypted root volume.
    tags:
        Tags of instances, volumes and network interfaces.
    """

    instance_type: str
    key_name: str
    instance_profile: str
    security_group_id: str
    root_device: str
    root_volume_gb: int
    root_volume_type: str
    tags: Mapping[str, str]


def root_volume(machine: Machine) -> list[dict[str, Any]]:
    """Give the block device mappings: one encrypted root volume, which ends with its instance."""
    return [
        {
            "DeviceName": machine.root_device,
            "Ebs": {
                "VolumeSize": machine.root_volume_gb,
                "VolumeType": machine.root_volume_type,
                "Encrypted": True,
                "DeleteOnTermination": True,
            },
        }
    ]


def template_data(machine: Machine) -> dict[str, Any]:
    """Give LaunchTemplateData without its image."""
    kinds = ("instance", "volume", "network-interface")
    return {
        "InstanceType": machine.instance_type,
        "KeyName": machine.key_name,
        "IamInstanceProfile": {"Name": machine.instance_profile},
        "SecurityGroupIds": [machine.security_group_id],
        "BlockDeviceMappings": root_volume(machine),
        "MetadataOptions": METADATA_OPTIONS,
        "Monitoring": {"Enabled": True},
        "TagSpecifications": [{"ResourceType": kind, "Tags": tag_list(machine.tags)} for kind in kinds],
    }


def settings_of(data: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Give what matters of a version's data: all but the image, and of nested data only what is wanted of it.

    AWS adds to its answers what was not asked for (a ``State``, for example).
    """
    return {key: _shape(value, wanted.get(key)) for key, value in data.items() if key != "ImageId" and value}


def _shape(value: Any, wanted: Any) -> Any:
    if isinstance(value, dict) and isinstance(wanted, dict):
        return {key: _shape(item, wanted[key]) for key, item in value.items() if key in wanted}
    if isinstance(value, list) and isinstance(wanted, list):
        if value and isinstance(value[0], dict) and "Key" in value[0]:
            return sorted(({"Key": tag["Key"], "Value": tag["Value"]} for tag in value), key=lambda tag: tag["Key"])
        shapes = [*wanted, *[None] * (len(value) - len(wanted))]
        return [_shape(item, shape) for item, shape in zip(value, shapes, strict=False)]
    return value


def find_template(ec2: EC2Client, name: str) -> LaunchTemplateTypeDef | None:
    """Find a launch template by its name (EC2 DescribeLaunchTemplates)."""
    answer = ec2.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": [name]}])
    found = answer["LaunchTemplates"]
    return found[0] if found else None


def ensure_launch_template(
    ec2: EC2Client,
    plan: Plan,
    name: str,
    machine: Machine,
    *,
    image: Callable[[], str],
    tags: Mapping[str, str],
) -> str:
    """Make the launch template with version 1, or a new default version when its settings differ.

    A new version is not rolled out: the next rollout starts from it.

    Parameters
    ----------
    image:
        Finds the image of a version made here; called only when one is made.

    Returns
    -------
    str
        Id of the launch template.
    """
    wanted = template_data(machine)
    found = find_template(ec2, name)
    if found is None:
        first = image()
        return plan.create(
            f"Launch template {name}",
            {"ImageId": first, **wanted},
            lambda: ec2.create_launch_template(
                LaunchTemplateName=name,
                VersionDescription="Made by playbooks/fleet.yml",
                LaunchTemplateData={"ImageId": first, **wanted},  # type: ignore[typeddict-item]
                TagSpecifications=[{"ResourceType": "launch-template", "Tags": tag_list(tags, Name=name)}],
            )["LaunchTemplate"]["LaunchTemplateId"],
        )
    identifier = found["LaunchTemplateId"]
    lacking = missing_tags(tag_map(found.get("Tags")), {**tags, "Name": name})
    plan.update(
        f"Launch template {name} tags",
        {},
        lacking,
        lambda: ec2.create_tags(Resources=[identifier], Tags=tag_list(lacking)),
    )
    default = ec2.describe_launch_template_versions(LaunchTemplateId=identifier, Versions=["$Default"])
    current: Mapping[str, Any] = default["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    plan.update(
        f"Launch template {name} settings (new default version, not rolled out)",
        settings_of(current, wanted),
        wanted,
        lambda: _new_default(ec2, identifier, {"ImageId": image(), **wanted}),
    )
    return identifier


def _new_default(ec2: EC2Client, identifier: str, data: Mapping[str, Any]) -> None:
    made = ec2.create_launch_template_version(
        LaunchTemplateId=identifier,
        VersionDescription="Settings changed by playbooks/fleet.yml",
        LaunchTemplateData=data,  # type: ignore[arg-type]
    )
    number = made["LaunchTemplateVersion"]["VersionNumber"]
    ec2.modify_launch_template(LaunchTemplateId=identifier, DefaultVersion=str(number))
