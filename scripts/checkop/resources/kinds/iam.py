"""AWS Identity and Access Management: role and instance profile (IAM API Reference)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from checkop.policies import normalise
from checkop.reconcile import tag_list, tag_map
from checkop.resources.kind import Data, Kind, Part, Tags, described, pages


def _policies(client: Any, role: Data) -> dict[str, Any]:
    name = role["RoleName"]
    return {
        policy: client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in pages(client, "list_role_policies", "PolicyNames", RoleName=name)
    }


def _write_policies(client: Any, role: Data, before: Data, after: Data) -> None:
    name = role["RoleName"]
    for policy, document in after.items():
        if normalise(before.get(policy)) != normalise(document):
            client.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    for policy in sorted(before.keys() - after.keys()):
        client.delete_role_policy(RoleName=name, PolicyName=policy)


def _by_meaning(before: Data | None, after: Data) -> tuple[Data, Data]:
    one, other = ({name: normalise(side[name]) for name in side} for side in (before or {}, after))
    return one, other


def _attached(client: Any, role: Data) -> list[str]:
    listed = pages(client, "list_attached_role_policies", "AttachedPolicies", RoleName=role["RoleName"])
    return [policy["PolicyArn"] for policy in listed]


def _write_attached(client: Any, role: Data, before: list[str], after: list[str]) -> None:
    for arn in sorted(set(after) - set(before)):
        client.attach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
    for arn in sorted(set(before) - set(after)):
        client.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)


def _write_trust(client: Any, role: Data, _before: Any, after: str) -> None:
    client.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=after)


def _write_roles(client: Any, profile: Data, before: list[str], after: list[str]) -> None:
    name = profile["InstanceProfileName"]
    # A profile carries one role at most.
    for role in sorted(set(before) - set(after)):
        client.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
    for role in sorted(set(after) - set(before)):
        client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)


def _sorted(before: list[str] | None, after: list[str]) -> tuple[list[str], list[str]]:
    return sorted(before or []), sorted(after)


KINDS: Mapping[str, Kind] = {
    "iam.role": Kind(
        label="IAM role",
        service="iam",
        find=described("get_role", "Role", "RoleName", "NoSuchEntity"),
        create="create_role",
        update="update_role",
        delete="delete_role",
        key="RoleName",
        identifier="RoleName",
        tags=Tags(
            create=lambda tags: {"Tags": tag_list(tags)},
            read=lambda _client, role: tag_map(role.get("Tags")),
            write=lambda client, role, tags: client.tag_role(RoleName=role["RoleName"], Tags=tag_list(tags)),
        ),
        documents=("AssumeRolePolicyDocument",),
        parts={
            "AssumeRolePolicyDocument": Part(
                lambda _client, role: role.get("AssumeRolePolicyDocument"),
                _write_trust,
                "create_role",
                "AssumeRolePolicyDocument",
                created=True,
            ),
            # Exactly these: the role may do what the task says, and nothing else.
            "Policies": Part(_policies, _write_policies, sides=_by_meaning),
            "AttachedPolicies": Part(_attached, _write_attached, sides=_sorted),
        },
    ),
    "iam.instance_profile": Kind(
        label="Instance profile",
        service="iam",
        find=described("get_instance_profile", "InstanceProfile", "InstanceProfileName", "NoSuchEntity"),
        create="create_instance_profile",
        delete="delete_instance_profile",
        key="InstanceProfileName",
        identifier="InstanceProfileName",
        tags=Tags(
            create=lambda tags: {"Tags": tag_list(tags)},
            read=lambda _client, profile: tag_map(profile.get("Tags")),
            write=lambda client, profile, tags: client.tag_instance_profile(
                InstanceProfileName=profile["InstanceProfileName"], Tags=tag_list(tags)
            ),
        ),
        parts={
            "Roles": Part(
                lambda _client, profile: [role["RoleName"] for role in profile["Roles"]], _write_roles, sides=_sorted
            )
        },
    ),
}
