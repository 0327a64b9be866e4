"""What log groups, metric filters, alarms and rollouts say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.monitoring.placeholders import KNOWN, placeholders
from checkop.validate.finding import Finding
from checkop.validate.network import repeated

if TYPE_CHECKING:
    from collections.abc import Mapping

# PutMetricAlarm: high-resolution periods, or whole minutes.
SHORT_PERIODS = (10, 30)
MINUTE = 60


def check_monitoring(data: Mapping[str, Any]) -> list[Finding]:
    """Check names that refer to each other, and the periods of alarms."""
    alarms = data["monitoring_alarms"]
    findings = repeated("monitoring_alarms", [alarm["name"] for alarm in alarms])
    for alarm in alarms:
        findings += _alarm(alarm)
    known = [f"{data['monitoring_alarm_prefix']}{alarm['name']}" for alarm in alarms]
    findings += [
        Finding("monitoring_rollout_alarms", name, "a full name of monitoring_alarms", "Correct it, or add the alarm")
        for name in data["monitoring_rollout_alarms"]
        if name not in known
    ]
    groups = [group["name"] for group in data["monitoring_log_groups"]]
    users = [(f"monitoring_metric_filters: {item['name']}", item["log_group"]) for item in _filters(data)]
    prefix = f"{data['monitoring_log_prefix']}/"
    users += [
        (f"monitoring_log_files: {item['path']}", item["log_group"].removeprefix(prefix))
        for item in data["monitoring_log_files"]
    ]
    users += [("monitoring_dashboard_log_groups", name) for name in data["monitoring_dashboard_log_groups"]]
    findings += [
        Finding(where, name, "a name of monitoring_log_groups", "Correct it, or add the group")
        for where, name in users
        if name not in groups
    ]
    return findings + repeated("monitoring_metric_filters", [item["name"] for item in _filters(data)])


def _filters(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(data["monitoring_metric_filters"])


def _alarm(alarm: Mapping[str, Any]) -> list[Finding]:
    where = f"monitoring_alarms: {alarm['name']}"
    findings = []
    period = int(alarm["period_seconds"])
    if period not in SHORT_PERIODS and period % MINUTE:
        findings.append(
            Finding(f"{where} period_seconds", str(period), "10, 30, or a multiple of 60", "Choose one of them")
        )
    if int(alarm["datapoints"]) > int(alarm["periods"]):
        findings.append(
            Finding(
                f"{where} datapoints",
                str(alarm["datapoints"]),
                f"at most periods {alarm['periods']}",
                "Lower it, or raise periods",
            )
        )
    findings += [
        Finding(
            f"{where} dimensions",
            f"{{{name}}}",
            ", ".join(f"{{{known}}}" for known in KNOWN),
            "Name one of them, or write the value itself",
        )
        for name in sorted(placeholders(str(value) for value in alarm["dimensions"].values()))
        if name not in KNOWN
    ]
    return findings
