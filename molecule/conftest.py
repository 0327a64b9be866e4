"""Fixtures of the scenarios that have an AWS (molecule/shared/aws.yml)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest


class Aws:
    """The scenario's AWS as this machine reaches it."""

    group = "AUTOChOp"

    def __init__(self, url: str) -> None:
        self._url = url

    def client(self, service: str) -> Any:
        """Return a client of the scenario's API."""
        return boto3.client(
            service,
            endpoint_url=self._url,
            region_name="us-east-1",
            aws_access_key_id="rehearsal",
            aws_secret_access_key="rehearsal",  # noqa: S106 - what the scenario's API takes for one
        )

    def members(self) -> dict[str, str]:
        """Return the group's instances and their lifecycle states."""
        found = self.client("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
        return {instance["InstanceId"]: instance["LifecycleState"] for instance in found}

    def addresses(self) -> dict[str, str]:
        """Return the Elastic IP addresses and the instances that hold them; "" for nobody."""
        found = self.client("ec2").describe_addresses()["Addresses"]
        return {address["PublicIp"]: address.get("InstanceId") or "" for address in found}

    def resize(self, size: int) -> None:
        """Give the group another desired size."""
        self.client("autoscaling").set_desired_capacity(AutoScalingGroupName=self.group, DesiredCapacity=size)


@pytest.fixture
def aws() -> Aws:
    state = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "aws.json")
    return Aws(json.loads(state.read_text(encoding="utf-8"))["api_url"])


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Return a function that waits until a condition holds, and fails the test if it does not in time."""

    def wait(what: str, condition: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.2)

    return wait
