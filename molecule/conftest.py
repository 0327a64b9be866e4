"""What the tests of all scenarios share: a fast way into the container, and the AWS of those that have one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from testinfra.backend.base import CommandResult
from testinfra.backend.podman import PodmanBackend

# Runs in the container, under Python 2.7 as under 3: a command as JSON on each line in, its result on each line out.
SERVER = """
import base64, json, subprocess, sys
null = open("/dev/null")
for line in iter(sys.stdin.readline, ""):
    words = ["/bin/sh", "-c", json.loads(line)]
    ended = subprocess.Popen(words, stdin=null, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = [base64.b64encode(data).decode() for data in ended.communicate()]
    print(json.dumps([ended.returncode, out, err]))
    sys.stdout.flush()
"""


class Shell:
    """One process in a container that runs all commands of a session: `podman exec` costs 0.2 s each time."""

    def __init__(self, container: str) -> None:
        self._process = subprocess.Popen(
            ["podman", "exec", "--interactive", container, "/usr/bin/python2.7", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str) -> tuple[int, bytes, bytes]:
        """Return a command's exit status, output and errors."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the container is gone"
        code, out, err = json.loads(answer)
        return code, base64.b64decode(out), base64.b64decode(err)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


@pytest.fixture(scope="session", autouse=True)
def shells() -> Iterator[None]:
    """Send the commands of testinfra's podman backend through one process per container."""
    opened: dict[str, Shell] = {}

    def run(backend: PodmanBackend, command: str, *arguments: str, **_options: Any) -> CommandResult:
        words = backend.get_command(command, *arguments)
        if backend.name not in opened:
            opened[backend.name] = Shell(backend.name)
        code, out, err = opened[backend.name].run(words)
        return CommandResult(backend, code, backend.encode(words), out, err)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PodmanBackend, "run", run)
        yield
    for shell in opened.values():
        shell.close()


@pytest.fixture
def refused(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Apply the scenario's role again with variables that cannot work, and return what was said, in one line."""

    def apply(**wrong: object) -> str:
        playbook = request.path.parents[1] / "converge.yml"
        command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-e", json.dumps(wrong)]
        ended = subprocess.run([*command, str(playbook)], capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode != 0
        return " ".join((ended.stdout + ended.stderr).split())

    return apply


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
