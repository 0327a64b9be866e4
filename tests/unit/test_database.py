"""The rows of RDS: what counts as a difference, what is sent, and where the password goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkop.errors import CheckopError
from checkop.reconcile import Plan, tag_list
from checkop.resources import engine, secret
from checkop.resources.kind import Context
from checkop.resources.kinds import rds

TAGS = {"checkop:environment": "production", "checkop:managed-by": "checkop-environment"}
PROPERTIES: dict[str, Any] = {
    "Engine": "mysql",
    "EngineVersion": "8.0",
    "DBInstanceClass": "db.r5.xlarge",
    "MultiAZ": "False",
    "AvailabilityZone": "us-east-1a",
    "StorageType": "gp2",
    "AllocatedStorage": "217",
    "MaxAllocatedStorage": 1000,
    "StorageEncrypted": True,
    "BackupRetentionPeriod": 14,
    "PreferredMaintenanceWindow": "Sun:07:30-Sun:08:30",
    "DeletionProtection": True,
    "PubliclyAccessible": False,
    "EnableCloudwatchLogsExports": ["error", "slowquery"],
    "DBParameterGroupName": "dbprogressus-mysql8-0",
    "VpcSecurityGroupIds": ["sg-1"],
    "DBSubnetGroupName": "dbprogressus",
    "DBName": "checkop",
    "MasterUsername": "checkop",
    "Port": 3306,
}
FOUND: dict[str, Any] = {
    "DBInstanceIdentifier": "dbprogressus",
    "DBInstanceArn": "arn:aws:rds:us-east-1:123456789012:db:dbprogressus",
    "DBInstanceStatus": "available",
    "Endpoint": {"Address": "db", "Port": 3306},
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
    "PreferredMaintenanceWindow": "sun:07:30-sun:08:30",
    "DeletionProtection": True,
    "PubliclyAccessible": False,
    "EnabledCloudwatchLogsExports": ["slowquery", "error"],
    "DBParameterGroups": [{"DBParameterGroupName": "dbprogressus-mysql8-0"}],
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
    "DBName": "checkop",
    "MasterUsername": "checkop",
    "DBSubnetGroup": {"DBSubnetGroupName": "dbprogressus"},
}


def sent(found: dict[str, Any], wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what is sent to ModifyDBInstance, without the identifier; empty where nothing is."""
    calls: list[dict[str, Any]] = []
    client = SimpleNamespace(
        meta=boto3.client("rds", "us-east-1").meta,
        describe_db_instances=lambda **_: {"DBInstances": [{**FOUND, **found}]},
        list_tags_for_resource=lambda **_: {"TagList": tag_list({**TAGS, "Name": "dbprogressus"})},
        modify_db_instance=lambda **call: calls.append(call),
    )
    context = Context(SimpleNamespace(rds=client), Plan(check=False), TAGS, 0)  # type: ignore[arg-type]
    engine.converge(context, rds.KINDS["rds.db_instance"], "dbprogressus", {**PROPERTIES, **(wanted or {})})
    if not calls:
        return {}
    (call,) = calls
    assert call.pop("DBInstanceIdentifier") == "dbprogressus"
    return call


@given(st.integers(20, 65536), st.integers(20, 65536))
def test_storage_is_never_shrunk(found: int, wanted: int) -> None:
    settled = rds.settle_instance({**FOUND, "AllocatedStorage": found}, {"AllocatedStorage": wanted})
    assert settled["AllocatedStorage"] == max(found, wanted)


@pytest.mark.parametrize(
    ("found", "request_"),
    [
        ({}, {}),
        ({"DBInstanceClass": "db.t3.small"}, {"DBInstanceClass": "db.r5.xlarge"}),
        ({"AllocatedStorage": 100}, {"AllocatedStorage": 217}),
        ({"AllocatedStorage": 400}, {}),
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
        # On its way out.
        (
            {"VpcSecurityGroups": [*FOUND["VpcSecurityGroups"], {"VpcSecurityGroupId": "sg-2", "Status": "removing"}]},
            {},
        ),
        # A failover has swapped the zones.
        ({"MultiAZ": True, "AvailabilityZone": "us-east-1d"}, {"MultiAZ": False}),
    ],
)
def test_only_what_differs_is_sent(found: dict[str, Any], request_: dict[str, Any]) -> None:
    assert sent(found) == request_


@pytest.mark.parametrize(
    ("running", "wanted", "request_"),
    [
        ("8.0.35", "8.0.43", {"EngineVersion": "8.0.43"}),
        ("8.0.43", "8.0.35", {}),
        ("8.0.43", "8.0.9", {}),
        ("8.0.40", "8.0", {}),
    ],
)
def test_a_minor_upgrade_of_rds_is_never_sent_back(running: str, wanted: str, request_: dict[str, Any]) -> None:
    assert sent({"EngineVersion": running}, {"EngineVersion": wanted}) == request_


def test_an_option_more_of_rds_is_one_line_of_the_task() -> None:
    option = {"PerformanceInsightsRetentionPeriod": "31"}
    assert sent({"PerformanceInsightsRetentionPeriod": 7}, option) == {"PerformanceInsightsRetentionPeriod": 31}
    assert sent({"PerformanceInsightsRetentionPeriod": 31}, option) == {}


PENDING = {
    "DBInstanceClass": "db.t3.small",
    "EnabledCloudwatchLogsExports": ["error"],
    "PendingModifiedValues": {
        "DBInstanceClass": "db.r5.xlarge",
        "PendingCloudwatchLogsExports": {"LogTypesToEnable": ["slowquery"]},
    },
}


def test_a_change_that_waits_for_the_window_is_not_asked_for_again() -> None:
    assert sent(PENDING) == {}


def test_what_waits_is_applied_when_changes_are_to_apply_at_once() -> None:
    request = {"DBInstanceClass": "db.r5.xlarge", "ApplyImmediately": True}
    assert sent(PENDING, {"ApplyImmediately": "True"}) == request
    # RDS is at it already.
    assert sent({**PENDING, "DBInstanceStatus": "modifying"}, {"ApplyImmediately": True}) == {}


def test_more_storage_cures_a_full_database_at_once() -> None:
    request = sent({"DBInstanceStatus": "storage-full"}, {"AllocatedStorage": 400})
    assert request == {"AllocatedStorage": 400, "ApplyImmediately": True}


def test_other_changes_of_a_full_database_are_refused_with_the_cure() -> None:
    with pytest.raises(CheckopError, match="storage-full needs a larger database_allocated_storage_gb"):
        sent({"DBInstanceStatus": "storage-full", "DBInstanceClass": "db.t3.small"})


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ({"AvailabilityZone": "us-east-1d"}, "AvailabilityZone"),
        ({"StorageEncrypted": False}, "StorageEncrypted"),
        ({"MasterUsername": "root"}, "MasterUsername"),
        ({"DBName": "other"}, "DBName"),
        ({"Engine": "mariadb"}, "Engine"),
        ({"DBSubnetGroup": {"DBSubnetGroupName": "other"}}, "DBSubnetGroupName"),
    ],
)
def test_what_rds_cannot_change_is_refused_with_the_way_on(found: dict[str, Any], name: str) -> None:
    with pytest.raises(CheckopError, match=f"{name} is .*Restore a snapshot"):
        sent(found)


@pytest.mark.parametrize("status", ["stopped", "failed", "storage-full", "incompatible-network"])
def test_a_state_that_no_waiting_ends_is_not_waited_for(status: str) -> None:
    with pytest.raises(CheckopError, match=f"RDS instance dbprogressus is {status}, and waiting will not change that"):
        rds.ready({**FOUND, "DBInstanceStatus": status})


def test_a_change_under_way_is_waited_for_within_bounds() -> None:
    with pytest.raises(CheckopError, match=r"Waited 0 s for RDS instance dbprogressus .*last seen: modifying"):
        sent({"DBInstanceStatus": "modifying", "DBInstanceClass": "db.t3.small"})


def test_passwords_are_long_random_and_without_signs_that_rds_refuses() -> None:
    passwords = {secret.generate_password() for _ in range(50)}
    assert len(passwords) == 50
    assert all(len(password) == 40 and password.isascii() and password.isalnum() for password in passwords)
