"""Amazon EC2: key pair and launch template (Amazon EC2 API Reference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkop.reconcile import tag_list, tag_map
from checkop.resources.kind import Data, Kind, Part, Tags


def tags(resource_type: str, identifier: str) -> Tags:
    """Return how EC2 tags a kind: by a specification when it is created, by its id afterwards."""
    return Tags(
        create=lambda given: {"TagSpecifications": [{"ResourceType": resource_type, "Tags": tag_list(given)}]},
        read=lambda _client, found: tag_map(found.get("Tags")),
        write=lambda client, found, given: client.create_tags(Resources=[found[identifier]], Tags=tag_list(given)),
    )


def _find_key_pair(client: Any, name: str, _desired: Data) -> Data | None:
    filters = [{"Name": "key-name", "Values": [name]}]
    found = client.describe_key_pairs(Filters=filters, IncludePublicKey=True)["KeyPairs"]
    return dict(found[0]) if found else None


def key_material(public_key: str) -> str:
    """Give type and key of an OpenSSH public key, without its comment, which EC2 may change."""
    return " ".join(public_key.split()[:2])


def _find_template(client: Any, name: str, _desired: Data) -> Data | None:
    filters = [{"Name": "launch-template-name", "Values": [name]}]
    found = client.describe_launch_templates(Filters=filters)["LaunchTemplates"]
    return dict(found[0]) if found else None


def _default_version(client: Any, template: Data) -> Data:
    answer = client.describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Default"]
    )
    return dict(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"])


def _new_default_version(client: Any, template: Data, _before: Data, after: Data) -> None:
    """Add a version and make it the default: the next release starts from it, nothing that runs changes."""
    made = client.create_launch_template_version(
        LaunchTemplateId=template["LaunchTemplateId"],
        VersionDescription="Settings changed by playbooks/fleet.yml",
        LaunchTemplateData=after,
    )
    number = made["LaunchTemplateVersion"]["VersionNumber"]
    client.modify_launch_template(LaunchTemplateId=template["LaunchTemplateId"], DefaultVersion=str(number))


def settings(before: Data | None, after: Data) -> tuple[Data, Data]:
    """Return what matters of a version's data: all but the image, which is the releases' business.

    Of nested data only what is desired counts: AWS adds to its answers what was not asked for (a ``State``, for
    example).
    """
    kept = {key: value for key, value in (before or {}).items() if key != "ImageId" and value}
    wanted = {key: value for key, value in after.items() if key != "ImageId"}
    return {key: _shape(value, wanted.get(key)) for key, value in kept.items()}, _shape(wanted, wanted)


def _shape(value: Any, wanted: Any) -> Any:
    if isinstance(value, dict) and isinstance(wanted, dict):
        return {key: _shape(item, wanted[key]) for key, item in value.items() if key in wanted}
    if isinstance(value, list) and isinstance(wanted, list):
        if value and isinstance(value[0], dict) and "Key" in value[0]:
            return sorted(({"Key": tag["Key"], "Value": tag["Value"]} for tag in value), key=lambda tag: tag["Key"])
        shapes = [*wanted, *[None] * (len(value) - len(wanted))]
        return [_shape(item, shape) for item, shape in zip(value, shapes, strict=False)]
    return value


KINDS: Mapping[str, Kind] = {
    "ec2.key_pair": Kind(
        label="Key pair",
        service="ec2",
        find=_find_key_pair,
        create="import_key_pair",
        delete="delete_key_pair",
        key="KeyName",
        identifier="KeyPairId",
        tags=tags("key-pair", "KeyPairId"),
        reads={"PublicKeyMaterial": lambda found: key_material(found.get("PublicKey", ""))},
        settle=lambda _found, desired: {**desired, "PublicKeyMaterial": key_material(desired["PublicKeyMaterial"])},
        remedy="Give fleet_key_name another name: instances keep the key that they were started with.",
    ),
    "ec2.launch_template": Kind(
        label="Launch template",
        service="ec2",
        find=_find_template,
        create="create_launch_template",
        delete="delete_launch_template",
        key="LaunchTemplateName",
        identifier="LaunchTemplateId",
        tags=tags("launch-template", "LaunchTemplateId"),
        initial=("VersionDescription",),
        parts={
            "LaunchTemplateData": Part(
                _default_version,
                _new_default_version,
                "create_launch_template",
                "LaunchTemplateData",
                created=True,
                sides=settings,
            )
        },
    ),
}
