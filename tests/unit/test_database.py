"""dbprogressus: what counts as a difference, what is sent to RDS, and where the password goes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkop.database import secret
from checkop.database.instance import (
    Instance,
    await_usable,
    changeable_attributes,
    creation,
    fixed_attributes,
    modification,
)
from checkop.errors import CheckopError

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
        ({"EngineVersion": "5.7.44"}, {"EngineVersion": "8.0"}),
        ({"EngineVersion": "8.01"}, {"EngineVersion": "8.0"}),
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
