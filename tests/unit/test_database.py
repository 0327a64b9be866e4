"""dbprogressus: what counts as a difference, what is sent to RDS, and where the password goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from checkop.database import secret
from checkop.database.instance import (
    Instance,
    await_usable,
    changeable_attributes,
    creation,
    fixed_attributes,
    modification,
    reconcile,
    set_password,
)
from hypothesis import given
from hypothesis import strategies as st

from checkop.errors import CheckopError
from checkop.reconcile import Plan

TAGS = {"checkop:environment": "production", "checkop:managed-by": "checkop-environment"}
WANTED = Instance(
    identifier="dbprogressus",
    engine="mysql",
    engine_version="8.0",
    instance_class="db.r5.xlarge",
    zone="us-east-1a",
    multi_az=False,
    storage_type="gp2",
    allocated_storage_gb=217,
    max_allocated_storage_gb=1000,
    backup_retention_days=14,
    backup_window="06:00-07:00",
    maintenance_window="Sun:07:30-Sun:08:30",
    deletion_protection=True,
    log_exports=["error", "slowquery"],
    port=3306,
    schema="checkop",
    username="checkop",
    subnet_group="dbprogressus",
    parameter_group="dbprogressus-mysql8-0",
    security_group_id="sg-1",
    apply_immediately=False,
    wait_seconds=1,
    tags=TAGS,
)
FOUND: dict[str, Any] = {
    "Engine": "mysql",
    "EngineVersion": "8.0.40",
    "DBInstanceClass": "db.r5.xlarge",
    "MultiAZ": False,
    "AvailabilityZone": "us-east-1a",
    "StorageType": "gp2",
    "StorageEncrypted": True,
    "AllocatedStorage": 217,
    "MaxAllocatedStorage": 1000,
    "BackupRetentionPeriod": 14,
    "PreferredBackupWindow": "06:00-07:00",
    "PreferredMaintenanceWindow": "sun:07:30-sun:08:30",
    "DeletionProtection": True,
    "CopyTagsToSnapshot": True,
    "PubliclyAccessible": False,
    "AutoMinorVersionUpgrade": True,
    "EnabledCloudwatchLogsExports": ["slowquery", "error"],
    "DBParameterGroups": [{"DBParameterGroupName": "dbprogressus-mysql8-0"}],
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
    "DBName": "checkop",
    "MasterUsername": "checkop",
    "DBSubnetGroup": {"DBSubnetGroupName": "dbprogressus"},
}


def test_a_database_as_wanted_has_no_difference() -> None:
    before, after = changeable_attributes(FOUND, WANTED)
    assert before == after
    assert modification(before, after) == {}
    before, after = fixed_attributes(FOUND, WANTED)
    assert before == after


@given(st.integers(20, 65536), st.integers(20, 65536))
def test_storage_is_never_shrunk(found: int, wanted: int) -> None:
    before, after = changeable_attributes(
        {**FOUND, "AllocatedStorage": found}, dataclasses.replace(WANTED, allocated_storage_gb=wanted)
    )
    request = modification(before, after)
    assert request.get("AllocatedStorage", found) >= found
    assert ("AllocatedStorage" in request) == (wanted > found)


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        ({"DBInstanceClass": "db.t3.small"}, {"DBInstanceClass": "db.r5.xlarge"}),
        ({"EngineVersion": "5.7.44"}, {"EngineVersion": "8.0", "AllowMajorVersionUpgrade": True}),
        ({"EngineVersion": "8.4.3"}, {"EngineVersion": "8.0", "AllowMajorVersionUpgrade": True}),
        ({"DeletionProtection": False}, {"DeletionProtection": True}),
        ({"PubliclyAccessible": True}, {"PubliclyAccessible": False}),
        ({"MaxAllocatedStorage": None}, {"MaxAllocatedStorage": 1000}),
        (
            {"EnabledCloudwatchLogsExports": ["error", "audit"]},
            {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["slowquery"], "DisableLogTypes": ["audit"]}},
        ),
        ({"VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-2"}]}, {"VpcSecurityGroupIds": ["sg-1"]}),
    ],
)
def test_only_what_differs_is_sent(found: dict[str, Any], sent: dict[str, Any]) -> None:
    assert modification(*changeable_attributes({**FOUND, **found}, WANTED)) == sent


def test_a_minor_version_is_no_major_upgrade() -> None:
    wanted = dataclasses.replace(WANTED, engine_version="8.0.41")
    assert modification(*changeable_attributes(FOUND, wanted)) == {"EngineVersion": "8.0.41"}


@pytest.fixture
def rds() -> Iterator[Stubber]:
    """A client of RDS that answers as prepared, and knows what it has to be asked."""
    client = boto3.client("rds", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    with Stubber(client) as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


def described(status: str, **more: Any) -> dict[str, Any]:
    found = {**FOUND, **more, "DBInstanceIdentifier": "dbprogressus", "DBInstanceStatus": status}
    tags = [{"Key": name, "Value": value} for name, value in WANTED.all_tags.items()]
    return {"DBInstances": [{**found, "TagList": tags, "Endpoint": {"Address": "db", "Port": 3306}}]}


def test_a_new_password_applies_nothing_that_waits_for_the_window(rds: Stubber) -> None:
    rds.add_response("describe_db_instances", described("available"))
    asked = {"DBInstanceIdentifier": "dbprogressus", "MasterUserPassword": "new"}
    rds.add_response("modify_db_instance", {"DBInstance": {}}, asked)
    set_password(rds.client, WANTED, "new")


def test_more_storage_cures_a_full_database_at_once(rds: Stubber) -> None:
    full = described("storage-full")
    rds.add_response("describe_db_instances", full)
    asked = {"DBInstanceIdentifier": "dbprogressus", "AllocatedStorage": 400, "ApplyImmediately": True}
    rds.add_response("modify_db_instance", {"DBInstance": {}}, asked)
    rds.add_response("describe_db_instances", full)
    wanted = dataclasses.replace(WANTED, allocated_storage_gb=400)
    found = full["DBInstances"][0]
    reconcile(rds.client, Plan(check=False), wanted, found, "")


def test_other_changes_of_a_full_database_are_refused_with_the_cure(rds: Stubber) -> None:
    full = described("storage-full", DBInstanceClass="db.t3.small")
    rds.add_response("describe_db_instances", full)
    rds.add_response("describe_db_instances", full)
    found = full["DBInstances"][0]
    with pytest.raises(CheckopError, match="storage-full wants a larger database_allocated_storage_gb"):
        reconcile(rds.client, Plan(check=False), WANTED, found, "")


def test_a_change_that_waits_for_the_window_is_not_asked_for_again() -> None:
    found = {
        **FOUND,
        "DBInstanceClass": "db.t3.small",
        "EnabledCloudwatchLogsExports": ["error"],
        "PendingModifiedValues": {
            "DBInstanceClass": "db.r5.xlarge",
            "PendingCloudwatchLogsExports": {"LogTypesToEnable": ["slowquery"]},
        },
    }
    assert modification(*changeable_attributes(found, WANTED)) == {}


def test_a_security_group_on_its_way_out_is_no_difference() -> None:
    groups = [*FOUND["VpcSecurityGroups"], {"VpcSecurityGroupId": "sg-2", "Status": "removing"}]
    assert modification(*changeable_attributes({**FOUND, "VpcSecurityGroups": groups}, WANTED)) == {}


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ({"AvailabilityZone": "us-east-1d"}, "zone"),
        ({"StorageEncrypted": False}, "encrypted"),
        ({"MasterUsername": "root"}, "username"),
        ({"DBName": "other"}, "schema"),
    ],
)
def test_what_rds_cannot_change_is_a_difference_of_its_own(found: dict[str, Any], name: str) -> None:
    before, after = fixed_attributes({**FOUND, **found}, WANTED)
    assert [key for key in after if before[key] != after[key]] == [name]
    assert modification(*changeable_attributes({**FOUND, **found}, WANTED)) == {}


def test_after_a_failover_the_zone_is_no_difference() -> None:
    found = {**FOUND, "MultiAZ": True, "AvailabilityZone": "us-east-1d"}
    before, after = fixed_attributes(found, dataclasses.replace(WANTED, multi_az=True))
    assert before == after


def test_a_standby_leaves_the_zone_to_rds() -> None:
    assert creation(WANTED, "secret")["AvailabilityZone"] == "us-east-1a"
    assert "AvailabilityZone" not in creation(dataclasses.replace(WANTED, multi_az=True), "secret")


class StuckRds:
    """An RDS client whose one instance is in a given state."""

    def __init__(self, status: str) -> None:
        self.status = status

    def describe_db_instances(self, **_: str) -> dict[str, Any]:
        return {"DBInstances": [{"DBInstanceStatus": self.status, "Endpoint": {"Address": "db"}}]}


@pytest.mark.parametrize("status", ["stopped", "failed", "storage-full", "incompatible-network"])
def test_a_state_that_no_waiting_ends_is_not_waited_for(status: str) -> None:
    with pytest.raises(CheckopError, match=f"RDS instance dbprogressus is {status}, and waiting will not change that"):
        await_usable(StuckRds(status), "dbprogressus", 3600)  # type: ignore[arg-type]


def test_a_change_under_way_is_waited_for_within_bounds() -> None:
    with pytest.raises(CheckopError, match=r"Waited 0 s for RDS instance dbprogressus .*last seen: modifying"):
        await_usable(StuckRds("modifying"), "dbprogressus", 0)  # type: ignore[arg-type]
    await_usable(StuckRds("available"), "dbprogressus", 0)  # type: ignore[arg-type]


def test_passwords_are_long_random_and_without_signs_that_rds_refuses() -> None:
    passwords = {secret.generate_password() for _ in range(50)}
    assert len(passwords) == 50
    assert all(len(password) == 40 and password.isascii() and password.isalnum() for password in passwords)


def test_a_secret_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(secret.Secret("arn:aws:secretsmanager:x", "hunter2"))
