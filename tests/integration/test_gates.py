"""The gates that read back what the clones sent to CloudWatch."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from botocore.stub import ANY, Stubber

from checkop.aws import Clients
from checkop.bake.clones import Clone
from checkop.bake.gates import METRIC, Gates
from checkop.errors import CheckopError

VALUES = {"monitoring_namespace": "CheckOP/t", "monitoring_log_prefix": "/checkop/t", "image_gate_timeout_seconds": 0.3}


class Quiet(Clone):
    """A clone whose commands all succeed; what it would have sent is put there by the test."""

    def attempt(self, command: str, *, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def gates(clients: Clients) -> Gates:
    clones = [Quiet(f"i-{number}", zone, "", ()) for number, zone in enumerate(("us-east-1a", "us-east-1d"))]
    return Gates(clients, VALUES, clones, "1.0.0", "run-1")


def measure(gates: Gates, *instances: str, metric: str = METRIC) -> None:
    for instance in instances:
        gates.clients.cloudwatch.put_metric_data(
            Namespace="CheckOP/t",
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": "InstanceId", "Value": instance}],
                    "Timestamp": datetime.now(timezone.utc),
                    "Value": 17.0,
                }
            ],
        )


def test_a_value_of_every_clone_is_wanted(gates: Gates) -> None:
    measure(gates, "i-0")
    measure(gates, "i-1", metric="swap_used_percent")
    with pytest.raises(CheckopError, match=f"no value of {METRIC} of i-1"):
        gates.metrics()
    measure(gates, "i-1")
    assert gates.metrics() == f"{METRIC} 17, 17"


def test_a_page_without_lines_is_not_the_last_word(gates: Gates) -> None:
    group = "/checkop/t/system/messages"
    asked = {"logGroupName": group, "logStreamNames": ["i-0"], "filterPattern": '"run-1"', "startTime": ANY}
    with Stubber(gates.clients.logs) as stubbed:
        stubbed.add_response("filter_log_events", {"events": [], "nextToken": "more"}, asked)
        stubbed.add_response("filter_log_events", {"events": [{"message": "run-1"}]}, {**asked, "nextToken": "more"})
        assert replace(gates, clones=gates.clones[:1]).logs() == group
        stubbed.assert_no_pending_responses()


def test_a_line_of_every_clone_is_wanted(gates: Gates) -> None:
    logs, group = gates.clients.logs, "/checkop/t/system/messages"
    with pytest.raises(CheckopError, match=f"no log group {group}"):
        gates.logs()
    logs.create_log_group(logGroupName=group)
    now = int(datetime.now(timezone.utc).timestamp() * 1000)
    for stream, message in (("i-0", "run-1"), ("i-1", "run-0")):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": now, "message": f"checkop-gate: {message}"}],
        )
    with pytest.raises(CheckopError, match=r"no line of i-1"):
        gates.logs()
