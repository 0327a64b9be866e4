"""RDS dbprogressus: read back with boto3 and compared with the operator's tables; growth, drift, rerun, refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook

PREREQUISITES = "network,perimeter,database"
SECRET = "checkop/rehearsal/database"


@pytest.fixture(scope="module")
def made(fresh_cloud: Cloud, converge: Playbook) -> Cloud:
    """The network and the database; the output is kept for what must not be in it."""
    recap = converge("site", "--tags", PREREQUISITES, "-vvv")
    password = secret(fresh_cloud)["password"]
    assert password not in recap.output
    return fresh_cloud


def database(cloud: Cloud) -> dict[str, Any]:
    (instance,) = cloud.client("rds").describe_db_instances()["DBInstances"]
    return dict(instance)


def secret(cloud: Cloud) -> dict[str, str]:
    value = cloud.client("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"]
    return dict(json.loads(value))


def test_check_from_nothing_makes_nothing(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("database", "--check", "--diff")
    assert recap.returncode == 0, recap.output
    assert recap.changed == 5
    for resource in ("RDS subnet group dbprogressus", f"Secrets Manager secret {SECRET}", "RDS instance dbprogressus"):
        assert f"after: {resource}\n" in recap.output
    assert cloud.client("rds").describe_db_instances()["DBInstances"] == []
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []


def test_the_instance_is_as_the_operator_states(made: Cloud) -> None:
    instance = database(made)
    stated = {
        "DBInstanceIdentifier": "dbprogressus",
        "Engine": "mysql",
        "AvailabilityZone": "us-east-1a",
        "DBInstanceClass": "db.r5.xlarge",
        "AllocatedStorage": 217,
        "MaxAllocatedStorage": 1000,
    }
    assert {name: instance[name] for name in stated} == stated
    assert instance["EngineVersion"].startswith("8.0")


def test_the_instance_is_protected(made: Cloud) -> None:
    instance = database(made)
    wanted = {
        "MultiAZ": False,
        "StorageEncrypted": True,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 14,
        "PreferredBackupWindow": "06:00-07:00",
        "PreferredMaintenanceWindow": "sun:07:30-sun:08:30",
        "CopyTagsToSnapshot": True,
        "PubliclyAccessible": False,
        "DBName": "checkop",
        "MasterUsername": "checkop",
    }
    assert {name: instance[name] for name in wanted} == wanted
    assert sorted(instance["EnabledCloudwatchLogsExports"]) == ["error", "slowquery"]
    groups = [group["VpcSecurityGroupId"] for group in instance["VpcSecurityGroups"]]
    found = made.client("ec2").describe_security_groups(GroupIds=groups)["SecurityGroups"]
    assert [group["GroupName"] for group in found] == ["checkop-db"]


def test_the_subnet_group_spans_the_data_subnets_of_both_zones(made: Cloud) -> None:
    (group,) = made.client("rds").describe_db_subnet_groups(DBSubnetGroupName="dbprogressus")["DBSubnetGroups"]
    subnets = made.client("ec2").describe_subnets(
        SubnetIds=[subnet["SubnetIdentifier"] for subnet in group["Subnets"]]
    )["Subnets"]
    assert {subnet["CidrBlock"] for subnet in subnets} == {"10.20.11.0/24", "10.20.14.0/24"}


def test_the_parameter_group_demands_tls_and_logs_slow_queries(made: Cloud) -> None:
    assert database(made)["DBParameterGroups"][0]["DBParameterGroupName"] == "dbprogressus-mysql8-0"
    pages = (
        made.client("rds")
        .get_paginator("describe_db_parameters")
        .paginate(DBParameterGroupName="dbprogressus-mysql8-0", Source="user")
    )
    values = {item["ParameterName"]: item["ParameterValue"] for page in pages for item in page["Parameters"]}
    assert values == {
        "require_secure_transport": "1",
        "slow_query_log": "1",
        "long_query_time": "2",
        "log_output": "FILE",
    }


def test_the_password_is_long_and_only_in_the_secret(made: Cloud) -> None:
    value = secret(made)
    assert value["username"] == "checkop"
    assert len(value["password"]) == 40
    assert value["password"].isalnum()


def test_hosts_find_it_in_ssm(made: Cloud) -> None:
    values = {
        parameter["Name"].removeprefix("/checkop/rehearsal/database/"): parameter["Value"]
        for parameter in made.client("ssm").get_parameters_by_path(Path="/checkop/rehearsal/database")["Parameters"]
    }
    endpoint = database(made)["Endpoint"]
    arn = made.client("secretsmanager").describe_secret(SecretId=SECRET)["ARN"]
    assert values == {
        "endpoint": endpoint["Address"],
        "port": str(endpoint["Port"]),
        "schema": "checkop",
        "username": "checkop",
        "secret_arn": arn,
    }
    assert secret(made)["password"] not in values.values()


def test_storage_that_autoscaling_grew_is_no_drift_and_stays(made: Cloud, converge: Playbook) -> None:
    made.client("rds").modify_db_instance(
        DBInstanceIdentifier="dbprogressus", AllocatedStorage=400, ApplyImmediately=True
    )
    assert converge("database", "--check").changed == 0
    assert converge("database").changed == 0
    assert database(made)["AllocatedStorage"] == 400


def test_drift_is_told_and_put_right_and_then_nothing_changes(made: Cloud, converge: Playbook) -> None:
    rds, before = made.client("rds"), secret(made)
    (other,) = made.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["checkop-app"]}])[
        "SecurityGroups"
    ]
    rds.modify_db_instance(
        DBInstanceIdentifier="dbprogressus",
        BackupRetentionPeriod=1,
        DeletionProtection=False,
        VpcSecurityGroupIds=[other["GroupId"]],
        CloudwatchLogsExportConfiguration={"DisableLogTypes": ["slowquery"]},
        ApplyImmediately=True,
    )
    rds.modify_db_parameter_group(
        DBParameterGroupName="dbprogressus-mysql8-0",
        Parameters=[
            {"ParameterName": "require_secure_transport", "ParameterValue": "0", "ApplyMethod": "immediate"},
            {"ParameterName": "max_connections", "ParameterValue": "9", "ApplyMethod": "immediate"},
        ],
    )
    told = converge("database", "--check", "--diff").output
    for line in (
        "-BackupRetentionPeriod: 1",
        "+BackupRetentionPeriod: 14",
        "-DeletionProtection: false",
        "-require_secure_transport: '0'",
        "-max_connections: '9'",
        "+- slowquery",
    ):
        assert f"\n{line}\n" in told, told

    assert converge("database").changed == 2
    assert converge("database").changed == 0
    test_the_instance_is_protected(made)
    test_the_parameter_group_demands_tls_and_logs_slow_queries(made)
    assert secret(made) == before


def test_a_lost_secret_gives_the_database_a_new_password(made: Cloud, converge: Playbook) -> None:
    before = secret(made)
    made.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert converge("database", "--check").changed == 2
    recap = converge("database", "-vvv")
    after = secret(made)
    assert after["password"] != before["password"]
    assert after["password"] not in recap.output
    assert converge("database").changed == 0


def test_a_secret_on_its_way_out_is_restored(made: Cloud, converge: Playbook) -> None:
    before = secret(made)
    made.client("secretsmanager").delete_secret(SecretId=SECRET, RecoveryWindowInDays=7)
    assert "deletion: scheduled" in converge("database", "--check", "--diff").output
    converge("database")
    assert secret(made) == before


def test_what_rds_cannot_change_is_told_with_the_mend(made: Cloud, playbook: Playbook) -> None:
    changed = {"database_schema": "other"}
    assert "+DBName: other" in playbook("database", "--check", "--diff", extra_vars=changed).output
    recap = playbook("database", extra_vars=changed)
    assert recap.returncode == 2
    assert "DBName is 'checkop', wanted 'other'" in recap.output
    assert "Restore a snapshot" in recap.output


def test_a_rerun_finishes_what_a_failing_call_left_half_done(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    cloud.fault(every=1, code="InsufficientDBInstanceCapacity", status=400, service="rds", operation="CreateDBInstance")
    failed = playbook("site", "--tags", PREREQUISITES)
    cloud.clear_faults()
    assert failed.returncode == 2
    assert "RDS instance dbprogressus" in failed.output
    first = secret(cloud)
    again = playbook("database")
    assert again.returncode == 0, again.output
    assert secret(cloud) == first
    assert database(cloud)["DBInstanceStatus"] == "available"


def test_throttling_is_waited_out(cloud: Cloud, playbook: Playbook) -> None:
    cloud.fault(every=3, code="Throttling", service="rds", times=4)
    recap = playbook("database")
    cloud.clear_faults()
    assert recap.returncode == 0, recap.output
    assert recap.changed == 0
