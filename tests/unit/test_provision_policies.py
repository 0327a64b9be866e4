"""Hosts may do what their work needs, to this environment's things, and nothing else."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from checkop.resources.host_policies import Scope, Statement, fleet_statements, host_statements

ACCOUNT = "arn:aws:{}:us-east-1:210987654321:{}"
SCOPE = Scope(
    region="us-east-1",
    account_id="210987654321",
    environment="production",
    ssm_prefix="/checkop/production",
    secret_name="checkop/production/database",
    log_prefix="/checkop/production",
    metric_namespace="CheckOP/production",
    file_system_arn=ACCOUNT.format("elasticfilesystem", "file-system/fs-1"),
)
POOL = {"aws:ResourceTag/checkop:environment": "production", "aws:ResourceTag/checkop:pool": "fleet"}
MEMBER = {"aws:ResourceTag/checkop:environment": "production", "aws:ResourceTag/checkop:group": "autochop"}
FLEET = fleet_statements(SCOPE, "AUTOChOp")
HUB = host_statements(SCOPE)
# Actions that know no resources, and what they are limited by instead.
UNLIMITED = {
    "ec2:DescribeTags",
    "ec2:DescribeAddresses",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLifecycleHooks",
    "cloudwatch:PutMetricData",
}


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def allowed(statements: list[Statement], action: str, resource: str, context: dict[str, str] | None = None) -> bool:
    """Evaluate as IAM does, for the operators that these statements use."""
    facts = {"elasticfilesystem:AccessedViaMountTarget": "true", **(context or {})}
    return any(
        action in listed(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and all(facts.get(k) == v for block in statement.get("Condition", {}).values() for k, v in block.items())
        for statement in statements
    )


@pytest.mark.parametrize(
    ("action", "service", "resource", "context"),
    [
        ("ssm:GetParameters", "ssm", "parameter/checkop/production/file_system/id", {}),
        ("ssm:GetParametersByPath", "ssm", "parameter/checkop/production", {}),
        ("secretsmanager:GetSecretValue", "secretsmanager", "secret:checkop/production/database-AbCdEf", {}),
        ("logs:PutLogEvents", "logs", "log-group:/checkop/production/nginx/error:log-stream:i-1", {}),
        ("elasticfilesystem:ClientWrite", "elasticfilesystem", "file-system/fs-1", {}),
        ("cloudwatch:PutMetricData", "cloudwatch", "*", {"cloudwatch:namespace": "CheckOP/production"}),
        ("ec2:AssociateAddress", "ec2", "elastic-ip/eipalloc-1", POOL),
        ("ec2:AssociateAddress", "ec2", "instance/i-1", MEMBER),
        ("ec2:DisassociateAddress", "ec2", "network-interface/eni-1", MEMBER),
        (
            "autoscaling:CompleteLifecycleAction",
            "autoscaling",
            "autoScalingGroup:0f:autoScalingGroupName/AUTOChOp",
            {},
        ),
        # The group that a blue/green release makes, under the name that it gives it.
        (
            "autoscaling:CompleteLifecycleAction",
            "autoscaling",
            "autoScalingGroup:0f:autoScalingGroupName/AUTOChOp-green",
            {},
        ),
        (
            "autoscaling:RecordLifecycleActionHeartbeat",
            "autoscaling",
            "autoScalingGroup:0f:autoScalingGroupName/AUTOChOp-green",
            {},
        ),
    ],
)
def test_the_fleet_may_do_its_work(action: str, service: str, resource: str, context: dict[str, str]) -> None:
    assert allowed(FLEET, action, ACCOUNT.format(service, resource), context)


@pytest.mark.parametrize(
    ("action", "service", "resource", "context"),
    [
        ("ssm:GetParameter", "ssm", "parameter/checkop/staging/file_system/id", {}),
        ("ssm:GetParameter", "ssm", "parameter/checkop/production2/file_system/id", {}),
        ("ssm:PutParameter", "ssm", "parameter/checkop/production/image/in_service", {}),
        ("secretsmanager:GetSecretValue", "secretsmanager", "secret:checkop/production/other-AbCdEf", {}),
        ("secretsmanager:PutSecretValue", "secretsmanager", "secret:checkop/production/database-AbCdEf", {}),
        ("logs:PutLogEvents", "logs", "log-group:/checkop/staging/nginx/error:log-stream:i-1", {}),
        ("logs:DeleteLogGroup", "logs", "log-group:/checkop/production/nginx/error", {}),
        ("elasticfilesystem:ClientRootAccess", "elasticfilesystem", "file-system/fs-1", {}),
        ("elasticfilesystem:ClientMount", "elasticfilesystem", "file-system/fs-2", {}),
        ("cloudwatch:PutMetricData", "cloudwatch", "*", {"cloudwatch:namespace": "AWS/EC2"}),
        ("ec2:AssociateAddress", "ec2", "elastic-ip/eipalloc-1", {**POOL, "aws:ResourceTag/checkop:pool": "hub"}),
        ("ec2:AssociateAddress", "ec2", "elastic-ip/eipalloc-1", {"aws:ResourceTag/checkop:pool": "fleet"}),
        ("ec2:AssociateAddress", "ec2", "instance/i-1", {**MEMBER, "aws:ResourceTag/checkop:group": "base_chop"}),
        ("ec2:ReleaseAddress", "ec2", "elastic-ip/eipalloc-1", POOL),
        ("ec2:TerminateInstances", "ec2", "instance/i-1", MEMBER),
        (
            "autoscaling:CompleteLifecycleAction",
            "autoscaling",
            "autoScalingGroup:0f:autoScalingGroupName/AUTOChOp-staging",
            {},
        ),
        ("autoscaling:SetDesiredCapacity", "autoscaling", "autoScalingGroup:0f:autoScalingGroupName/AUTOChOp", {}),
    ],
)
def test_the_fleet_may_not_do_more(action: str, service: str, resource: str, context: dict[str, str]) -> None:
    assert not allowed(FLEET, action, ACCOUNT.format(service, resource), context)


def test_the_hub_neither_claims_addresses_nor_ends_instances() -> None:
    assert not allowed(HUB, "ec2:AssociateAddress", ACCOUNT.format("ec2", "elastic-ip/eipalloc-1"), POOL)
    group = ACCOUNT.format("autoscaling", "autoScalingGroup:0f:autoScalingGroupName/AUTOChOp")
    assert not allowed(HUB, "autoscaling:CompleteLifecycleAction", group)
    assert allowed(HUB, "ssm:GetParameters", ACCOUNT.format("ssm", "parameter/checkop/production/database/port"))


@pytest.mark.parametrize("statements", [FLEET, HUB])
def test_everything_that_can_be_limited_is(statements: list[Statement]) -> None:
    for statement in statements:
        actions = listed(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*":
            assert set(actions) <= UNLIMITED
    # IAM: 10240 characters of inline policies per role, blanks not counted.
    assert len(json.dumps(statements).replace(" ", "")) < 10240
    names = [statement["Sid"] for statement in statements]
    assert len(names) == len(set(names))
    assert all(name.isalnum() for name in names)
