"""Auto Scaling groups, instances, launch templates, images, volumes, addresses and key pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.reconcile import tag_map
from checkop.teardown.model import Item, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from checkop.aws import Clients
    from checkop.teardown.model import Scope


def named(found: Iterable[Any], key: str) -> list[Item]:
    """Turn what EC2 describes into items, named by their tag ``Name``."""
    return [Item(thing[key], tag_map(thing.get("Tags")).get("Name", "")) for thing in found]


def find_groups(clients: Clients, scope: Scope) -> list[Item]:
    """Auto Scaling groups, by DescribeAutoScalingGroups."""
    pages = clients.autoscaling.get_paginator("describe_auto_scaling_groups").paginate()
    return [
        Item(group["AutoScalingGroupName"])
        for page in pages
        for group in page["AutoScalingGroups"]
        if scope.owns(group["Tags"])
    ]


def remove_group(clients: Clients, _scope: Scope, item: Item) -> None:
    """Delete a group together with its instances, without waiting for lifecycle hooks."""
    clients.autoscaling.delete_auto_scaling_group(AutoScalingGroupName=item.id, ForceDelete=True)


def find_instances(clients: Clients, scope: Scope) -> list[Item]:
    """Instances that are not terminated yet."""
    states = ["pending", "running", "shutting-down", "stopping", "stopped"]
    pages = clients.ec2.get_paginator("describe_instances").paginate(
        Filters=[*scope.filters, {"Name": "instance-state-name", "Values": states}]
    )
    reservations = [reservation for page in pages for reservation in page["Reservations"]]
    return [
        Item(instance["InstanceId"], tag_map(instance.get("Tags")).get("Name", ""), instance["State"]["Name"])
        for reservation in reservations
        for instance in reservation["Instances"]
    ]


def remove_instance(clients: Clients, _scope: Scope, item: Item) -> None:
    """Terminate an instance, protected or not."""
    if item.detail == "shutting-down":
        return
    clients.ec2.modify_instance_attribute(InstanceId=item.id, DisableApiTermination={"Value": False})
    clients.ec2.terminate_instances(InstanceIds=[item.id])


def find_launch_templates(clients: Clients, scope: Scope) -> list[Item]:
    """Launch templates with all their versions."""
    pages = clients.ec2.get_paginator("describe_launch_templates").paginate(Filters=scope.filters)
    return [
        Item(template["LaunchTemplateId"], template["LaunchTemplateName"])
        for page in pages
        for template in page["LaunchTemplates"]
    ]


def find_images(clients: Clients, scope: Scope) -> list[Item]:
    """Images of this account."""
    pages = clients.ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=scope.filters)
    return [Item(image["ImageId"], image.get("Name", "")) for page in pages for image in page["Images"]]


def find_snapshots(clients: Clients, scope: Scope) -> list[Item]:
    """Snapshots of this account, which outlive their images."""
    pages = clients.ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=scope.filters)
    return named([snapshot for page in pages for snapshot in page["Snapshots"]], "SnapshotId")


def find_volumes(clients: Clients, scope: Scope) -> list[Item]:
    """Volumes that no instance uses."""
    pages = clients.ec2.get_paginator("describe_volumes").paginate(
        Filters=[*scope.filters, {"Name": "status", "Values": ["available"]}]
    )
    return named([volume for page in pages for volume in page["Volumes"]], "VolumeId")


def find_addresses(clients: Clients, scope: Scope) -> list[Item]:
    """Elastic IP addresses."""
    addresses = clients.ec2.describe_addresses(Filters=scope.filters)["Addresses"]
    return [Item(address["AllocationId"], address["PublicIp"], address.get("AssociationId")) for address in addresses]


def remove_address(clients: Clients, _scope: Scope, item: Item) -> None:
    """Take an address away from what has it, and give it back to AWS."""
    if item.detail:
        clients.ec2.disassociate_address(AssociationId=item.detail)
    clients.ec2.release_address(AllocationId=item.id)


def find_key_pairs(clients: Clients, scope: Scope) -> list[Item]:
    """Key pairs."""
    pairs = clients.ec2.describe_key_pairs(Filters=scope.filters)["KeyPairs"]
    return [Item(pair["KeyPairId"], pair["KeyName"]) for pair in pairs]


KINDS = (
    Kind("Auto Scaling group", find_groups, remove_group),
    Kind("EC2 instance", find_instances, remove_instance),
    Kind(
        "Launch template",
        find_launch_templates,
        lambda clients, _scope, item: clients.ec2.delete_launch_template(LaunchTemplateId=item.id),
    ),
    Kind("AMI", find_images, lambda clients, _scope, item: clients.ec2.deregister_image(ImageId=item.id)),
    Kind("Snapshot", find_snapshots, lambda clients, _scope, item: clients.ec2.delete_snapshot(SnapshotId=item.id)),
    Kind("Volume", find_volumes, lambda clients, _scope, item: clients.ec2.delete_volume(VolumeId=item.id)),
    Kind("Elastic IP", find_addresses, remove_address),
    Kind("Key pair", find_key_pairs, lambda clients, _scope, item: clients.ec2.delete_key_pair(KeyName=item.name)),
)
