"""A rehearsal cloud of the tests' own, with real containers, and the few steps that its tests share."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from lab import containers, preflight
from lab.engine import Engine
from lab.filesystem import mounts_below
from lab.state import State

COMMAND_SECONDS = 300
SSH_OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.rehearsal)


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Wait until something is true and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return found


@dataclass
class Lab:
    """One lab, driven by its command line as a person does."""

    state: State
    environment: Mapping[str, str]

    def command(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run `lab ...` and return how it ended."""
        return subprocess.run(
            [sys.executable, "-m", "lab.cli", *arguments],
            env={**self.environment, **changes},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def do(self, *arguments: str) -> str:
        """Run `lab ...`, which has to succeed, and return its output."""
        done = self.command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return `lab status --json`."""
        found: dict[str, Any] = json.loads(self.do("status", "--json"))
        return found

    def exports(self) -> dict[str, str]:
        """Return what `lab env` exports."""
        lines = [shlex.split(line) for line in self.do("env").splitlines()]
        return dict(words[1].split("=", 1) for words in lines if words[0] == "export")

    def client(self, service: str) -> Any:
        """Return a client of the lab's API."""
        found = self.exports()
        return boto3.client(
            service,
            endpoint_url=found["AWS_ENDPOINT_URL"],
            region_name=found["AWS_REGION"],
            aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        )

    def leftovers(self) -> list[str]:
        """Return what of the lab is still there: containers, images, mounts, files."""
        engine = Engine(containers.environment(), self.state.lab_id)
        files = [entry.name for entry in self.state.root.iterdir()] if self.state.root.exists() else []
        kept = {"lab.log", "last_port", "daemon.lock"}
        return [*engine.containers(), *engine.images(), *mounts_below(self.state.root), *(set(files) - kept)]


def new_lab(folder: Path) -> Lab:
    """Return a lab that is not started yet."""
    hidden = ("AWS_", "LAB_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return Lab(State(folder.resolve()), {**environment, "LAB_STATE_DIR": str(folder)})


@pytest.fixture(scope="session")
def _able() -> None:
    if os.geteuid() != 0 or preflight.missing_packages():
        pytest.skip("the rehearsal cloud needs root and the packages of lab.preflight")


@pytest.fixture
def idle_lab(_able: None, tmp_path: Path) -> Iterator[Lab]:
    """A lab of the test alone, not started; ended and looked after whatever the test does."""
    lab = new_lab(tmp_path / "lab")
    yield lab
    done = lab.command("down")
    assert done.returncode == 0, done.stderr
    assert lab.leftovers() == []


@pytest.fixture(scope="session")
def lab(_able: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running lab that tests share."""
    folder = tmp_path_factory.mktemp("lab") / "lab"
    lab = new_lab(folder)
    try:
        lab.do("up")
        yield lab
        errors = lab.status()["errors"]
    finally:
        done = lab.command("down")
    assert done.returncode == 0, done.stderr
    assert lab.leftovers() == []
    assert errors == {}
    shutil.rmtree(folder)


@dataclass
class Cloud:
    """The shared lab through its API, with a key pair and a subnet in each zone."""

    lab: Lab
    ec2: Any
    subnets: Mapping[str, str]
    exports: Mapping[str, str]

    @property
    def upstream(self) -> str:
        """The image that every bake starts from."""
        (image,) = self.ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"]
        return str(image["ImageId"])

    def launch(self, image: str | None = None, zone: str = "us-east-1a", user_data: str = "") -> str:
        """Launch an instance with a public address and return its id."""
        interface = {"DeviceIndex": 0, "SubnetId": self.subnets[zone], "AssociatePublicIpAddress": True}
        found = self.ec2.run_instances(
            ImageId=image or self.upstream,
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.xlarge",
            KeyName="operator",
            UserData=user_data,
            NetworkInterfaces=[interface],
        )
        return str(found["Instances"][0]["InstanceId"])

    def describe(self, instance: str) -> dict[str, Any]:
        """Return an instance as DescribeInstances does."""
        found = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return dict(found)

    def state(self, instance: str) -> str:
        """Return the name of an instance's state."""
        return str(self.describe(instance)["State"]["Name"])

    def await_state(self, instance: str, wanted: str) -> dict[str, Any]:
        """Wait for an instance's state and return its description."""
        until(lambda: self.state(instance) == wanted, f"{instance} {wanted}")
        return self.describe(instance)

    def ssh(self, address: str, script: str, *, seconds: float = 60) -> str:
        """Run a script as user centos, as soon as the instance lets us in, and return its output."""
        options = [word for option in (*SSH_OPTIONS, "ConnectTimeout=2") for word in ("-o", option)]
        key = self.exports["ANSIBLE_PRIVATE_KEY_FILE"]
        command = ["ssh", "-i", key, *options, f"centos@{address}", script]

        def attempt() -> subprocess.CompletedProcess[str] | None:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            # 255: ssh itself failed, the host is not there yet.
            return None if done.returncode == 255 else done

        done = until(attempt, f"ssh to {address}", seconds)
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def image(self, instance: str, name: str) -> str:
        """Make an image of an instance and wait for it."""
        image = str(self.ec2.create_image(InstanceId=instance, Name=name)["ImageId"])
        until(
            lambda: self.ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "available",
            f"{image} available",
        )
        return image


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    """The shared lab's API."""
    exports = lab.exports()
    ec2 = lab.client("ec2")
    public = Path(exports["LAB_SSH_PUBLIC_KEY_FILE"]).read_bytes()
    ec2.import_key_pair(KeyName="operator", PublicKeyMaterial=public)
    subnets = {one["AvailabilityZone"]: one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    return Cloud(lab, ec2, subnets, exports)


@pytest.fixture
def launched(cloud: Cloud) -> Iterator[Callable[..., tuple[str, str]]]:
    """Launch instances that end with the test; returns (id, public address)."""
    ids: list[str] = []

    def launch(**options: Any) -> tuple[str, str]:
        ids.append(cloud.launch(**options))
        return ids[-1], str(cloud.await_state(ids[-1], "running")["PublicIpAddress"])

    yield launch
    if ids:
        cloud.ec2.terminate_instances(InstanceIds=ids)
        until(
            lambda: not {one["id"] for one in cloud.lab.status()["instances"]} & set(ids),
            "terminated instances are removed",
        )


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    """Give tests the waiting that everything here uses."""
    return until
