"""The IAM group of the console administrators: reads monitoring and logs, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.errors import CheckopError
from checkop.policies import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_iam import IAMClient

    from checkop.reconcile import Plan

POLICY_NAME = "read-monitoring-and-logs"


def group_path(environment: str) -> str:
    """Return the IAM path that marks a group as this environment's; IAM groups take no tags."""
    return f"/checkop/{environment}/"


def policy(region: str, account_id: str, log_prefixes: Sequence[str], topic_arn: str) -> dict[str, Any]:
    """Build the group's policy.

    Follows the service authorization reference: actions that list take no resource and so name all; what reads lines
    of logs names this environment's groups only.

    Parameters
    ----------
    region, account_id:
        Where the log groups are.
    log_prefixes:
        Beginnings of the log groups' names.
    topic_arn:
        The alarms' topic.
    """
    groups = [f"arn:aws:logs:{region}:{account_id}:log-group:{prefix}/*" for prefix in log_prefixes]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ReadMetricsAndAlarms",
                "Effect": "Allow",
                "Action": ["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"],
                "Resource": "*",
            },
            {
                "Sid": "FindLogs",
                "Effect": "Allow",
                "Action": [
                    "logs:DescribeLogGroups",
                    "logs:DescribeQueries",
                    "logs:DescribeQueryDefinitions",
                    "logs:GetQueryResults",
                    "logs:StopQuery",
                    "logs:TestMetricFilter",
                ],
                "Resource": "*",
            },
            {
                "Sid": "ReadLogs",
                "Effect": "Allow",
                "Action": [
                    "logs:DescribeLogStreams",
                    "logs:DescribeMetricFilters",
                    "logs:DescribeSubscriptionFilters",
                    "logs:FilterLogEvents",
                    "logs:GetLogEvents",
                    "logs:GetLogGroupFields",
                    "logs:GetLogRecord",
                    "logs:StartLiveTail",
                    "logs:StartQuery",
                ],
                "Resource": groups,
            },
            {
                "Sid": "ReadTopic",
                "Effect": "Allow",
                "Action": ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"],
                "Resource": topic_arn,
            },
        ],
    }


def reconcile(iam: IAMClient, plan: Plan, name: str, environment: str, document: dict[str, Any]) -> None:
    """Make the group with exactly this policy; who is in it is not touched.

    Parameters
    ----------
    iam:
        The IAM client.
    plan:
        Records and applies.
    name:
        Name of the group.
    environment:
        ``checkop_environment``.
    document:
        The policy.

    Raises
    ------
    CheckopError
        The group is not this environment's.
    """
    resource = f"IAM group {name}"
    path = group_path(environment)
    group = _group(iam, name)
    if group is None:
        plan.step(resource, None, {"path": path}, lambda: iam.create_group(GroupName=name, Path=path))
    elif group["Path"] != path and not plan.check:
        # Groups have no tags; the path says whose they are.
        raise CheckopError(
            f"{resource} exists with the path {group['Path']}, and {path} would mark it as this environment's. If it "
            f"is to be managed from here: aws iam update-group --group-name {name} --new-path {path}"
        )
    else:
        plan.step(resource, {"path": group["Path"]}, {"path": path}, lambda: None)
    inline: list[str] = []
    attached: list[Any] = []
    if group is not None:
        for page in iam.get_paginator("list_group_policies").paginate(GroupName=name):
            inline += page["PolicyNames"]
        for attachments in iam.get_paginator("list_attached_group_policies").paginate(GroupName=name):
            attached += attachments["AttachedPolicies"]
    current = (
        normalise(_as_document(iam.get_group_policy(GroupName=name, PolicyName=POLICY_NAME)["PolicyDocument"]))
        if POLICY_NAME in inline
        else None
    )
    plan.step(
        f"{resource}: policy {POLICY_NAME}",
        current,
        normalise(document),
        lambda: iam.put_group_policy(GroupName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(document)),
    )
    for other in inline:
        if other != POLICY_NAME:
            plan.step(
                f"{resource}: policy {other}",
                {"policy": other},
                None,
                lambda other=other: iam.delete_group_policy(GroupName=name, PolicyName=other),  # type: ignore[misc]
            )
    for attachment in attached:
        plan.step(
            f"{resource}: attached policy {attachment['PolicyName']}",
            {"policy": attachment["PolicyArn"]},
            None,
            lambda arn=attachment["PolicyArn"]: iam.detach_group_policy(  # type: ignore[misc]
                GroupName=name, PolicyArn=arn
            ),
        )


def _group(iam: IAMClient, name: str) -> dict[str, Any] | None:
    try:
        return dict(iam.get_group(GroupName=name)["Group"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise


def _as_document(document: Any) -> str | dict[str, Any]:
    # botocore has parsed the URL-encoded text already; its type says text.
    return document if isinstance(document, (str, dict)) else {}
