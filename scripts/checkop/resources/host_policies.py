"""What the instances may do in AWS: least privilege, statement by statement (Service Authorization Reference)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.reconcile import tag_map
from checkop.rollout.colours import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_efs import EFSClient

Statement = dict[str, Any]

POOL_TAG = "checkop:pool"
GROUP_TAG = "checkop:group"
ENVIRONMENT_TAG = "checkop:environment"


@dataclass(frozen=True)
class Scope:
    """What the statements are limited to.

    Parameters
    ----------
    environment:
        Value of the tag ``checkop:environment``.
    ssm_prefix:
        Path of the parameters that hosts read.
    secret_name:
        Name of the database's secret; AWS adds six characters to it.
    log_prefix:
        Path of the log groups that hosts write to.
    metric_namespace:
        The one CloudWatch namespace that hosts may write to.
    file_system_arn:
        ARN of ChOp-Temp.
    """

    region: str
    account_id: str
    environment: str
    ssm_prefix: str
    secret_name: str
    log_prefix: str
    metric_namespace: str
    file_system_arn: str

    def arn(self, service: str, resource: str) -> str:
        """Give the ARN of a resource of this region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


def host_statements(scope: Scope) -> list[Statement]:
    """What every host does: read its parameters and secret, write logs and metrics, mount ChOp-Temp."""
    parameters = scope.arn("ssm", f"parameter{scope.ssm_prefix}")
    return [
        {
            "Sid": "ReadParameters",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            "Resource": [parameters, f"{parameters}/*"],
        },
        {
            "Sid": "ReadDatabaseSecret",
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": scope.arn("secretsmanager", f"secret:{scope.secret_name}-??????"),
        },
        {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": scope.arn("logs", f"log-group:{scope.log_prefix}/*"),
        },
        {
            "Sid": "WriteMetrics",
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            # PutMetricData knows no resources; the namespace is what it can be limited to.
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": scope.metric_namespace}},
        },
        {
            "Sid": "ReadTags",
            "Effect": "Allow",
            # The CloudWatch agent names the group in its metrics, and a host looks up its own group.
            "Action": "ec2:DescribeTags",
            "Resource": "*",
        },
        {
            "Sid": "MountFileSystem",
            "Effect": "Allow",
            "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            "Resource": scope.file_system_arn,
            "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
        },
    ]


def fleet_statements(scope: Scope, group: str) -> list[Statement]:
    """What an instance of the fleet does besides: claim and give back an address, and end its draining.

    Parameters
    ----------
    group:
        Name of the Auto Scaling group.
    """
    own = {f"aws:ResourceTag/{ENVIRONMENT_TAG}": scope.environment}
    return [
        *host_statements(scope),
        {"Sid": "FindAddresses", "Effect": "Allow", "Action": "ec2:DescribeAddresses", "Resource": "*"},
        {
            "Sid": "ClaimPoolAddresses",
            "Effect": "Allow",
            "Action": ["ec2:AssociateAddress", "ec2:DisassociateAddress"],
            "Resource": scope.arn("ec2", "elastic-ip/*"),
            "Condition": {"StringEquals": {**own, f"aws:ResourceTag/{POOL_TAG}": "fleet"}},
        },
        {
            "Sid": "GiveThemToFleetInstances",
            "Effect": "Allow",
            "Action": ["ec2:AssociateAddress", "ec2:DisassociateAddress"],
            # EC2 checks the interface behind the instance as well; both carry the launch template's tags.
            "Resource": [scope.arn("ec2", "instance/*"), scope.arn("ec2", "network-interface/*")],
            "Condition": {"StringEquals": {**own, f"aws:ResourceTag/{GROUP_TAG}": "autochop"}},
        },
        {
            "Sid": "EndDraining",
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            # A blue/green release makes a second group with the same hook.
            "Resource": [
                scope.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")
                for name in (group, f"{group}{SUFFIX}")
            ],
        },
        {
            "Sid": "FindHooks",
            "Effect": "Allow",
            # Auto Scaling's Describe actions know no resources.
            "Action": ["autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks"],
            "Resource": "*",
        },
    ]


def file_system_arn(efs: EFSClient, name: str, tags: Mapping[str, str], *, check: bool) -> str:
    """Give the ARN of the environment's file system (EFS DescribeFileSystems).

    Raises
    ------
    CheckopError
        There is none, or more than one, of that name (outside check mode).
    """
    environment = tags[ENVIRONMENT_TAG]
    found = [
        system["FileSystemArn"]
        for page in efs.get_paginator("describe_file_systems").paginate()
        for system in page["FileSystems"]
        if system.get("Name") == name and tag_map(system["Tags"]).get(ENVIRONMENT_TAG) == environment
    ]
    if len(found) == 1:
        return found[0]
    if check and not found:
        return f"(file system {name})"
    raise CheckopError(
        f"storage_name: {len(found)} file systems are called {name} and carry {ENVIRONMENT_TAG}={environment}; exactly "
        "one is needed. Run playbooks/storage.yml first, or remove the other one."
    )
