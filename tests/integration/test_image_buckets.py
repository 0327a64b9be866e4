"""The buckets of manifests and of packages: read back with boto3; drift, rerun, and another's bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook

BUCKET = "checkop-rehearsal-manifests-123456789012"
PACKAGES = "checkop-rehearsal-packages-123456789012"


@pytest.fixture(scope="module")
def made(fresh_cloud: Cloud, converge: Playbook) -> Cloud:
    """The network and the buckets."""
    converge("site", "--tags", "network,images")
    return fresh_cloud


def test_check_from_nothing_makes_nothing(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("images", "--check", "--diff")
    assert recap.returncode == 0, recap.output
    assert recap.changed == 2
    assert f"after: S3 bucket {BUCKET}\n" in recap.output
    assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_buckets_before_the_network_say_what_to_run_first(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("images")
    assert recap.returncode == 2
    assert "Run playbooks/network.yml first" in recap.output


def test_the_bucket_is_private_and_keeps_everything(made: Cloud) -> None:
    s3 = made.client("s3")
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert "Expiration" not in lifecycle
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"


def test_hosts_of_the_vpc_and_nobody_else_read_packages_without_credentials(made: Cloud) -> None:
    s3 = made.client("s3")
    (vpc,) = made.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["checkop"]}])["Vpcs"]
    statements = json.loads(s3.get_bucket_policy(Bucket=PACKAGES)["Policy"])["Statement"]
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Action"] == "s3:GetObject"
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceVpc": vpc["VpcId"]}}
    assert all(s3.get_public_access_block(Bucket=PACKAGES)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(Bucket=PACKAGES)["Status"] == "Enabled"


def test_drift_is_told_and_put_right_and_then_nothing_changes(made: Cloud, converge: Playbook) -> None:
    s3 = made.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    told = converge("images", "--check", "--diff").output
    for setting in ("VersioningConfiguration", "LifecycleConfiguration"):
        assert f"before: S3 bucket {BUCKET}: {setting}\n" in told, told
    assert converge("images").changed == 1
    assert converge("images").changed == 0
    test_the_bucket_is_private_and_keeps_everything(made)


def test_a_bucket_of_another_environment_is_left_alone(made: Cloud, playbook: Playbook) -> None:
    s3 = made.client("s3")
    ours = s3.get_bucket_tagging(Bucket=BUCKET)
    theirs = [{"Key": "checkop:environment", "Value": "staging"}]
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": theirs})
    s3.delete_bucket_policy(Bucket=BUCKET)
    recap = playbook("images")
    assert recap.returncode == 2
    assert f"S3 bucket {BUCKET}" in recap.output
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == theirs
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": ours["TagSet"]})
