"""How long each instance of a group took to leave: deregistered, drained, ended; read from Auto Scaling's activities.

An instance that does not complete its lifecycle action leaves only when the hook's time is over, and this shows it.
"""

from __future__ import annotations

from typing import Any


def seconds(autoscaling: Any, group: str) -> list[float]:
    """Return the seconds of every termination that has ended, the newest first.

    Parameters
    ----------
    autoscaling:
        Client of Auto Scaling (DescribeScalingActivities).
    group:
        Name of the Auto Scaling group.
    """
    pages = autoscaling.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=group)
    return [
        round((activity["EndTime"] - activity["StartTime"]).total_seconds(), 1)
        for page in pages
        for activity in page["Activities"]
        if activity["Description"].startswith("Terminating") and "EndTime" in activity
    ]
