"""The dashboard, built from the same alarms that ring."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.ownership import ENVIRONMENT_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_cloudwatch import CloudWatchClient

    from checkop.monitoring.alarms import Alarm
    from checkop.reconcile import Plan

# The dashboard's grid is 24 columns wide ("Dashboard body structure and syntax", CloudWatch API reference).
GRID_COLUMNS = 24
COLUMNS = 3
WIDGET_WIDTH = GRID_COLUMNS // COLUMNS
WIDGET_HEIGHT = 6
HEAD_HEIGHT = 2
STATUS_HEIGHT = 4
LOG_LINES = 50


def marker(environment: str) -> str:
    """Return the text that marks a dashboard as this environment's; dashboards carry no tags of ours."""
    return f"{ENVIRONMENT_TAG}={environment}"


def body(
    environment: str, region: str, account_id: str, alarms: Sequence[Alarm], log_groups: Sequence[str]
) -> dict[str, Any]:
    """Build the dashboard's body: state of all alarms, a graph with threshold for each, the newest lines of logs.

    Parameters
    ----------
    environment, region, account_id:
        Whose dashboard it is.
    alarms:
        The alarms as `checkop.monitoring.alarms.reconcile` gets them.
    log_groups:
        Full names of the groups whose newest lines are shown.
    """
    prefix = f"arn:aws:cloudwatch:{region}:{account_id}:alarm:"
    widgets: list[dict[str, Any]] = [
        {
            "type": "text",
            "x": 0,
            "y": 0,
            "width": GRID_COLUMNS,
            "height": HEAD_HEIGHT,
            "properties": {"markdown": f"# CheckOP {environment}\n{marker(environment)}, built from the inventory"},
        },
        {
            "type": "alarm",
            "x": 0,
            "y": HEAD_HEIGHT,
            "width": GRID_COLUMNS,
            "height": STATUS_HEIGHT,
            "properties": {"title": "Alarms", "alarms": [f"{prefix}{alarm.name}" for alarm in alarms]},
        },
    ]
    top = HEAD_HEIGHT + STATUS_HEIGHT
    for number, alarm in enumerate(alarms):
        row, column = divmod(number, COLUMNS)
        widgets.append(
            {
                "type": "metric",
                "x": column * WIDGET_WIDTH,
                "y": top + row * WIDGET_HEIGHT,
                "width": WIDGET_WIDTH,
                "height": WIDGET_HEIGHT,
                "properties": graph(alarm, region),
            }
        )
    top += -(-len(alarms) // COLUMNS) * WIDGET_HEIGHT
    for number, group in enumerate(log_groups):
        widgets.append(
            {
                "type": "log",
                "x": 0,
                "y": top + number * WIDGET_HEIGHT,
                "width": GRID_COLUMNS,
                "height": WIDGET_HEIGHT,
                "properties": {
                    "title": group,
                    "region": region,
                    "view": "table",
                    "query": (
                        f"SOURCE '{group}' | fields @timestamp, @logStream, @message"
                        f" | sort @timestamp desc | limit {LOG_LINES}"
                    ),
                },
            }
        )
    return {"widgets": widgets}


def graph(alarm: Alarm, region: str) -> dict[str, Any]:
    """Build the graph of one alarm's metric with its threshold as a line."""
    dimensions = [part for name, value in sorted(alarm.dimensions.items()) for part in (name, value)]
    return {
        "title": alarm.description,
        "region": region,
        "view": "timeSeries",
        "stat": alarm.statistic,
        "period": alarm.period_seconds,
        "metrics": [[alarm.namespace, alarm.metric, *dimensions]],
        "annotations": {"horizontal": [{"label": f"{alarm.comparison} {alarm.threshold:g}", "value": alarm.threshold}]},
    }


def reconcile(cloudwatch: CloudWatchClient, plan: Plan, name: str, wanted: dict[str, Any]) -> None:
    """Make the dashboard (CloudWatch PutDashboard); it is compared by content, not by spelling."""
    try:
        current = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ResourceNotFound", "ResourceNotFoundException"):
            raise
        current = None
    # Through JSON, so that 5 and 5.0 and tuples and lists are the same.
    plan.step(
        f"Dashboard {name}",
        current,
        json.loads(json.dumps(wanted)),
        lambda: cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(wanted)),
    )
