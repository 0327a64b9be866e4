"""Every variable that the default scenario leaves alone reaches the agent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone


def instance_id(aws):
    return next(iter(aws.members()))


def test_the_newest_file_of_a_pattern_is_followed_and_lines_arrive_once_over_a_restart(host, aws, eventually):
    logs = aws.client("logs")
    moment = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    stamp = f"{moment:%d %b %Y %H:%M:%S}"
    path = f"/var/log/other-{moment.timestamp():.0f}.log"
    first, second, third = f"BEGIN {stamp} one\nmore", f"BEGIN {stamp} two", f"BEGIN {stamp} three"
    # The times are UTC whatever the host's zone is.
    host.check_output(
        "ln -sf /usr/share/zoneinfo/America/Bogota /etc/localtime && systemctl restart amazon-cloudwatch-agent"
    )
    host.check_output("printf 'BEGIN old\\n' > /var/log/other-0.log && touch --date=yesterday /var/log/other-0.log")
    host.check_output(f"cat > {path} <<'END'\n{first}\n{second}\nEND")

    def events():
        try:
            found = logs.get_log_events(logGroupName="other", logStreamName=instance_id(aws), startFromHead=True)
        except logs.exceptions.ResourceNotFoundException:
            return []
        # What an earlier run has left carries another time.
        return [event for event in found["events"] if stamp in event["message"] or "old" in event["message"]]

    eventually("both events arrive", lambda: len(events()) == 2)
    assert [event["message"] for event in events()] == [first, second]
    assert events()[0]["timestamp"] == moment.timestamp() * 1000
    host.check_output("systemctl stop amazon-cloudwatch-agent")
    host.check_output(f"echo '{third}' >> {path} && systemctl start amazon-cloudwatch-agent")
    eventually("what was written while it was stopped arrives", lambda: len(events()) >= 3)
    assert [event["message"] for event in events()] == [first, second, third]
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
