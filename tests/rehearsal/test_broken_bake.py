"""A bake of a release that does not start, against real instances: refused, and nothing is left of it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import boto3
import pytest

from checkop.bake.request import checksum

pytestmark = pytest.mark.rehearsal
ROOT = Path(__file__).parents[2]


class Lab:
    """The rehearsal's lab, and what a bake makes in it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as an operator does."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0 or not check, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def things(self) -> dict[str, set[str]]:
        """Return everything that a bake makes."""
        ec2: Any = boto3.client(
            "ec2",
            region_name="us-east-1",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )
        instances = [each for found in ec2.describe_instances()["Reservations"] for each in found["Instances"]]
        return {
            "instances": {each["InstanceId"] for each in instances if each["State"]["Name"] != "terminated"},
            "images": {each["ImageId"] for each in ec2.describe_images(Owners=["self"])["Images"]},
            "snapshots": {each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]},
            "key pairs": {each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]},
            "security groups": {each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]},
        }


@pytest.fixture
def lab(environment: dict[str, str]) -> Lab:
    return Lab(environment)


def test_a_release_that_does_not_start_leaves_no_image_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "checkop-9.9.9.tar.gz"
    with tarfile.open(archive, "w:gz") as bundle:
        program = b"raise SystemExit('broken on purpose')\n"
        member = tarfile.TarInfo("checkop_app/__main__.py")
        member.size = len(program)
        bundle.addfile(member, io.BytesIO(program))
    before = lab.things()
    words = ["checkop", "bake", "--version", "9.9.9", "--archive", str(archive), "--sha256", checksum(archive)]
    done = lab.run(*words, check=False)
    assert done.returncode == 1, done.stdout
    assert "packer build failed" in done.stderr
    assert lab.things() == before
