"""EFS ChOp-Temp: read back with boto3 and compared with the operator's tables; drift, rerun, and refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook

PREREQUISITES = "network,perimeter,storage"
TAGS = {"checkop:environment": "rehearsal", "checkop:managed-by": "checkop-environment"}


@pytest.fixture(scope="module")
def made(fresh_cloud: Cloud, converge: Playbook) -> Cloud:
    """The network and the file system."""
    converge("site", "--tags", PREREQUISITES)
    return fresh_cloud


def file_system(cloud: Cloud) -> dict[str, Any]:
    (system,) = cloud.client("efs").describe_file_systems()["FileSystems"]
    return dict(system)


def as_dict(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def test_check_from_nothing_makes_nothing(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("storage", "--check", "--diff")
    assert recap.returncode == 0, recap.output
    assert recap.changed == 2
    assert "EFS mount target of ChOp-Temp in us-east-1d" in recap.output
    assert cloud.client("efs").describe_file_systems()["FileSystems"] == []


def test_a_run_without_a_network_says_what_to_run_first(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("storage")
    assert recap.returncode == 2
    assert "Run playbooks/network.yml first" in recap.output
    assert cloud.client("efs").describe_file_systems()["FileSystems"] == []


def test_the_file_system_is_as_the_operator_states(made: Cloud) -> None:
    system = file_system(made)
    assert system["Name"] == "ChOp-Temp"
    assert system["Encrypted"]
    assert system["LifeCycleState"] == "available"
    assert as_dict(system["Tags"]) == {**TAGS, "Name": "ChOp-Temp"}


def test_there_is_a_mount_target_in_each_zone_of_the_data_subnets(made: Cloud) -> None:
    efs, ec2 = made.client("efs"), made.client("ec2")
    targets = efs.describe_mount_targets(FileSystemId=file_system(made)["FileSystemId"])["MountTargets"]
    subnets = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets()["Subnets"]}
    assert {subnets[target["SubnetId"]]["CidrBlock"] for target in targets} == {"10.20.11.0/24", "10.20.14.0/24"}
    assert {target["AvailabilityZoneName"] for target in targets} == {"us-east-1a", "us-east-1d"}
    groups = {
        group
        for target in targets
        for group in efs.describe_mount_target_security_groups(MountTargetId=target["MountTargetId"])["SecurityGroups"]
    }
    found = ec2.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    assert [group["GroupName"] for group in found] == ["checkop-efs"]


def test_the_access_point_belongs_to_the_application(made: Cloud) -> None:
    (point,) = made.client("efs").describe_access_points()["AccessPoints"]
    assert point["PosixUser"]["Uid"] == point["PosixUser"]["Gid"] == 5000
    assert point["RootDirectory"]["Path"] == "/chop-temp"
    assert point["RootDirectory"]["CreationInfo"]["OwnerUid"] == 5000


def test_the_policy_demands_tls_and_known_roles(made: Cloud) -> None:
    efs = made.client("efs")
    policy = json.loads(efs.describe_file_system_policy(FileSystemId=file_system(made)["FileSystemId"])["Policy"])
    deny, allow = policy["Statement"]
    assert deny["Resource"] == allow["Resource"] == file_system(made)["FileSystemArn"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert sorted(allow["Action"]) == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    (point,) = efs.describe_access_points()["AccessPoints"]
    assert allow["Condition"]["StringEquals"] == {"elasticfilesystem:AccessPointArn": point["AccessPointArn"]}
    assert allow["Condition"]["ArnEquals"]["aws:PrincipalArn"] == [
        "arn:aws:iam::123456789012:role/checkop-rehearsal-fleet",
        "arn:aws:iam::123456789012:role/checkop-rehearsal-hub",
    ]


def test_lifecycle_and_backup(made: Cloud) -> None:
    efs, identifier = made.client("efs"), file_system(made)["FileSystemId"]
    policies = efs.describe_lifecycle_configuration(FileSystemId=identifier)["LifecyclePolicies"]
    assert {"TransitionToIA": "AFTER_30_DAYS"} in policies
    assert {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"} in policies
    assert efs.describe_backup_policy(FileSystemId=identifier)["BackupPolicy"]["Status"] == "ENABLED"


def test_hosts_find_it_in_ssm(made: Cloud) -> None:
    values = {
        parameter["Name"]: parameter["Value"]
        for parameter in made.client("ssm").get_parameters_by_path(Path="/checkop/rehearsal/file_system")["Parameters"]
    }
    (point,) = made.client("efs").describe_access_points()["AccessPoints"]
    assert values == {
        "/checkop/rehearsal/file_system/id": file_system(made)["FileSystemId"],
        "/checkop/rehearsal/file_system/access_point_id": point["AccessPointId"],
    }


def test_drift_is_told_and_put_right_and_then_nothing_changes(made: Cloud, converge: Playbook) -> None:
    efs, identifier = made.client("efs"), file_system(made)["FileSystemId"]
    efs.put_lifecycle_configuration(FileSystemId=identifier, LifecyclePolicies=[{"TransitionToIA": "AFTER_7_DAYS"}])
    efs.put_backup_policy(FileSystemId=identifier, BackupPolicy={"Status": "DISABLED"})
    efs.update_file_system(FileSystemId=identifier, ThroughputMode="elastic")
    open_policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:Client*", "Resource": "*"}
        ],
    }
    efs.put_file_system_policy(FileSystemId=identifier, Policy=json.dumps(open_policy))
    first, second = efs.describe_mount_targets(FileSystemId=identifier)["MountTargets"]
    efs.delete_mount_target(MountTargetId=first["MountTargetId"])
    other = made.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["checkop-db"]}])
    efs.modify_mount_target_security_groups(
        MountTargetId=second["MountTargetId"], SecurityGroups=[other["SecurityGroups"][0]["GroupId"]]
    )
    made.client("ssm").put_parameter(Name="/checkop/rehearsal/file_system/id", Value="fs-0", Overwrite=True)

    told = converge("storage", "--check", "--diff").output
    for resource in (
        "EFS file system ChOp-Temp",
        "EFS lifecycle of ChOp-Temp",
        "EFS backup policy of ChOp-Temp",
        "EFS file system policy of ChOp-Temp",
        f"EFS mount target of ChOp-Temp in {first['AvailabilityZoneName']}",
        f"EFS mount target of ChOp-Temp in {second['AvailabilityZoneName']}",
        "SSM parameter /checkop/rehearsal/file_system/id",
    ):
        assert f"before: {resource}\n" in told, told
    assert efs.describe_backup_policy(FileSystemId=identifier)["BackupPolicy"]["Status"] == "DISABLED"

    assert converge("storage").changed == 2
    assert converge("storage").changed == 0
    test_there_is_a_mount_target_in_each_zone_of_the_data_subnets(made)
    test_the_policy_demands_tls_and_known_roles(made)
    test_lifecycle_and_backup(made)
    assert file_system(made)["FileSystemId"] == identifier


def test_another_path_means_another_access_point_beside_the_old_one(made: Cloud, converge: Playbook) -> None:
    efs = made.client("efs")
    (before,) = efs.describe_access_points()["AccessPoints"]
    converge("storage", "-e", "storage_access_point_path=/other")
    points = {point["AccessPointId"]: point for point in efs.describe_access_points()["AccessPoints"]}
    assert points.pop(before["AccessPointId"])["RootDirectory"]["Path"] == "/chop-temp"
    (added,) = points.values()
    assert added["RootDirectory"]["Path"] == "/other"
    efs.delete_access_point(AccessPointId=added["AccessPointId"])
    converge("storage")


def test_a_file_system_that_nobody_owns_is_not_taken(made: Cloud, playbook: Playbook) -> None:
    efs, identifier = made.client("efs"), file_system(made)["FileSystemId"]
    efs.untag_resource(ResourceId=identifier, TagKeys=["checkop:environment"])
    recap = playbook("storage")
    efs.tag_resource(ResourceId=identifier, Tags=[{"Key": "checkop:environment", "Value": "rehearsal"}])
    assert recap.returncode == 2
    assert "does not carry the tags" in recap.output
    assert "put these tags on it once by hand" in recap.output


def test_a_rerun_finishes_what_a_failing_call_left_half_done(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    # A refusal that no SDK repeats, so that the test need not sit through its pauses.
    cloud.fault(
        every=1,
        code="AccessPointLimitExceeded",
        status=403,
        service="elasticfilesystem",
        operation="POST /2015-02-01/access-points",
    )
    failed = playbook("site", "--tags", PREREQUISITES)
    cloud.clear_faults()
    assert failed.returncode == 2
    assert "EFS access point of ChOp-Temp" in failed.output
    assert "run the playbook again to go on" in failed.output
    first = file_system(cloud)["FileSystemId"]
    again = playbook("storage")
    assert again.returncode == 0, again.output
    assert file_system(cloud)["FileSystemId"] == first
    assert len(cloud.client("efs").describe_mount_targets(FileSystemId=first)["MountTargets"]) == 2
    assert len(cloud.client("efs").describe_access_points()["AccessPoints"]) == 1
