"""Clients of the AWS API, and the guard that keeps a play away from the wrong account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_efs import EFSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_route53 import Route53Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

# Standard mode backs off with jitter on throttling and on transient failures; 10 attempts outlast a busy minute.
RETRIES = Config(
    retries={"mode": "standard", "max_attempts": 10},
    connect_timeout=5,
    read_timeout=60,
    user_agent_extra="checkop-environment",
)


class Clients:
    """The AWS clients of one region, each made when first asked for.

    Credentials and endpoint come from the environment as for every AWS tool (AWS SDKs and Tools Reference Guide).

    Parameters
    ----------
    region:
        Region name, for example ``us-east-1``.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._session = boto3.session.Session(region_name=region)
        self._made: dict[str, object] = {}

    def _client(self, service: str) -> object:
        if service not in self._made:
            self._made[service] = self._session.client(service, config=RETRIES)  # type: ignore[call-overload]
        return self._made[service]

    @property
    def acm(self) -> Any:
        """AWS Certificate Manager."""
        return self._client("acm")

    @property
    def autoscaling(self) -> AutoScalingClient:
        """Amazon EC2 Auto Scaling."""
        return self._client("autoscaling")  # type: ignore[return-value]

    @property
    def cloudwatch(self) -> CloudWatchClient:
        """Amazon CloudWatch."""
        return self._client("cloudwatch")  # type: ignore[return-value]

    @property
    def ec2(self) -> EC2Client:
        """Amazon EC2 and VPC."""
        return self._client("ec2")  # type: ignore[return-value]

    @property
    def efs(self) -> EFSClient:
        """Amazon Elastic File System."""
        return self._client("efs")  # type: ignore[return-value]

    @property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        """Elastic Load Balancing, version 2."""
        return self._client("elbv2")  # type: ignore[return-value]

    @property
    def iam(self) -> IAMClient:
        """AWS Identity and Access Management."""
        return self._client("iam")  # type: ignore[return-value]

    @property
    def logs(self) -> CloudWatchLogsClient:
        """Amazon CloudWatch Logs."""
        return self._client("logs")  # type: ignore[return-value]

    @property
    def rds(self) -> RDSClient:
        """Amazon Relational Database Service."""
        return self._client("rds")  # type: ignore[return-value]

    @property
    def route53(self) -> Route53Client:
        """Amazon Route 53."""
        return self._client("route53")  # type: ignore[return-value]

    @property
    def s3(self) -> S3Client:
        """Amazon Simple Storage Service."""
        return self._client("s3")  # type: ignore[return-value]

    @property
    def secretsmanager(self) -> SecretsManagerClient:
        """AWS Secrets Manager."""
        return self._client("secretsmanager")  # type: ignore[return-value]

    @property
    def sns(self) -> SNSClient:
        """Amazon Simple Notification Service."""
        return self._client("sns")  # type: ignore[return-value]

    @property
    def ssm(self) -> SSMClient:
        """AWS Systems Manager."""
        return self._client("ssm")  # type: ignore[return-value]

    @property
    def sts(self) -> STSClient:
        """AWS Security Token Service."""
        return self._client("sts")  # type: ignore[return-value]


def require_endpoint(endpoint_url: str, environment: Mapping[str, str] | None = None) -> None:
    """Prove that AWS clients would talk to the endpoint which the inventory names; nothing is sent.

    Parameters
    ----------
    endpoint_url:
        The inventory's ``aws_endpoint_url``; empty for AWS itself.
    environment:
        The process environment; by default the real one.

    Raises
    ------
    CheckopError
        They would talk to another; the message has both.
    """
    environment = os.environ if environment is None else environment
    overridden = {
        name: value
        for name, value in environment.items()
        if name == "AWS_ENDPOINT_URL" or name.startswith("AWS_ENDPOINT_URL_")
    }
    actual = overridden.pop("AWS_ENDPOINT_URL", "")
    if actual.rstrip("/") != endpoint_url.rstrip("/") or overridden:
        found = actual or "not set (AWS itself)"
        if overridden:
            found += " and " + ", ".join(sorted(overridden)) + " besides"
        raise CheckopError(
            f"AWS_ENDPOINT_URL is {found}, but the inventory's aws_endpoint_url is "
            f"{endpoint_url or 'empty (AWS itself)'}. Name the inventory you mean with -i, and for a rehearsal "
            'load the lab\'s environment with: eval "$(lab env)".'
        )


def guard(clients: Clients, account_id: str, endpoint_url: str, environment: Mapping[str, str] | None = None) -> str:
    """Prove that calls go to the account and the endpoint which the inventory names.

    Follows STS GetCallerIdentity. The endpoint is compared before anything is sent, so that rehearsal credentials
    never reach AWS and production credentials never reach a rehearsal.

    Parameters
    ----------
    clients:
        Clients of the region in question.
    account_id:
        Twelve digits, from the inventory's ``aws_account_id``.
    endpoint_url:
        The inventory's ``aws_endpoint_url``; empty for AWS itself.
    environment:
        The process environment; by default the real one.

    Returns
    -------
    str
        The ARN of the caller.

    Raises
    ------
    CheckopError
        Account or endpoint differ from the inventory, or no caller could be found; the message has both values.
    """
    if len(account_id) != 12 or not account_id.isdigit():  # noqa: PLR2004 - an account id has twelve digits
        raise CheckopError(
            f"aws_account_id is {account_id!r}, but an AWS account id has twelve digits. Set it in "
            "group_vars/all/account.yml of the inventory in use."
        )
    require_endpoint(endpoint_url, environment)
    try:
        caller = clients.sts.get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise CheckopError(
            f"AWS does not say who is calling ({error}). Give credentials for account {account_id}, for example "
            "with AWS_PROFILE, and see that the endpoint answers."
        ) from error
    if caller["Account"] != account_id:
        raise CheckopError(
            f"The credentials in use belong to account {caller['Account']} ({caller['Arn']}), but the inventory's "
            f"aws_account_id is {account_id}. Use the right credentials, or name the right inventory with -i."
        )
    return caller["Arn"]
