"""CloudWatch: read back with boto3 and compared with the operator's tables; drift, and who may read what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cloud, Playbook

PREFIX = "checkop-rehearsal-"
TOPIC = "arn:aws:sns:us-east-1:123456789012:checkop-rehearsal-alarms"
GROUP = "checkop-console-administrators"
POLICY = "read-monitoring-and-logs"
PERIODS_THAT_CLOUDWATCH_TAKES = 60


@pytest.fixture(scope="module")
def made(fresh_cloud: Cloud, converge: Playbook) -> Cloud:
    """What alarms watch, and the monitoring of it."""
    tags = "network,perimeter,storage,balancer,fleet,addresses,hub,monitoring"
    converge("site", "--tags", tags, extra_vars={"monitoring_subscribers": ["operations@checkop.co"]})
    return fresh_cloud


def alarms(cloud: Cloud) -> dict[str, dict[str, Any]]:
    pages = cloud.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=PREFIX)
    return {alarm["AlarmName"].removeprefix(PREFIX): dict(alarm) for page in pages for alarm in page["MetricAlarms"]}


def dimensions(alarm: dict[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}


def retention(cloud: Cloud) -> dict[str, int]:
    pages = cloud.client("logs").get_paginator("describe_log_groups").paginate()
    return {group["logGroupName"]: group.get("retentionInDays", 0) for page in pages for group in page["logGroups"]}


def document(cloud: Cloud) -> dict[str, Any]:
    answer = cloud.client("iam").get_group_policy(GroupName=GROUP, PolicyName=POLICY)["PolicyDocument"]
    return dict(answer)


def test_check_from_nothing_makes_nothing(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("monitoring", "--check", "--diff")
    assert recap.returncode == 0, recap.output
    assert recap.changed == 4
    assert alarms(cloud) == {}
    assert cloud.client("iam").list_groups()["Groups"] == []


def test_alarms_before_what_they_watch_say_what_to_run_first(cloud: Cloud, playbook: Playbook) -> None:
    cloud.reset()
    recap = playbook("monitoring")
    assert recap.returncode == 2
    assert "watch {balancer}, which does not exist yet. Run playbooks/balancer.yml first" in recap.output


def test_logs_by_level_are_kept_as_stated(made: Cloud) -> None:
    found = retention(made)
    for name, days in (("debug", 7), ("info", 30), ("warning", 90), ("error", 365)):
        assert found[f"/checkop/rehearsal/application/{name}"] == days
    assert found["/aws/rds/instance/dbprogressus/slowquery"] == 30
    assert found["/checkop/rehearsal/system/audit"] == 365


def test_lines_become_metrics(made: Cloud) -> None:
    filters = made.client("logs").describe_metric_filters()["metricFilters"]
    found = {
        (item["logGroupName"], item["filterPattern"]): item["metricTransformations"][0]["metricName"]
        for item in filters
    }
    assert found == {
        ("/checkop/rehearsal/application/error", "ERROR"): "ErrorLines",
        ("/checkop/rehearsal/application/warning", "WARNING"): "WarningLines",
        ("/checkop/rehearsal/system/messages", '"CheckOP is no longer ready"'): "NotReadyLines",
    }
    assert {item["metricTransformations"][0]["metricNamespace"] for item in filters} == {"CheckOP/rehearsal"}


def test_every_watched_thing_has_its_alarms(made: Cloud) -> None:
    balancer = made.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    group = made.client("elbv2").describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
    system = made.client("efs").describe_file_systems()["FileSystems"][0]["FileSystemId"]
    hubs = made.client("ec2").describe_instances(Filters=[{"Name": "tag:Name", "Values": ["Base ChOp"]}])
    hub = hubs["Reservations"][0]["Instances"][0]["InstanceId"]
    watched = {
        "balancer-5xx": ("HTTPCode_Target_5XX_Count", {"LoadBalancer": balancer.partition(":loadbalancer/")[2]}),
        "balancer-unhealthy-hosts": (
            "UnHealthyHostCount",
            {"LoadBalancer": balancer.partition(":loadbalancer/")[2], "TargetGroup": group.rpartition(":")[2]},
        ),
        "balancer-latency": ("TargetResponseTime", {"LoadBalancer": balancer.partition(":loadbalancer/")[2]}),
        "fleet-cpu": ("CPUUtilization", {"AutoScalingGroupName": "AUTOChOp"}),
        "fleet-memory": ("mem_used_percent", {"AutoScalingGroupName": "AUTOChOp"}),
        "fleet-disk": ("disk_used_percent", {"AutoScalingGroupName": "AUTOChOp"}),
        "hub-status": ("StatusCheckFailed", {"InstanceId": hub}),
        "hub-memory": ("mem_used_percent", {"InstanceId": hub}),
        "hub-disk": ("disk_used_percent", {"InstanceId": hub, "path": "/", "fstype": "xfs"}),
        "database-cpu": ("CPUUtilization", {"DBInstanceIdentifier": "dbprogressus"}),
        "database-storage": ("FreeStorageSpace", {"DBInstanceIdentifier": "dbprogressus"}),
        "database-connections": ("DatabaseConnections", {"DBInstanceIdentifier": "dbprogressus"}),
        "storage-size": ("StorageBytes", {"FileSystemId": system, "StorageClass": "Total"}),
        "storage-burst-credits": ("BurstCreditBalance", {"FileSystemId": system}),
        "application-errors": ("ErrorLines", {}),
        "application-not-ready": ("NotReadyLines", {}),
    }
    found = alarms(made)
    assert {name: (found[name]["MetricName"], dimensions(found[name])) for name in watched} == watched
    assert found["storage-size"]["Threshold"] == 200 * 1024**3
    assert found["balancer-latency"]["ExtendedStatistic"] == "p99"
    for alarm in found.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
        assert alarm["Period"] % PERIODS_THAT_CLOUDWATCH_TAKES == 0
        assert alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]


def test_the_topic_takes_alarms_only_and_writes_to_the_subscribers(made: Cloud) -> None:
    sns = made.client("sns")
    policy = json.loads(sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]["Policy"])
    allow = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert [statement["Principal"] for statement in allow] == [{"Service": "cloudwatch.amazonaws.com"}]
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    assert [(item["Protocol"], item["Endpoint"]) for item in subscriptions] == [("email", "operations@checkop.co")]


def test_the_dashboard_shows_every_alarm(made: Cloud) -> None:
    body = json.loads(made.client("cloudwatch").get_dashboard(DashboardName="CheckOP-rehearsal")["DashboardBody"])
    metrics = [widget for widget in body["widgets"] if widget["type"] == "metric"]
    (states,) = [widget for widget in body["widgets"] if widget["type"] == "alarm"]
    found = alarms(made)
    assert sorted(states["properties"]["alarms"]) == sorted(alarm["AlarmArn"] for alarm in found.values())
    assert sorted(widget["properties"]["metrics"][0][1] for widget in metrics) == sorted(
        alarm["MetricName"] for alarm in found.values()
    )


def test_console_administrators_read_monitoring_and_logs_only(made: Cloud) -> None:
    statements = document(made)["Statement"]
    actions = {action for statement in statements for action in _as_list(statement["Action"])}
    reads = ("Describe", "Get", "List", "Filter", "Start", "Stop", "Test")
    assert {action.split(":")[0] for action in actions} == {"cloudwatch", "logs", "sns"}
    assert all(action.split(":")[1].startswith(reads) for action in actions), actions
    (lines,) = [statement for statement in statements if "logs:GetLogEvents" in _as_list(statement["Action"])]
    assert all("/checkop/rehearsal/" in arn or "/dbprogressus/" in arn for arn in _as_list(lines["Resource"]))
    assert made.client("iam").get_group(GroupName=GROUP)["Group"]["Path"] == "/checkop/rehearsal/"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_rollouts_alarms_exist(made: Cloud) -> None:
    found = alarms(made)
    for name in ("balancer-5xx", "balancer-elb-5xx", "balancer-unhealthy-hosts", "balancer-latency"):
        assert name in found


def test_drift_is_told_and_put_right_and_then_nothing_changes(made: Cloud, converge: Playbook) -> None:
    subscribers = {"monitoring_subscribers": ["operations@checkop.co"]}
    cloudwatch, logs, iam = made.client("cloudwatch"), made.client("logs"), made.client("iam")
    cloudwatch.delete_alarms(AlarmNames=[f"{PREFIX}database-cpu"])
    quiet = alarms(made)["fleet-cpu"]
    names = ("MetricName", "Namespace", "Dimensions", "Statistic", "ComparisonOperator", "Period", "EvaluationPeriods")
    cloudwatch.put_metric_alarm(
        AlarmName=f"{PREFIX}fleet-cpu", Threshold=100.0, ActionsEnabled=False, **{name: quiet[name] for name in names}
    )
    tags = [
        {"Key": "checkop:environment", "Value": "rehearsal"},
        {"Key": "checkop:managed-by", "Value": "checkop-environment"},
    ]
    settings = {name: quiet[name] for name in names}
    cloudwatch.put_metric_alarm(AlarmName=f"{PREFIX}old-one", Threshold=1.0, Tags=tags, **settings)
    cloudwatch.put_metric_alarm(AlarmName=f"{PREFIX}somebody-elses", Threshold=1.0, **settings)
    cloudwatch.put_dashboard(DashboardName="CheckOP-rehearsal", DashboardBody='{"widgets": []}')
    logs.put_retention_policy(logGroupName="/checkop/rehearsal/application/error", retentionInDays=1)
    logs.delete_metric_filter(logGroupName="/checkop/rehearsal/application/error", filterName="error-lines")
    everything = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    policy = iam.create_policy(PolicyName="everything", PolicyDocument=everything)["Policy"]
    iam.attach_group_policy(GroupName=GROUP, PolicyArn=policy["Arn"])
    iam.put_group_policy(GroupName=GROUP, PolicyName="more", PolicyDocument=everything)

    told = converge("monitoring", "--check", "--diff", extra_vars=subscribers).output
    for resource in (
        f"Alarm {PREFIX}database-cpu",
        f"Alarm {PREFIX}fleet-cpu",
        f"Alarm {PREFIX}old-one",
        "Dashboard CheckOP-rehearsal",
        "Log group /checkop/rehearsal/application/error",
        "Metric filter error-lines of /checkop/rehearsal/application/error",
        f"IAM group {GROUP}: policy more",
        f"IAM group {GROUP}: attached policy everything",
    ):
        assert f"before: {resource}\n" in told, told
    assert "somebody-elses" not in told

    assert converge("monitoring", extra_vars=subscribers).changed == 3
    assert converge("monitoring", extra_vars=subscribers).changed == 0
    assert "old-one" not in alarms(made)
    cloudwatch.delete_alarms(AlarmNames=[f"{PREFIX}somebody-elses"])
    test_every_watched_thing_has_its_alarms(made)
    test_the_dashboard_shows_every_alarm(made)
    test_logs_by_level_are_kept_as_stated(made)
    test_lines_become_metrics(made)
    assert iam.list_attached_group_policies(GroupName=GROUP)["AttachedPolicies"] == []
    assert iam.list_group_policies(GroupName=GROUP)["PolicyNames"] == [POLICY]


def test_a_subscriber_who_left_is_written_to_no_more(made: Cloud, converge: Playbook) -> None:
    assert converge("monitoring").changed == 1
    assert made.client("sns").list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"] == []


def test_an_alarm_on_an_unknown_thing_is_refused(made: Cloud, playbook: Playbook) -> None:
    alarm = {
        "name": "wrong",
        "description": "Names what is not there",
        "namespace": "AWS/EC2",
        "metric": "CPUUtilization",
        "dimensions": {"InstanceId": "{hubb}"},
        "statistic": "Average",
        "comparison": ">",
        "threshold": 1,
        "period_seconds": 60,
        "periods": 1,
        "datapoints": 1,
    }
    recap = playbook("monitoring", extra_vars={"monitoring_alarms": [alarm], "monitoring_rollout_alarms": []})
    assert recap.returncode == 2
    assert "monitoring_alarms: wrong dimensions: found {hubb}; allowed is {balancer}" in recap.output
    assert "nothing was sent to AWS" in recap.output
    assert "wrong" not in alarms(made)
