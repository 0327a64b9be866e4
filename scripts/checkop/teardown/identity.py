"""IAM roles, instance profiles and the console administrators' group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.monitoring.console_group import group_path
from checkop.teardown.model import Item, Kind

if TYPE_CHECKING:
    from checkop.aws import Clients
    from checkop.teardown.model import Scope

# Roles that AWS keeps for its own services; they are many, and never ours.
AWS_PATH = "/aws-service-role/"


def find_instance_profiles(clients: Clients, scope: Scope) -> list[Item]:
    """Instance profiles with the roles in them; their list has no tags, each one's description has."""
    found = []
    for page in clients.iam.get_paginator("list_instance_profiles").paginate():
        for listed in page["InstanceProfiles"]:
            name = listed["InstanceProfileName"]
            profile = clients.iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
            if scope.owns(profile.get("Tags")):
                found.append(Item(name, detail=[role["RoleName"] for role in profile["Roles"]]))
    return found


def remove_instance_profile(clients: Clients, _scope: Scope, item: Item) -> None:
    """Take the roles out of a profile and delete it."""
    for role in item.detail:
        clients.iam.remove_role_from_instance_profile(InstanceProfileName=item.id, RoleName=role)
    clients.iam.delete_instance_profile(InstanceProfileName=item.id)


def find_roles(clients: Clients, scope: Scope) -> list[Item]:
    """Roles."""
    pages = clients.iam.get_paginator("list_roles").paginate()
    return [
        Item(role["RoleName"])
        for page in pages
        for role in page["Roles"]
        if not role["Path"].startswith(AWS_PATH)
        and scope.owns(clients.iam.list_role_tags(RoleName=role["RoleName"])["Tags"])
    ]


def remove_role(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete a role with its policies."""
    for page in clients.iam.get_paginator("list_role_policies").paginate(RoleName=item.id):
        for name in page["PolicyNames"]:
            clients.iam.delete_role_policy(RoleName=item.id, PolicyName=name)
    for attachments in clients.iam.get_paginator("list_attached_role_policies").paginate(RoleName=item.id):
        for attachment in attachments["AttachedPolicies"]:
            clients.iam.detach_role_policy(RoleName=item.id, PolicyArn=attachment["PolicyArn"])
    clients.iam.delete_role(RoleName=item.id)


def find_groups(clients: Clients, scope: Scope) -> list[Item]:
    """IAM groups, by their path: they take no tags."""
    path = group_path(scope.environment)
    pages = clients.iam.get_paginator("list_groups").paginate(PathPrefix=path)
    return [Item(group["GroupName"]) for page in pages for group in page["Groups"] if group["Path"] == path]


def remove_group(clients: Clients, _scope: Scope, item: Item) -> None:
    """Take the members out of a group and delete it with its policies; the members stay."""
    for members in clients.iam.get_paginator("get_group").paginate(GroupName=item.id):
        for user in members["Users"]:
            clients.iam.remove_user_from_group(GroupName=item.id, UserName=user["UserName"])
    for page in clients.iam.get_paginator("list_group_policies").paginate(GroupName=item.id):
        for name in page["PolicyNames"]:
            clients.iam.delete_group_policy(GroupName=item.id, PolicyName=name)
    for attachments in clients.iam.get_paginator("list_attached_group_policies").paginate(GroupName=item.id):
        for attachment in attachments["AttachedPolicies"]:
            clients.iam.detach_group_policy(GroupName=item.id, PolicyArn=attachment["PolicyArn"])
    clients.iam.delete_group(GroupName=item.id)


KINDS = (
    Kind("Instance profile", find_instance_profiles, remove_instance_profile),
    Kind("IAM role", find_roles, remove_role),
    Kind("IAM group", find_groups, remove_group),
)
