"""CloudWatch Logs: groups with retention, and filters that count lines as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.reconcile import present_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_logs import CloudWatchLogsClient

    from checkop.reconcile import Plan


def find(logs: CloudWatchLogsClient, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Find log groups by name (CloudWatch Logs DescribeLogGroups, one prefix at a time)."""
    wanted = set(names)
    # Groups share few beginnings: one call for each instead of one for each group.
    prefixes = {name.rpartition("/")[0] or name for name in wanted}
    shortest = {
        prefix
        for prefix in prefixes
        if not any(prefix != other and prefix.startswith(f"{other}/") for other in prefixes)
    }
    paginator = logs.get_paginator("describe_log_groups")
    return {
        group["logGroupName"]: dict(group)
        for prefix in sorted(shortest)
        for page in paginator.paginate(logGroupNamePrefix=prefix)
        for group in page["logGroups"]
        if group["logGroupName"] in wanted
    }


def reconcile_groups(
    logs: CloudWatchLogsClient, plan: Plan, retention_days: Mapping[str, int], tags: Mapping[str, str]
) -> None:
    """Make the log groups with their retention; one that an agent or RDS made first is adopted.

    Parameters
    ----------
    logs:
        The CloudWatch Logs client.
    plan:
        Records and applies.
    retention_days:
        Full name of a group to days.
    tags:
        Tags of ownership.
    """
    existing = find(logs, retention_days)
    for name, days in retention_days.items():
        resource = f"Log group {name}"
        group = existing.get(name)
        if group is None:
            plan.step(
                resource,
                None,
                {"retention_days": days, "tags": dict(tags)},
                lambda name=name, days=days: _create(logs, name, days, tags),  # type: ignore[misc]
            )
            continue
        plan.step(
            resource,
            {"retention_days": group.get("retentionInDays")},
            {"retention_days": days},
            lambda name=name, days=days: logs.put_retention_policy(  # type: ignore[misc]
                logGroupName=name, retentionInDays=days
            ),
        )
        # The ARN for tags is the one without the wildcard at its end.
        arn = str(group["arn"]).removesuffix(":*")
        plan.step(
            f"{resource}: tags",
            present_tags(logs.list_tags_for_resource(resourceArn=arn)["tags"], tags),
            dict(tags),
            lambda arn=arn: logs.tag_resource(resourceArn=arn, tags=dict(tags)),  # type: ignore[misc]
        )


def _create(logs: CloudWatchLogsClient, name: str, days: int, tags: Mapping[str, str]) -> None:
    logs.create_log_group(logGroupName=name, tags=dict(tags))
    logs.put_retention_policy(logGroupName=name, retentionInDays=days)


def reconcile_filters(
    logs: CloudWatchLogsClient,
    plan: Plan,
    filters: Sequence[Mapping[str, Any]],
    *,
    namespace: str,
    groups: Iterable[str],
) -> None:
    """Make exactly the given metric filters on the groups (CloudWatch Logs PutMetricFilter).

    Parameters
    ----------
    logs:
        The CloudWatch Logs client.
    plan:
        Records and applies.
    filters:
        Each with ``name``, ``log_group`` (full name), ``pattern`` and ``metric``; every match counts 1.
    namespace:
        Namespace of the metrics.
    groups:
        Full names of the groups whose other filters are removed.
    """
    watched = set(groups)
    existing = {
        (item["logGroupName"], item["filterName"]): item
        for page in logs.get_paginator("describe_metric_filters").paginate()
        for item in page["metricFilters"]
        if item["logGroupName"] in watched
    }
    for wanted in filters:
        group, name = wanted["log_group"], wanted["name"]
        current = existing.pop((group, name), None)
        transformation: dict[str, Any] = dict((current or {}).get("metricTransformations", [{}])[0])
        before = (
            {
                "pattern": current.get("filterPattern", ""),
                "metric": transformation.get("metricName"),
                "namespace": transformation.get("metricNamespace"),
                "value": transformation.get("metricValue"),
                "default": transformation.get("defaultValue"),
            }
            if current
            else None
        )
        plan.step(
            f"Metric filter {name} of {group}",
            before,
            {
                "pattern": wanted["pattern"],
                "metric": wanted["metric"],
                "namespace": namespace,
                "value": "1",
                "default": 0.0,
            },
            lambda wanted=wanted: _put_filter(logs, wanted, namespace),  # type: ignore[misc]
        )
    for (group, name), item in existing.items():
        plan.step(
            f"Metric filter {name} of {group}",
            {"pattern": item.get("filterPattern", "")},
            None,
            lambda group=group, name=name: logs.delete_metric_filter(  # type: ignore[misc]
                logGroupName=group, filterName=name
            ),
        )


def _put_filter(logs: CloudWatchLogsClient, wanted: Mapping[str, Any], namespace: str) -> None:
    logs.put_metric_filter(
        logGroupName=wanted["log_group"],
        filterName=wanted["name"],
        filterPattern=wanted["pattern"],
        metricTransformations=[
            {
                "metricName": wanted["metric"],
                "metricNamespace": namespace,
                "metricValue": "1",
                # Quiet minutes count as 0 and not as missing, so that an alarm can go back to OK.
                "defaultValue": 0.0,
            }
        ],
    )


def full_name(prefix: str, name: str) -> str:
    """Return the full name of a log group; one that begins with a slash is full already."""
    return name if name.startswith("/") else f"{prefix}/{name}"
