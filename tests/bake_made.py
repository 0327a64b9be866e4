"""Everything that a bake makes, and must not leave when it fails."""

from __future__ import annotations

from typing import Any


def things(ec2: Any) -> dict[str, set[str]]:
    """Return the ids of instances, images, snapshots, key pairs and security groups that are there, by kind."""
    instances = [each for found in ec2.describe_instances()["Reservations"] for each in found["Instances"]]
    return {
        "instances": {each["InstanceId"] for each in instances if each["State"]["Name"] != "terminated"},
        "images": {each["ImageId"] for each in ec2.describe_images(Owners=["self"])["Images"]},
        "snapshots": {each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]},
        "key pairs": {each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]},
        "security groups": {each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]},
    }
