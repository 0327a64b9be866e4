"""Alarms, the dashboard, log groups, topics and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.monitoring.dashboard import marker
from checkop.teardown.model import Item, Kind

if TYPE_CHECKING:
    from checkop.aws import Clients
    from checkop.teardown.model import Scope


def find_alarms(clients: Clients, scope: Scope) -> list[Item]:
    """Metric alarms."""
    pages = clients.cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"])
    return [
        Item(alarm["AlarmName"])
        for page in pages
        for alarm in page["MetricAlarms"]
        if scope.owns(clients.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])
    ]


def find_dashboards(clients: Clients, scope: Scope) -> list[Item]:
    """The dashboard, if its text says that it is this environment's."""
    try:
        body = clients.cloudwatch.get_dashboard(DashboardName=scope.dashboard)["DashboardBody"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ResourceNotFound", "ResourceNotFoundException"):
            raise
        return []
    return [Item(scope.dashboard)] if f"{marker(scope.environment)}," in body else []


def find_log_groups(clients: Clients, scope: Scope) -> list[Item]:
    """Log groups with their metric filters."""
    pages = clients.logs.get_paginator("describe_log_groups").paginate()
    return [
        Item(group["logGroupName"])
        for page in pages
        for group in page["logGroups"]
        if scope.owns(clients.logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"])
    ]


def find_topics(clients: Clients, scope: Scope) -> list[Item]:
    """SNS topics with their subscriptions."""
    pages = clients.sns.get_paginator("list_topics").paginate()
    return [
        Item(topic["TopicArn"], topic["TopicArn"].rpartition(":")[2])
        for page in pages
        for topic in page["Topics"]
        if scope.owns(clients.sns.list_tags_for_resource(ResourceArn=topic["TopicArn"])["Tags"])
    ]


def find_parameters(clients: Clients, scope: Scope) -> list[Item]:
    """SSM parameters below the environment's own path, where hosts and rollouts write too, and tagged ones."""
    paginator = clients.ssm.get_paginator("describe_parameters")
    tagged: list[Any] = [
        {"Key": f"tag:{name}", "Option": "Equals", "Values": [value]} for name, value in scope.marks.items()
    ]
    below: list[Any] = [{"Key": "Path", "Option": "Recursive", "Values": [scope.ssm_prefix]}]
    names = {
        parameter["Name"]
        for filters in (tagged, below)
        for page in paginator.paginate(ParameterFilters=filters)
        for parameter in page["Parameters"]
    }
    return [Item(name) for name in sorted(names)]


KINDS = (
    Kind("Alarm", find_alarms, lambda clients, _scope, item: clients.cloudwatch.delete_alarms(AlarmNames=[item.id])),
    Kind(
        "Dashboard",
        find_dashboards,
        lambda clients, _scope, item: clients.cloudwatch.delete_dashboards(DashboardNames=[item.id]),
    ),
    Kind(
        "Log group", find_log_groups, lambda clients, _scope, item: clients.logs.delete_log_group(logGroupName=item.id)
    ),
    Kind("SNS topic", find_topics, lambda clients, _scope, item: clients.sns.delete_topic(TopicArn=item.id)),
    Kind("SSM parameter", find_parameters, lambda clients, _scope, item: clients.ssm.delete_parameter(Name=item.id)),
)
