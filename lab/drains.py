"""How long each instance of the fleet took to leave: deregistered, drained, ended; read from Auto Scaling's activities.

An instance that does not complete its lifecycle action leaves only when the hook's time is over, and this shows it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import boto3

from checkop.inventory import load


def seconds(inventory: Path) -> list[float]:
    """Return the seconds of every termination that has ended, the newest first.

    Parameters
    ----------
    inventory:
        Folder of the inventory, for example ``inventory/rehearsal``; endpoint and credentials come from the
        process environment.
    """
    facts = load(inventory)
    client = boto3.session.Session(region_name=facts["aws_region"]).client("autoscaling")
    pages = client.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=facts["fleet_name"])
    return [
        round((activity["EndTime"] - activity["StartTime"]).total_seconds(), 1)
        for page in pages
        for activity in page["Activities"]
        if activity["Description"].startswith("Terminating") and "EndTime" in activity
    ]


def main(argv: list[str] | None = None) -> int:
    """Print the seconds as JSON."""
    parser = argparse.ArgumentParser(description="Say how long instances of the fleet took to leave.")
    parser.add_argument("-i", "--inventory", type=Path, required=True)
    sys.stdout.write(json.dumps(seconds(parser.parse_args(argv).inventory)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
