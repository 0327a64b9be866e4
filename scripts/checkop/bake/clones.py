"""Two instances of a new image, one in each zone, reached by ssh with a key pair of their own."""

from __future__ import annotations

import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.bake.leftovers import RUN_TAG, key_pair_name
from checkop.errors import CheckopError
from checkop.provision import lookup
from checkop.reconcile import NOT_YET, retry, tag_list
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from mypy_boto3_ec2 import EC2Client

    T = TypeVar("T")

CONNECT_SECONDS = 5


@dataclass(frozen=True)
class Clone:
    """An instance of the image: where it is, and how to run a command on it."""

    instance_id: str
    zone: str
    address: str
    ssh: tuple[str, ...]

    def attempt(self, command: str, *, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root; status 255 is ssh's own."""
        try:
            return subprocess.run(
                [*self.ssh, "sudo", "-n", "sh", "-c", shlex.quote(command)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(self.ssh, 255, "", f"no answer within {timeout_seconds:.0f} s")

    def run(self, command: str) -> str:
        """Run a shell command as root and return what it prints.

        Raises
        ------
        CheckopError
            It failed; the message has the instance, the command and its words.
        """
        done = self.attempt(command)
        if done.returncode != 0:
            raise CheckopError(
                f"{self.instance_id} in {self.zone}: `{command}` ended with status {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()[-500:]}"
            )
        return done.stdout


def each(clones: Sequence[Clone], work: Callable[[Clone], T]) -> list[T]:
    """Do the same on all clones at once, and return the results in their order."""
    with ThreadPoolExecutor(max_workers=len(clones)) as pool:
        return list(pool.map(work, clones))


def ssh_command(user: str, address: str, key_file: Path) -> tuple[str, ...]:
    """Return the ssh command line of a clone; commands share one connection (ssh_config(5), ControlMaster)."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
        # Seconds old, and nobody has seen its key before.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "ControlMaster": "auto",
        "ControlPath": f"{key_file.parent}/%C",
        "ControlPersist": "30",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ("ssh", "-F", "none", "-i", str(key_file), *words, f"{user}@{address}")


def launch(
    ec2: EC2Client,
    values: Mapping[str, Any],
    image_id: str,
    run_id: str,
    *,
    security_group: str,
    folder: Path,
    timeout_seconds: float,
) -> list[Clone]:
    """Boot one instance of the image in each zone of the fleet, as the fleet's are booted (EC2 RunInstances).

    Parameters
    ----------
    values:
        The inventory's variables.
    security_group:
        The run's own group; it lets the operator in.
    folder:
        Private folder that takes the temporary key.

    Raises
    ------
    CheckopError
        The network or the fleet's security group is missing, or an instance does not come up in time.
    """
    tags: Mapping[str, str] = values["aws_tags"]
    vpc = lookup.vpc_id(ec2, values["network_name"], tags, check=False)
    application_group = lookup.security_group_id(ec2, vpc, f"{values['network_name']}-app", check=False)
    zones: list[str] = values["fleet_zones"]
    subnets = lookup.zone_subnets(ec2, vpc, tags, "public", zones, check=False)
    marks = tag_list(
        {**tags, RUN_TAG: run_id, "Name": f"{values['image_name_prefix']} gate", "checkop:group": "builder"}
    )
    pair = key_pair_name(run_id, "gate")
    made = ec2.create_key_pair(KeyName=pair, TagSpecifications=[{"ResourceType": "key-pair", "Tags": marks}])
    key_file = folder / "gate.pem"
    key_file.touch(mode=0o600)
    key_file.write_text(made["KeyMaterial"], encoding="ascii")
    started: list[str] = []
    try:
        for subnet in subnets:
            answer = ec2.run_instances(
                ImageId=image_id,
                InstanceType=values["fleet_instance_type"],
                MinCount=1,
                MaxCount=1,
                KeyName=pair,
                IamInstanceProfile={"Name": values["fleet_role_name"]},
                MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
                NetworkInterfaces=[
                    {
                        "DeviceIndex": 0,
                        "SubnetId": subnet,
                        "AssociatePublicIpAddress": True,
                        "Groups": [application_group, security_group],
                    }
                ],
                TagSpecifications=[
                    {"ResourceType": "instance", "Tags": marks},
                    {"ResourceType": "volume", "Tags": marks},
                ],
            )
            started.append(answer["Instances"][0]["InstanceId"])
    except BaseException:
        # Nobody finds an instance by its tags yet that is a second old.
        if started:
            retry(lambda: ec2.terminate_instances(InstanceIds=started), NOT_YET)
        raise
    addresses = _addresses(ec2, started, timeout_seconds)
    user = values["image_ssh_username"]
    clones = [
        Clone(instance_id, zone, addresses[instance_id], ssh_command(user, addresses[instance_id], key_file))
        for instance_id, zone in zip(started, zones, strict=True)
    ]
    each(clones, lambda clone: _reach(clone, timeout_seconds))
    return clones


def _addresses(ec2: EC2Client, instance_ids: list[str], timeout_seconds: float) -> dict[str, str]:
    addresses: dict[str, str] = {}
    # Not by InstanceIds, which is an error as long as EC2 does not know them everywhere.
    filters: list[Any] = [{"Name": "instance-id", "Values": instance_ids}]

    def look() -> tuple[bool, str]:
        states = dict.fromkeys(instance_ids, "not visible yet")
        for reservation in ec2.describe_instances(Filters=filters)["Reservations"]:
            for instance in reservation["Instances"]:
                states[instance["InstanceId"]] = instance["State"]["Name"]
                if instance["State"]["Name"] == "running" and instance.get("PublicIpAddress"):
                    addresses[instance["InstanceId"]] = instance["PublicIpAddress"]
        ended = [name for name, state in states.items() if state in {"terminated", "shutting-down", "stopped"}]
        if ended:
            raise CheckopError(f"The gate's instances {', '.join(ended)} ended by themselves while they booted.")
        return len(addresses) == len(instance_ids), ", ".join(f"{name} {state}" for name, state in states.items())

    wait_until("the gate's instances to run", look, timeout_seconds=timeout_seconds, interval_seconds=2)
    return addresses


def _reach(clone: Clone, timeout_seconds: float) -> None:
    def look() -> tuple[bool, str]:
        done = clone.attempt("true", timeout_seconds=CONNECT_SECONDS * 2)
        return done.returncode == 0, done.stderr.strip() or "nothing"

    wait_until(
        f"ssh of {clone.instance_id} in {clone.zone} at {clone.address}",
        look,
        timeout_seconds=timeout_seconds,
        interval_seconds=2,
    )
