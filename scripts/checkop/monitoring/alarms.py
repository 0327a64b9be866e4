"""CloudWatch alarms from data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop import ownership
from checkop.errors import CheckopError
from checkop.reconcile import present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_cloudwatch import CloudWatchClient

    from checkop.reconcile import Plan

COMPARISONS = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
}


@dataclass(frozen=True)
class Alarm:
    """One alarm as wanted; the names of CloudWatch PutMetricAlarm, periods in seconds.

    Parameters
    ----------
    name:
        Full name.
    description:
        What it means, for whoever is woken by it.
    namespace, metric, dimensions:
        The metric; dimensions hold real values, no placeholders.
    statistic:
        ``Sum``, ``Average``, ``Minimum``, ``Maximum``, ``SampleCount``, or a percentile such as ``p99``.
    comparison, threshold:
        Compared like this: metric ``comparison`` threshold, with one of `COMPARISONS`.
    period_seconds, periods, datapoints:
        It rings when ``datapoints`` of the last ``periods`` periods are over the threshold.
    missing_data:
        What periods without data mean: ``notBreaching``, ``breaching``, ``ignore``, ``missing``.
    """

    name: str
    description: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    comparison: str
    threshold: float
    period_seconds: int
    periods: int
    datapoints: int
    missing_data: str = "notBreaching"


def request(alarm: Alarm, topic_arn: str) -> dict[str, Any]:
    """Build the parameters of PutMetricAlarm.

    Raises
    ------
    CheckopError
        The comparison is none of `COMPARISONS`, or more datapoints than periods are asked for.
    """
    if alarm.comparison not in COMPARISONS:
        raise CheckopError(
            f"monitoring_alarms: {alarm.name} compares with {alarm.comparison!r}; allowed are {', '.join(COMPARISONS)}."
        )
    if alarm.datapoints > alarm.periods:
        raise CheckopError(
            f"monitoring_alarms: {alarm.name} wants {alarm.datapoints} datapoints of {alarm.periods} periods. Give it "
            "as many periods, or fewer datapoints."
        )
    statistic = (
        {"ExtendedStatistic": alarm.statistic} if alarm.statistic.startswith("p") else {"Statistic": alarm.statistic}
    )
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "Namespace": alarm.namespace,
        "MetricName": alarm.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in sorted(alarm.dimensions.items())],
        **statistic,
        "ComparisonOperator": COMPARISONS[alarm.comparison],
        "Threshold": float(alarm.threshold),
        "Period": alarm.period_seconds,
        "EvaluationPeriods": alarm.periods,
        "DatapointsToAlarm": alarm.datapoints,
        "TreatMissingData": alarm.missing_data,
        "ActionsEnabled": True,
        "AlarmActions": [topic_arn],
        "OKActions": [topic_arn],
    }


def describe(current: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Bring an alarm of DescribeAlarms to the shape of `request`."""
    shaped = {name: current.get(name) for name in names}
    shaped["Dimensions"] = sorted(current.get("Dimensions", []), key=lambda dimension: str(dimension["Name"]))
    return shaped


def reconcile(
    cloudwatch: CloudWatchClient,
    plan: Plan,
    prefix: str,
    alarms: Sequence[Alarm],
    *,
    topic_arn: str,
    tags: Mapping[str, str],
) -> None:
    """Make exactly the given alarms among those whose name begins with the prefix.

    Parameters
    ----------
    cloudwatch:
        The CloudWatch client.
    plan:
        Records and applies.
    prefix:
        Beginning of every name; another alarm that begins like it is removed, if it is this environment's.
    alarms:
        The alarms as wanted.
    topic_arn:
        Told of every change to ALARM and back to OK.
    tags:
        Tags of ownership.
    """
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
    existing = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    for alarm in alarms:
        resource = f"Alarm {alarm.name}"
        wanted = request(alarm, topic_arn)
        current = existing.pop(alarm.name, None)
        if current is None:
            plan.step(
                resource,
                None,
                {**wanted, "tags": dict(tags)},
                lambda wanted=wanted: cloudwatch.put_metric_alarm(**wanted, Tags=tag_list(tags)),  # type: ignore[misc]
            )
            continue
        arn = current["AlarmArn"]
        current_tags = tag_map(cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])
        ownership.require(plan, resource, current_tags, tags)
        plan.step(
            resource,
            describe(current, list(wanted)),
            wanted,
            lambda wanted=wanted: cloudwatch.put_metric_alarm(**wanted),  # type: ignore[misc]
        )
        plan.step(
            f"{resource}: tags",
            present_tags(current_tags, tags),
            dict(tags),
            lambda arn=arn: cloudwatch.tag_resource(ResourceARN=arn, Tags=tag_list(tags)),  # type: ignore[misc]
        )
    _remove_others(cloudwatch, plan, {name: alarm["AlarmArn"] for name, alarm in existing.items()}, tags)


def _remove_others(
    cloudwatch: CloudWatchClient, plan: Plan, others: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    for name, arn in others.items():
        if ownership.owned(tag_map(cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]), tags):
            plan.step(
                f"Alarm {name}",
                {"AlarmName": name},
                None,
                lambda name=name: cloudwatch.delete_alarms(AlarmNames=[name]),  # type: ignore[misc]
            )
