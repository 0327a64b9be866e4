"""An environment that is no production is removed, and what another environment or nobody owns is not touched."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook

REPOSITORY = Path(__file__).parents[2]
STAGING = """---
checkop_environment: staging
checkop_name_suffix: -staging
"""
BUCKET = "checkop-rehearsal-access-logs-123456789012"


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment: one inventory folder that names what differs, and no other change."""
    folder = tmp_path_factory.mktemp("inventory") / "staging"
    variables = folder / "group_vars" / "all"
    variables.mkdir(parents=True)
    rehearsal = REPOSITORY / "inventory" / "rehearsal"
    (folder / "localhost.yml").symlink_to(rehearsal / "localhost.yml")
    (variables / "production").symlink_to(REPOSITORY / "inventory" / "production" / "group_vars" / "all")
    (variables / "rehearsal.yml").symlink_to(rehearsal / "group_vars" / "all" / "rehearsal.yml")
    (variables / "staging.yml").write_text(STAGING)
    return folder


@pytest.fixture(scope="module")
def both(fresh_cloud: Cloud, converge: Playbook, staging: Path) -> Cloud:
    """Two environments side by side, with traces of use, and things that nobody marked."""
    converge("site")
    converge("site", inventory=staging)
    cloud = fresh_cloud
    cloud.client("ec2").create_vpc(CidrBlock="10.99.0.0/16")
    cloud.client("ssm").put_parameter(Name="/checkop/rehearsal/releases/0001", Value="{}", Type="String")
    cloud.client("ssm").put_parameter(Name="/other/thing", Value="1", Type="String")
    # The bucket takes nothing over plain HTTP, which is all that the local AWS speaks.
    cloud.client("s3").delete_bucket_policy(Bucket=BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="AWSLogs/123456789012/elasticloadbalancing/log.gz", Body=b"x")
    cloud.client("iam").create_user(UserName="console")
    cloud.client("iam").add_user_to_group(GroupName="checkop-console-administrators", UserName="console")
    cloud.client("sns").create_topic(Name="other")
    autoscaling = cloud.client("autoscaling")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="AUTOChOp", MinSize=1, MaxSize=2, DesiredCapacity=2)
    for _ in range(100):
        (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["AUTOChOp"])["AutoScalingGroups"]
        if len(group["Instances"]) == 2:
            return cloud
        time.sleep(0.2)
    raise AssertionError(f"The group has no two instances: {group['Instances']}")


def names(cloud: Cloud) -> dict[str, list[str]]:
    """What is there, kind by kind, by the names that people know."""
    ec2, elbv2, rds = cloud.client("ec2"), cloud.client("elbv2"), cloud.client("rds")
    states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    instances = [
        instance for group in ec2.describe_instances(Filters=states)["Reservations"] for instance in group["Instances"]
    ]
    logs = cloud.client("logs").get_paginator("describe_log_groups").paginate()
    alarms = cloud.client("cloudwatch").get_paginator("describe_alarms").paginate()
    parameters = cloud.client("ssm").get_paginator("describe_parameters").paginate()
    found = {
        "vpcs": [tag(vpc) or vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]],
        "security groups": [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]],
        "instances": [tag(instance) for instance in instances],
        "addresses": [tag(address) for address in ec2.describe_addresses()["Addresses"]],
        "templates": [item["LaunchTemplateName"] for item in ec2.describe_launch_templates()["LaunchTemplates"]],
        "keys": [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]],
        "groups": [
            group["AutoScalingGroupName"]
            for group in cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        ],
        "balancers": [item["LoadBalancerName"] for item in elbv2.describe_load_balancers()["LoadBalancers"]],
        "target groups": [item["TargetGroupName"] for item in elbv2.describe_target_groups()["TargetGroups"]],
        "databases": [item["DBInstanceIdentifier"] for item in rds.describe_db_instances()["DBInstances"]],
        "subnet groups": [item["DBSubnetGroupName"] for item in rds.describe_db_subnet_groups()["DBSubnetGroups"]],
        "secrets": [item["Name"] for item in cloud.client("secretsmanager").list_secrets()["SecretList"]],
        "file systems": [item["Name"] for item in cloud.client("efs").describe_file_systems()["FileSystems"]],
        "buckets": [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]],
        "zones": [
            item["Config"].get("Comment", "") for item in cloud.client("route53").list_hosted_zones()["HostedZones"]
        ],
        "log groups": [group["logGroupName"] for page in logs for group in page["logGroups"]],
        "alarms": [alarm["AlarmName"] for page in alarms for alarm in page["MetricAlarms"]],
        "dashboards": [
            item["DashboardName"] for item in cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]
        ],
        "topics": [item["TopicArn"].rpartition(":")[2] for item in cloud.client("sns").list_topics()["Topics"]],
        "parameters": [item["Name"] for page in parameters for item in page["Parameters"]],
        "roles": [role["RoleName"] for role in cloud.client("iam").list_roles()["Roles"]],
        "profiles": [
            item["InstanceProfileName"] for item in cloud.client("iam").list_instance_profiles()["InstanceProfiles"]
        ],
        "iam groups": [group["GroupName"] for group in cloud.client("iam").list_groups()["Groups"]],
        "users": [user["UserName"] for user in cloud.client("iam").list_users()["Users"]],
        "certificates": [
            item["DomainName"]
            for item in cloud.client("acm").list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})[
                "CertificateSummaryList"
            ]
        ],
    }
    return {kind: sorted(values) for kind, values in found.items()}


def tag(thing: dict[str, Any]) -> str:
    return next((pair["Value"] for pair in thing.get("Tags", []) if pair["Key"] == "Name"), "")


def test_two_environments_stand_side_by_side(both: Cloud) -> None:
    found = names(both)
    for kind, name in (
        ("balancers", "Progresus-ELB"),
        ("databases", "dbprogressus"),
        ("file systems", "ChOp-Temp"),
        ("groups", "AUTOChOp"),
        ("vpcs", "checkop"),
    ):
        assert {name, f"{name}-staging"} <= set(found[kind]), kind
    assert len(found["zones"]) == 2


def test_a_second_environment_changes_nothing_in_itself_or_the_first(
    both: Cloud, converge: Playbook, staging: Path
) -> None:
    assert converge("site", inventory=staging).changed == 0


def test_production_is_refused(both: Cloud, playbook: Playbook) -> None:
    before = names(both)
    recap = playbook(
        "teardown", extra_vars={"checkop_environment": "production", "confirm": "production", "final_snapshot": False}
    )
    assert recap.returncode == 2
    assert "never removed by this project" in recap.output
    assert names(both) == before


@pytest.mark.parametrize("confirm", [None, "yes", "staging"])
def test_without_the_environments_name_nothing_goes(both: Cloud, playbook: Playbook, confirm: str | None) -> None:
    before = names(both)
    recap = playbook("teardown", extra_vars={"confirm": confirm} if confirm else None)
    assert recap.returncode == 2
    assert "run again with -e confirm=rehearsal" in recap.output
    assert names(both) == before


def test_a_check_shows_what_would_go_and_removes_nothing(both: Cloud, playbook: Playbook) -> None:
    before = names(both)
    recap = playbook("teardown", "--check", "--diff")
    assert recap.returncode == 0, recap.output
    for name in ("RDS instance dbprogressus", "S3 bucket " + BUCKET, "Auto Scaling group AUTOChOp", "VPC checkop "):
        assert f"before: {name}" in recap.output
    assert "staging" not in recap.output
    assert names(both) == before


def test_a_run_that_fails_half_way_is_gone_on_with(both: Cloud, playbook: Playbook, staging: Path) -> None:
    before = names(both)
    both.fault(every=1, code="AccessDenied", status=403, service="rds", operation="DeleteDBInstance")
    failed = playbook("teardown", extra_vars={"confirm": "rehearsal"})
    both.clear_faults()
    assert failed.returncode == 2
    assert "RDS instance dbprogressus" in failed.output
    assert "checkop" in names(both)["vpcs"]

    again = playbook("teardown", extra_vars={"confirm": "rehearsal"})
    assert again.returncode == 0, again.output
    after = names(both)
    ours = re.compile(r"rehearsal|^(?!.*staging).*(checkop|Progresus|AUTOChOp|ChOp|dbprogressus)", re.IGNORECASE)
    kept = {"certificates": 1, "vpcs": 0}
    for kind, values in after.items():
        left = [value for value in values if ours.search(value) and "staging" not in value]
        assert len(left) == kept.get(kind, 0), (kind, left)
    # Nothing of the other environment, or of nobody, is missing.
    for kind, values in before.items():
        others = [value for value in values if not ours.search(value)]
        assert [value for value in others if value not in after[kind]] == [], kind
    assert "console" in after["users"]
    assert "/other/thing" in after["parameters"]


def test_the_database_left_its_final_snapshot(both: Cloud) -> None:
    answer = both.client("rds").describe_db_snapshots(SnapshotType="manual")
    (snapshot,) = answer["DBSnapshots"]
    assert snapshot["DBSnapshotIdentifier"].startswith("dbprogressus-final-")


def test_the_other_environment_still_equals_its_inventory(both: Cloud, converge: Playbook, staging: Path) -> None:
    recap = converge("site", "--check", "--diff", inventory=staging)
    assert recap.changed == 0, recap.output


def test_nothing_is_left_to_remove(both: Cloud, playbook: Playbook) -> None:
    recap = playbook("teardown", extra_vars={"confirm": "rehearsal"})
    assert recap.returncode == 0
    assert recap.changed == 0, recap.output


def test_it_can_be_built_again(both: Cloud, converge: Playbook) -> None:
    converge("site")
    assert converge("site", "--check").changed == 0
