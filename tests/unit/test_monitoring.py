"""Alarms and dashboard from data."""

from __future__ import annotations

import dataclasses
import json

import boto3
import pytest
from botocore.stub import Stubber

from checkop.errors import CheckopError
from checkop.monitoring import console_group, dashboard, topic
from checkop.monitoring.alarms import Alarm, describe, request
from checkop.monitoring.log_groups import full_name
from checkop.monitoring.placeholders import fill, placeholders
from checkop.reconcile import Plan

ALARM = Alarm(
    name="checkop-production-fleet-cpu",
    description="Busy",
    namespace="AWS/EC2",
    metric="CPUUtilization",
    dimensions={"AutoScalingGroupName": "AUTOChOp"},
    statistic="Average",
    comparison=">=",
    threshold=85,
    period_seconds=300,
    periods=3,
    datapoints=2,
)


def test_an_alarm_becomes_what_cloudwatch_takes() -> None:
    wanted = request(ALARM, "arn:topic")
    assert wanted["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert wanted["Statistic"] == "Average"
    assert wanted["Dimensions"] == [{"Name": "AutoScalingGroupName", "Value": "AUTOChOp"}]
    assert wanted["AlarmActions"] == wanted["OKActions"] == ["arn:topic"]
    percentile = request(dataclasses.replace(ALARM, statistic="p99"), "arn:topic")
    assert percentile["ExtendedStatistic"] == "p99"
    assert "Statistic" not in percentile


def test_an_alarm_as_cloudwatch_answers_it_is_equal() -> None:
    two = dataclasses.replace(ALARM, dimensions={"TargetGroup": "t", "LoadBalancer": "l"})
    wanted = request(two, "arn:topic")
    answered = {**wanted, "Dimensions": wanted["Dimensions"][::-1], "StateValue": "OK", "AlarmArn": "arn:alarm"}
    assert describe(answered, list(wanted)) == wanted


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"comparison": "=>"}, "compares with '=>'; allowed are >, >=, <, <="),
        ({"datapoints": 4}, "wants 4 datapoints of 3 periods"),
    ],
)
def test_an_alarm_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(CheckopError, match=message):
        request(dataclasses.replace(ALARM, **wrong), "arn:topic")


def test_placeholders_are_found_and_filled() -> None:
    assert placeholders(["{balancer}", "Total", "app/{target_group}"]) == {"balancer", "target_group"}
    assert fill({"LoadBalancer": "{balancer}", "StorageClass": "Total"}, {"balancer": "app/x/1"}) == {
        "LoadBalancer": "app/x/1",
        "StorageClass": "Total",
    }


def test_every_alarm_has_its_graph_and_nothing_overlaps() -> None:
    alarms = [dataclasses.replace(ALARM, name=f"alarm-{number}") for number in range(7)]
    body = dashboard.body("production", "us-east-1", "123456789012", alarms, ["/a", "/b"])
    cells = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert [widget["type"] for widget in body["widgets"]] == ["text", "alarm", *["metric"] * 7, "log", "log"]
    assert body["widgets"][2]["properties"]["annotations"]["horizontal"][0]["value"] == 85
    json.dumps(body)


def test_the_mark_of_one_environment_is_not_part_of_anothers() -> None:
    body = json.dumps(dashboard.body("staging-2", "us-east-1", "123456789012", [], []))
    assert f"{dashboard.marker('staging-2')}," in body
    assert f"{dashboard.marker('staging')}," not in body


@pytest.mark.parametrize(
    ("name", "full"), [("application/error", "/checkop/x/application/error"), ("/aws/a", "/aws/a")]
)
def test_full_names_of_log_groups_stay(name: str, full: str) -> None:
    assert full_name("/checkop/x", name) == full


def test_who_has_unsubscribed_is_asked_again_and_not_unsubscribed_once_more() -> None:
    arn = "arn:aws:sns:us-east-1:123456789012:alarms"
    client = boto3.client("sns", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    listed = [{"Endpoint": name, "SubscriptionArn": "Deleted"} for name in ("ana@example.com", "gone@example.com")]
    with Stubber(client) as stubbed:
        stubbed.add_response("get_topic_attributes", {"Attributes": {}})
        stubbed.add_response("list_subscriptions_by_topic", {"Subscriptions": listed})
        asked = {"TopicArn": arn, "Protocol": "email", "Endpoint": "ana@example.com"}
        stubbed.add_response("subscribe", {"SubscriptionArn": topic.PENDING}, asked)
        topic._subscriptions(client, Plan(check=False), arn, "topic", ["ana@example.com"])
        stubbed.assert_no_pending_responses()


def test_console_administrators_change_nothing() -> None:
    document = console_group.policy("us-east-1", "123456789012", ["/checkop/production"], "arn:topic")
    actions = [action.split(":")[1] for statement in document["Statement"] for action in statement["Action"]]
    assert not [action for action in actions if action.startswith(("Put", "Delete", "Create", "Set", "Tag", "Update"))]
    assert all(statement["Effect"] == "Allow" for statement in document["Statement"])
