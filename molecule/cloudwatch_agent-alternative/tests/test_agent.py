"""Every variable that the default scenario leaves alone reaches the agent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone


def instance_id(aws):
    return next(iter(aws.members()))


def test_the_newest_file_of_a_pattern_is_followed(host, aws, eventually):
    logs = aws.client("logs")
    moment = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    first, second = f"BEGIN {moment:%d %b %Y %H:%M:%S} one\nmore", f"BEGIN {moment:%d %b %Y %H:%M:%S} two"
    # The times are UTC whatever the host's zone is.
    host.check_output(
        "ln -sf /usr/share/zoneinfo/America/Bogota /etc/localtime && systemctl restart amazon-cloudwatch-agent"
    )
    host.check_output("printf 'BEGIN old\\n' > /var/log/other-0.log && touch --date=yesterday /var/log/other-0.log")
    host.check_output(f"cat > /var/log/other-{moment.timestamp():.0f}.log <<'END'\n{first}\n{second}\nEND")

    def events():
        try:
            found = logs.get_log_events(logGroupName="other", logStreamName=instance_id(aws), startFromHead=True)
        except logs.exceptions.ResourceNotFoundException:
            return {}
        return {event["message"]: event["timestamp"] for event in found["events"]}

    eventually("both events arrive", lambda: {first, second} <= events().keys())
    assert events()[first] == events()[second] == moment.timestamp() * 1000
    assert not any("old" in message for message in events())
    group = logs.describe_log_groups(logGroupNamePrefix="other")["logGroups"][0]
    assert group["retentionInDays"] == 30


def test_only_what_is_asked_for_is_measured(aws, eventually):
    cloudwatch = aws.client("cloudwatch")

    def names():
        return {one["MetricName"] for one in cloudwatch.list_metrics(Namespace="Other/molecule")["Metrics"]}

    eventually("metrics arrive", lambda: bool(names()))
    assert names() == {"mem_available"}


def test_interval_and_endpoint_are_the_given_ones(host):
    config = json.loads(host.file("/etc/checkop/cloudwatch-agent.json").content_string)
    assert config["agent"]["metrics_collection_interval"] == 2
    assert config["agent"]["region"] == "us-east-1"
    assert config["logs"]["force_flush_interval"] == 1
    assert config["logs"]["endpoint_override"] == config["metrics"]["endpoint_override"]


def test_the_locked_version_is_installed(host):
    assert host.check_output("rpm -q amazon-cloudwatch-agent").startswith(
        "amazon-cloudwatch-agent-1.247358.0b252413-1.lab"
    )
