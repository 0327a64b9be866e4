"""IAM roles with exactly one inline policy, and the instance profiles that carry them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from checkop.reconcile import missing_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import InstanceProfileTypeDef, RoleTypeDef

    from checkop.reconcile import Plan

POLICY_NAME = "checkop"


def trust_policy(service: str, conditions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Let one AWS service assume a role.

    Parameters
    ----------
    service:
        The service's principal, for example ``ec2.amazonaws.com``.
    conditions:
        An IAM condition block, for example against the confused deputy.
    """
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if conditions:
        statement["Condition"] = dict(conditions)
    return {"Version": "2012-10-17", "Statement": [statement]}


def ensure_role(
    iam: IAMClient,
    plan: Plan,
    name: str,
    *,
    description: str,
    trust: Mapping[str, Any],
    statements: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> str:
    """Make a role whose only policy is the given one (IAM CreateRole, PutRolePolicy) and return its ARN.

    Other inline and attached policies are removed: the role may do what the data says and nothing else.

    Parameters
    ----------
    statements:
        The statements of the inline policy.
    """
    resource = f"IAM role {name}"
    role = _role(iam, name)
    if role is None:
        arn = plan.create(
            resource,
            {"description": description, "trust": trust},
            lambda: iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps(trust),
                Description=description,
                Tags=tag_list(tags, Name=name),
            )["Role"]["Arn"],
        )
    else:
        arn = role["Arn"]
        plan.update(
            f"{resource} trust",
            role.get("AssumeRolePolicyDocument"),
            trust,
            lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust)),
        )
        plan.update(
            f"{resource} description",
            role.get("Description", ""),
            description,
            lambda: iam.update_role(RoleName=name, Description=description),
        )
        lacking = missing_tags(tag_map(role.get("Tags")), {**tags, "Name": name})
        plan.update(
            f"{resource} tags",
            {},
            lacking,
            lambda: iam.tag_role(RoleName=name, Tags=tag_list(lacking)),
        )
    _only_policy(iam, plan, name, {"Version": "2012-10-17", "Statement": list(statements)}, exists=role is not None)
    return arn


def _role(iam: IAMClient, name: str) -> RoleTypeDef | None:
    try:
        return iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return None


def _only_policy(iam: IAMClient, plan: Plan, role: str, document: Mapping[str, Any], *, exists: bool) -> None:
    inline: list[str] = []
    if exists:
        for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
            inline += page["PolicyNames"]
        for attached in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
            for policy in attached["AttachedPolicies"]:
                arn = policy["PolicyArn"]
                plan.delete(
                    f"IAM role {role} attached policy {policy['PolicyName']}",
                    arn,
                    lambda arn=arn: iam.detach_role_policy(RoleName=role, PolicyArn=arn),  # type: ignore[misc]
                )
    current: Any = None
    if POLICY_NAME in inline:
        current = iam.get_role_policy(RoleName=role, PolicyName=POLICY_NAME)["PolicyDocument"]
    plan.update(
        f"IAM role {role} policy",
        current,
        dict(document),
        lambda: iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(document)),
    )
    for extra in sorted(set(inline) - {POLICY_NAME}):
        plan.delete(
            f"IAM role {role} inline policy {extra}",
            iam.get_role_policy(RoleName=role, PolicyName=extra)["PolicyDocument"],
            lambda extra=extra: iam.delete_role_policy(RoleName=role, PolicyName=extra),  # type: ignore[misc]
        )


def ensure_instance_profile(iam: IAMClient, plan: Plan, name: str, tags: Mapping[str, str]) -> str:
    """Make the instance profile of the role of the same name (IAM CreateInstanceProfile) and return its ARN."""
    resource = f"Instance profile {name}"
    profile = _profile(iam, name)
    roles: list[str] = []
    if profile is None:
        arn = plan.create(
            resource,
            {"role": name},
            lambda: iam.create_instance_profile(
                InstanceProfileName=name,
                Tags=tag_list(tags, Name=name),
            )["InstanceProfile"]["Arn"],
        )
        if not plan.check:
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
            iam.get_waiter("instance_profile_exists").wait(InstanceProfileName=name)
        return arn
    roles = [role["RoleName"] for role in profile["Roles"]]
    plan.update(f"{resource} role", roles, [name], lambda: _carry(iam, name, roles))
    return profile["Arn"]


def _profile(iam: IAMClient, name: str) -> InstanceProfileTypeDef | None:
    try:
        return iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    except iam.exceptions.NoSuchEntityException:
        return None


def _carry(iam: IAMClient, name: str, roles: Sequence[str]) -> None:
    for role in roles:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
