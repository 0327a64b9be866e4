"""Drift in every system is told, resource by resource, with the exit status that cron reads; growth is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook

REPOSITORY = Path(__file__).parents[2]
SYSTEMS = [
    "Network",
    "Perimeter",
    "Storage",
    "Images",
    "Database",
    "Balancer",
    "Domain",
    "Fleet",
    "Addresses",
    "Hub",
    "Monitoring",
]


@pytest.fixture(scope="module")
def made(fresh_cloud: Cloud, converge: Playbook) -> Cloud:
    """The whole environment."""
    converge("site")
    return fresh_cloud


def drift(cloud: Cloud, *args: str) -> tuple[int, dict[str, Any]]:
    """Run `checkop drift --json` and return its exit status and report."""
    finished = subprocess.run(
        [sys.executable, "-m", "checkop.cli", "drift", "--json", "-i", "inventory/rehearsal", *args],
        cwd=REPOSITORY,
        env=dict(cloud.environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.stdout, finished.stderr
    return finished.returncode, json.loads(finished.stdout)


def inject(cloud: Cloud) -> dict[str, str]:
    """Change something in every system; return system to a part of the name of what was changed."""
    ec2 = cloud.client("ec2")
    own = {"Name": "tag:checkop:environment", "Values": ["rehearsal"]}
    subnet = ec2.describe_subnets(Filters=[own, {"Name": "tag:Name", "Values": ["checkop-public-1a"]}])["Subnets"][0]
    ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": False})
    (group,) = ec2.describe_security_groups(Filters=[own, {"Name": "group-name", "Values": ["checkop-db"]}])[
        "SecurityGroups"
    ]
    everyone = [{"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=everyone)
    system = cloud.client("efs").describe_file_systems()["FileSystems"][0]["FileSystemId"]
    cloud.client("efs").put_backup_policy(FileSystemId=system, BackupPolicy={"Status": "DISABLED"})
    cloud.client("s3").delete_bucket_policy(Bucket="checkop-rehearsal-packages-123456789012")
    cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier="dbprogressus", BackupRetentionPeriod=1, ApplyImmediately=True
    )
    target_group = cloud.client("elbv2").describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
    cloud.client("elbv2").modify_target_group(TargetGroupArn=target_group, HealthCheckPath="/")
    zone = cloud.client("route53").list_hosted_zones()["HostedZones"][0]["Id"]
    mail = {"Name": "checkop.co.", "Type": "MX", "TTL": 60, "ResourceRecords": [{"Value": "10 elsewhere.example."}]}
    cloud.client("route53").change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": mail}]}
    )
    cloud.client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName="AUTOChOp", HealthCheckGracePeriod=7, TerminationPolicies=["NewestInstance"]
    )
    address = ec2.describe_addresses(Filters=[own, {"Name": "tag:checkop:pool", "Values": ["fleet"]}])["Addresses"][0]
    ec2.release_address(AllocationId=address["AllocationId"])
    hub = ec2.describe_instances(Filters=[own, {"Name": "tag:Name", "Values": ["Base ChOp"]}])
    identifier = hub["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=identifier, DisableApiTermination={"Value": False})
    cloud.client("cloudwatch").delete_alarms(AlarmNames=["checkop-rehearsal-storage-size"])
    return {
        "Network": "public-1a",
        "Perimeter": "checkop-db",
        "Storage": "EFS backup policy of ChOp-Temp",
        "Images": "S3 bucket checkop-rehearsal-packages-123456789012: Policy",
        "Database": "RDS instance dbprogressus",
        "Balancer": "Target group AUTOChOp",
        "Domain": "checkop.co. MX",
        "Fleet": "Auto Scaling group AUTOChOp",
        "Addresses": "",
        "Hub": "Base ChOp",
        "Monitoring": "Alarm checkop-rehearsal-storage-size",
    }


def test_a_finished_environment_equals_the_inventory(made: Cloud, playbook: Playbook) -> None:
    status, report = drift(made)
    assert report["differences"] == []
    assert report["equal"]
    assert list(report["systems"]) == SYSTEMS
    assert status == 0
    recap = playbook("drift")
    assert recap.returncode == 0, recap.output
    assert "AWS equals inventory/rehearsal in what was compared" in recap.output
    assert recap.changed == 0


def test_growth_and_size_of_the_group_are_no_drift(made: Cloud) -> None:
    made.client("rds").modify_db_instance(
        DBInstanceIdentifier="dbprogressus", AllocatedStorage=530, ApplyImmediately=True
    )
    # As after a first rollout, with a third instance for a peak.
    made.client("ssm").put_parameter(Name="/checkop/rehearsal/image/in_service", Value="ami-0", Type="String")
    autoscaling = made.client("autoscaling")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="AUTOChOp", MinSize=2, MaxSize=4, DesiredCapacity=3)
    autoscaling.resume_processes(AutoScalingGroupName="AUTOChOp", ScalingProcesses=["ScheduledActions"])
    status, report = drift(made, "--tags", "database,fleet")
    assert report["differences"] == []
    assert list(report["systems"]) == ["Database", "Fleet"]
    assert status == 0


def test_drift_in_every_system_is_told_and_a_run_puts_it_right(
    made: Cloud, playbook: Playbook, converge: Playbook, tmp_path: Path
) -> None:
    injected = inject(made)
    status, report = drift(made)
    assert status == 2
    assert not report["equal"]
    assert report["error"] == ""
    found = {difference["system"]: [] for difference in report["differences"]}
    for difference in report["differences"]:
        found[difference["system"]].append(difference["resource"])
    assert set(found) == set(SYSTEMS)
    for system, part in injected.items():
        assert any(part in resource for resource in found[system]), found[system]
    kinds = {difference["resource"]: difference["kind"] for difference in report["differences"]}
    assert kinds["Alarm checkop-rehearsal-storage-size"] == "missing"
    (database,) = [entry for entry in report["differences"] if entry["resource"] == "RDS instance dbprogressus"]
    assert database["aws"] == {"BackupRetentionPeriod": 1}
    assert database["inventory"] == {"BackupRetentionPeriod": 14}

    file = tmp_path / "drift.json"
    recap = playbook("drift", extra_vars={"drift_report": str(file)})
    assert recap.returncode == 2
    assert "BackupRetentionPeriod: 1, inventory: 14" in recap.output
    assert json.loads(file.read_text())["differences"] == report["differences"]
    # Looking has changed nothing.
    assert drift(made)[1] == report

    converge("site")
    status, report = drift(made)
    assert (status, report["differences"]) == (0, [])


def test_a_comparison_that_fails_is_no_equality(made: Cloud) -> None:
    made.fault(every=1, code="AccessDenied", status=403, service="rds", operation="DescribeDBInstances")
    status, report = drift(made)
    made.clear_faults()
    assert status == 1
    assert not report["equal"]
    assert "Database: " in report["error"]
    assert "AccessDenied" in report["error"]
    assert "Monitoring" not in report["systems"]


def test_the_wrong_endpoint_is_told_before_anything_is_compared(made: Cloud) -> None:
    status, report = drift(made, "-e", "aws_endpoint_url=http://127.0.0.1:9")
    assert status == 1
    assert "AWS_ENDPOINT_URL is" in report["error"]
    assert report["differences"] == []
