"""VPC flow logs to CloudWatch Logs, with the role that may write them (Amazon VPC User Guide, Flow logs)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.policies import trust_policy
from checkop.reconcile import retry, tag_list, tag_map
from checkop.resources import engine
from checkop.resources.kind import Context
from checkop.resources.kinds import kind_of
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_logs import CloudWatchLogsClient

    from checkop.aws import Clients
    from checkop.reconcile import Plan

# One record per flow and minute: a spike of denied traffic is seen while it lasts.
AGGREGATION_SECONDS = 60


def ensure_flow_logs(
    clients: Clients,
    plan: Plan,
    *,
    vpc: str,
    name: str,
    log_group: str,
    retention_days: int,
    account_id: str,
    tags: Mapping[str, str],
) -> None:
    """Log every accepted and rejected flow of a VPC (EC2 CreateFlowLogs).

    Parameters
    ----------
    vpc:
        Id of the VPC, or check mode's placeholder.
    name:
        Name of the role, and the ``Name`` tag of the flow log.
    log_group:
        CloudWatch Logs group; made if it does not exist.
    retention_days:
        Days that the group keeps its events.
    """
    group_arn = f"arn:aws:logs:{clients.region}:{account_id}:log-group:{log_group}"
    _log_group(clients.logs, plan, log_group, retention_days, tags)
    statements = [
        {
            "Sid": "Write",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": [group_arn, f"{group_arn}:*"],
        },
        {"Sid": "Find", "Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
    ]
    properties = {
        "Description": "Lets VPC flow logs write to their log group",
        # Only flow logs of this account may use the role (the confused deputy problem).
        "AssumeRolePolicyDocument": trust_policy(
            "vpc-flow-logs.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account_id}}
        ),
        "Policies": {"checkop": {"Version": "2012-10-17", "Statement": statements}},
        "AttachedPolicies": [],
    }
    made = engine.converge(Context(clients, plan, tags), kind_of("iam.role"), name, properties)
    role = str(made.get("Arn", f"(IAM role {name})"))
    current = _flow_logs(clients.ec2, vpc, tags)
    for log in current:
        if log.get("LogGroupName") != log_group:
            _remove(clients.ec2, plan, log)
    if any(log.get("LogGroupName") == log_group for log in current):
        return
    plan.create(
        f"Flow log {name}",
        {"log group": log_group, "traffic": "ALL"},
        lambda: _create(clients.ec2, vpc=vpc, name=name, log_group=log_group, role=role, tags=tags),
    )


def _create(ec2: EC2Client, *, vpc: str, name: str, log_group: str, role: str, tags: Mapping[str, str]) -> str:
    made: list[str] = []

    # A role made just now is not known to EC2 at once.
    def attempt() -> tuple[bool, str]:
        answer = retry(
            lambda: ec2.create_flow_logs(
                ResourceIds=[vpc],
                ResourceType="VPC",
                TrafficType="ALL",
                LogDestinationType="cloud-watch-logs",
                LogGroupName=log_group,
                DeliverLogsPermissionArn=role,
                MaxAggregationInterval=AGGREGATION_SECONDS,
                TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": tag_list(tags, Name=name)}],
            ),
            {"InvalidParameter", "InvalidParameterValue"},
            about="unable to assume",
        )
        made.extend(answer["FlowLogIds"])
        # EC2 may also answer with success and a list of what failed.
        failed = [entry["Error"].get("Message", "no reason given") for entry in answer.get("Unsuccessful", [])]
        return not failed, "; ".join(failed)

    wait_until(f"EC2 to accept flow log {name}", attempt, timeout_seconds=60)
    return made[0]


def remove_flow_logs(ec2: EC2Client, plan: Plan, vpc: str, tags: Mapping[str, str]) -> None:
    """Switch the environment's flow logs of a VPC off (EC2 DeleteFlowLogs); what they wrote stays."""
    for log in _flow_logs(ec2, vpc, tags):
        _remove(ec2, plan, log)


def _remove(ec2: EC2Client, plan: Plan, log: Mapping[str, Any]) -> None:
    identifier = log["FlowLogId"]
    plan.delete(
        f"Flow log {identifier}",
        {"log group": log.get("LogGroupName")},
        lambda: ec2.delete_flow_logs(FlowLogIds=[identifier]),
    )


def _flow_logs(ec2: EC2Client, vpc: str, tags: Mapping[str, str]) -> list[Mapping[str, Any]]:
    pages = ec2.get_paginator("describe_flow_logs").paginate(Filters=[{"Name": "resource-id", "Values": [vpc]}])
    environment = tags["checkop:environment"]
    return [
        log
        for page in pages
        for log in page["FlowLogs"]
        if tag_map(log.get("Tags")).get("checkop:environment") == environment
    ]


def _log_group(logs: CloudWatchLogsClient, plan: Plan, name: str, retention_days: int, tags: Mapping[str, str]) -> None:
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    found = next((group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), None)
    retention: int | None = None
    if found is None:
        plan.create(
            f"Log group {name}",
            {"name": name},
            lambda: str(logs.create_log_group(logGroupName=name, tags={**tags, "Name": name})),
        )
    else:
        retention = found.get("retentionInDays")
    plan.update(
        f"Log group {name} retention",
        retention,
        retention_days,
        lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=retention_days),
    )
