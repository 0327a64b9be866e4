"""Log lines and metrics arrive at CloudWatch, once, and a configuration that the agent refuses changes nothing."""

from __future__ import annotations

import json

import pytest

LOG = "/var/log/checkop/error.log"
GROUP = "/checkop/molecule/application/error"
UNIT = "amazon-cloudwatch-agent.service"
CONTROL = "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"


def instance_id(aws):
    return next(iter(aws.members()))


def messages(aws):
    """Return what CloudWatch Logs has of the application's errors, in order."""
    logs = aws.client("logs")
    try:
        found = logs.get_log_events(logGroupName=GROUP, logStreamName=instance_id(aws), startFromHead=True)
    except logs.exceptions.ResourceNotFoundException:
        return []
    return found["events"]


def write(host, text, path=LOG):
    host.check_output(f"mkdir -p /var/log/checkop && cat >> {path} <<'END'\n{text}\nEND")


def texts(aws):
    return [event["message"] for event in messages(aws)]


def test_a_traceback_is_one_event_with_its_own_time(host, aws, eventually):
    # CloudWatch Logs takes nothing older than 14 days.
    moment = host.check_output("date --date='1 hour ago' '+%Y-%m-%d %H:%M:%S'")
    event = f"{moment},678 ERROR worker-1 upload failed\nTraceback (most recent call last):\n  boom"
    write(host, f"{event}\n{moment},900 ERROR worker-1 next")
    eventually("both events arrive", lambda: event in texts(aws) and len(texts(aws)) >= 2)
    found = next(one for one in messages(aws) if one["message"] == event)
    assert found["timestamp"] // 1000 == int(host.check_output(f"date --date='{moment}' +%s"))


def test_it_comes_back_when_it_is_killed_and_lines_arrive_once_over_that_and_rotation(host, aws, eventually):
    minute = host.check_output("date --date='5 minutes ago' '+%Y-%m-%d %H:%M'")
    run = host.check_output("date +%s.%N")

    def line(number):
        return f"{minute}:{number:02d},000 ERROR worker-1 number {number} of {run}"

    write(host, line(1))
    eventually("the first line arrives", lambda: line(1) in texts(aws))
    before = host.check_output(f"systemctl show -p MainPID {UNIT}")
    host.check_output(f"systemctl kill --signal=KILL {UNIT}")
    write(host, line(2))
    eventually("what was written meanwhile arrives", lambda: line(2) in texts(aws))
    assert host.check_output(f"systemctl show -p MainPID {UNIT}") not in (before, "MainPID=0")
    write(host, line(3))
    host.check_output(f"mv {LOG} {LOG}-1")
    write(host, line(4))
    eventually("lines around a rotation arrive", lambda: {line(3), line(4)} <= set(texts(aws)))
    numbered = [text for text in texts(aws) if run in text]
    assert numbered == [line(number) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "metric", ["mem_used_percent", "swap_used_percent", "disk_used_percent", "processes_total", "net_bytes_sent"]
)
def test_metrics_tell_the_instance_and_its_group(aws, eventually, metric):
    cloudwatch = aws.client("cloudwatch")

    def dimensions():
        found = cloudwatch.list_metrics(Namespace="CheckOP/molecule", MetricName=metric)["Metrics"]
        return [{one["Name"]: one["Value"] for one in entry["Dimensions"]} for entry in found]

    eventually("the metric arrives", lambda: len(dimensions()) >= 2)
    assert {"AutoScalingGroupName": aws.group} in dimensions()
    assert any(
        {"AutoScalingGroupName": aws.group, "InstanceId": instance_id(aws)}.items() <= one.items()
        for one in dimensions()
    )
    assert not any("device" in one for one in dimensions())


def test_the_system_log_arrives(host, aws, eventually):
    host.check_output("logger --priority user.notice molecule-was-here")
    logs = aws.client("logs")

    def arrived():
        found = logs.filter_log_events(
            logGroupName="/checkop/molecule/system/messages", filterPattern="molecule-was-here"
        )
        return bool(found["events"])

    eventually("the line of rsyslog arrives", arrived)


def test_it_starts_after_the_network(host):
    shown = host.check_output(f"systemctl show -p After -p Wants {UNIT}")
    assert shown.count("network-online.target") == 2
    assert json.loads(host.check_output(f"{CONTROL} -a status"))["configstatus"] == "configured"


def test_a_refused_configuration_changes_nothing(host, refused):
    files = "/etc/checkop/cloudwatch-agent.json /opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.toml"
    before = host.check_output(f"sha256sum {files} && systemctl show -p MainPID {UNIT}")
    said = refused(cloudwatch_agent_metrics={"gpu": {"measurement": ["utilization"]}})
    assert "Additional property gpu is not allowed" in said
    assert host.check_output(f"sha256sum {files} && systemctl show -p MainPID {UNIT}") == before


def test_a_version_that_no_repository_has_leaves_the_agent_as_it_is(host, refused):
    before = host.check_output(f"rpm -q amazon-cloudwatch-agent && systemctl show -p MainPID {UNIT}")
    said = refused(cloudwatch_agent_package_versions={"amazon-cloudwatch-agent": "9.9.9-1"})
    assert "amazon-cloudwatch-agent-9.9.9-1" in said
    assert host.check_output(f"rpm -q amazon-cloudwatch-agent && systemctl show -p MainPID {UNIT}") == before
