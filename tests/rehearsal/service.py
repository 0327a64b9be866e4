"""A service in the rehearsal cloud to let things go wrong in: playbooks, faults, traffic, the record of each case."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3

from checkop import inventory
from lab.rehearsal import INVENTORY, OUTPUT, Load
from lab.sample_app.build import FAULTS
from lab.steps import Runner, Step

RATE_PER_SECOND = 200.0
SETTLED_SECONDS = 120.0
# A request that fails is noticed a moment after what it was under way on has gone.
_NOTICE_SECONDS = 0.5
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Member:
    """An instance of the fleet and what the balancer thinks of it."""

    instance_id: str
    zone: str
    image: str
    state: str
    health: str

    @property
    def serves(self) -> bool:
        """Whether it is in service and gets requests."""
        return self.state == "InService" and self.health == "healthy"


@dataclass
class Excuse:
    """A span of time, seconds since the epoch, and why requests that were under way in it may be lost."""

    reason: str
    since: float
    until: float
    lost: int = 0

    def covers(self, failure: dict[str, Any]) -> bool:
        """Whether a failed request was under way in the span."""
        sent = failure["at"] - failure["waited_seconds"]
        return sent <= self.until + _NOTICE_SECONDS and failure["at"] >= self.since - _NOTICE_SECONDS


@dataclass
class Case:
    """One case of the matrix, as `summary.json` keeps it. `lost` counts lost requests by why they may be."""

    name: str
    bound_seconds: float
    seconds: float = 0.0
    # What was forecast, and what the ledger says it took; 0 when the release was not followed from its beginning.
    forecast_seconds: float = 0.0
    release_seconds: float = 0.0
    # What no rollout can be faster than: boot to ready and drain, for each step.
    floor_seconds: float = 0.0
    result: str = ""
    in_service: str = ""
    instances: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    rate_per_second: float = 0.0
    p99_ms: float = 0.0
    lost: dict[str, int] = field(default_factory=dict)
    ok: bool = False


class Service:
    """The fleet with a good release in service, and a second good image.

    Parameters
    ----------
    environment:
        What `lab env` exports.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.facts = inventory.load(Path(INVENTORY))
        self.runner = Runner(OUTPUT / "logs", environment)
        self.excuses: list[Excuse] = []
        self._session = boto3.session.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
        )
        self.good = [one["image"] for one in self.read("checkop", "images", "--json")]
        self._variants: dict[str, str] = {}
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return a client of the lab's API, made when first asked for."""
        if service not in self._clients:
            url = self.environment["AWS_ENDPOINT_URL"]
            self._clients[service] = self._session.client(service, endpoint_url=url)  # type: ignore[call-overload]
        return self._clients[service]

    # What an operator types.

    def read(self, *command: str) -> Any:
        """Run a command and return the JSON that it prints."""
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def begin(self, playbook: str, **variables: object) -> Step:
        """Start a playbook."""
        command = ["ansible-playbook", "-i", INVENTORY, f"playbooks/{playbook}.yml"]
        return self.runner.start(playbook, [*command, "-e", json.dumps(variables)])

    def begin_rollout(self, image: str, **variables: object) -> Step:
        """Start a rollout, and wait until half of the fleet is new."""
        step = self.begin("rollout", image=image, **variables)
        step.wait_for("checkpoint 50 % is reached", 60)
        return step

    def forecast(self, step: Step) -> float:
        """Return the seconds that a roll was forecast to take, from what it printed."""
        return float(step.wait_for(" s  in all", 60).split()[1])

    def boots(self, step: Step, image: str) -> list[float]:
        """Return how long each new instance of an image took until it served, looking on while a roll runs."""
        seen: dict[str, float] = {}
        ready: dict[str, float] = {}
        while step.running:
            now = time.monotonic()
            for one in self.fleet():
                if one.image == image:
                    seen.setdefault(one.instance_id, now)
                    if one.serves:
                        ready.setdefault(one.instance_id, now)
            time.sleep(_LOOK_SECONDS)
        return [ready[instance] - began for instance, began in seen.items()]

    def play(self, playbook: str, **variables: object) -> str:
        """Run a playbook to its good end."""
        return self.runner.finish(self.begin(playbook, **variables))

    def lab(self, *words: str) -> None:
        """Give the lab a command."""
        subprocess.run(["lab", *words], env=self.environment, check=True, capture_output=True, text=True)

    # What is there.

    def group(self) -> dict[str, Any]:
        """Return the fleet's group as Auto Scaling describes it."""
        names = [self.facts["fleet_name"]]
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)
        group: dict[str, Any] = found["AutoScalingGroups"][0]
        return group

    def fleet(self) -> list[Member]:
        """Return the instances of the group."""
        group = self.group()
        targets = self.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupARNs"][0])
        health = {
            target["Target"]["Id"]: target["TargetHealth"]["State"] for target in targets["TargetHealthDescriptions"]
        }
        ids = [one["InstanceId"] for one in group["Instances"]]
        answer = self.client("ec2").describe_instances(Filters=[{"Name": "instance-id", "Values": ids or ["none"]}])
        images = {one["InstanceId"]: one["ImageId"] for r in answer["Reservations"] for one in r["Instances"]}
        return [
            Member(
                one["InstanceId"],
                one["AvailabilityZone"],
                images.get(one["InstanceId"], ""),
                one["LifecycleState"],
                health.get(one["InstanceId"], ""),
            )
            for one in group["Instances"]
        ]

    def serving(self) -> dict[str, set[str]]:
        """Return the images that serve in each zone."""
        return {zone: {one.image for one in self.fleet() if one.serves and one.zone == zone} for zone in self.zones}

    @property
    def zones(self) -> list[str]:
        """The zones of the fleet."""
        zones: list[str] = self.facts["fleet_zones"]
        return zones

    def settled(self) -> list[Member]:
        """Wait until nothing but healthy instances of one image is left, at least one a zone; return them."""

        def calm() -> list[Member]:
            fleet = self.fleet()
            whole = all(one.serves for one in fleet) and {one.zone for one in fleet} == set(self.zones)
            return fleet if whole and len({one.image for one in fleet}) == 1 else []

        return until(calm, "the fleet is at full strength over both zones", SETTLED_SECONDS)

    def other(self) -> str:
        """Return the good image that is not in service."""
        return next(image for image in self.good if image != self.settled()[0].image)

    def last(self) -> dict[str, Any]:
        """Return the newest entry of the ledger."""
        newest: dict[str, Any] = self.read("checkop", "releases", "-i", INVENTORY, "--json")[0]
        return newest

    def variant(self, fault: str) -> str:
        """Return an image that passed its gates and has a fault all the same: a good one, changed behind their back."""
        if fault not in self._variants:
            self._variants[fault] = self._make_variant(fault)
        return self._variants[fault]

    def _make_variant(self, fault: str) -> str:
        ec2 = self.client("ec2")
        (good,) = ec2.describe_images(ImageIds=[self.good[0]])["Images"]
        member = self.fleet()[0]
        (alike,) = ec2.describe_instances(InstanceIds=[member.instance_id])["Reservations"][0]["Instances"]
        script = f"#!/bin/sh\necho '{json.dumps(FAULTS[fault])}' >/opt/checkop/current/fault.json\npoweroff\n"
        (builder,) = ec2.run_instances(
            ImageId=good["ImageId"],
            InstanceType=alike["InstanceType"],
            SubnetId=alike["SubnetId"],
            SecurityGroupIds=[group["GroupId"] for group in alike["SecurityGroups"]],
            UserData=script,
            # Without the role the host could not fetch its settings, and its boot would not come to the script.
            IamInstanceProfile={"Arn": alike["IamInstanceProfile"]["Arn"]},
            InstanceInitiatedShutdownBehavior="stop",
            MinCount=1,
            MaxCount=1,
        )["Instances"]
        try:
            patience = {"Delay": 1, "MaxAttempts": 60}
            for state in ("running", "stopped"):
                waiter = ec2.get_waiter(f"instance_{state}")
                waiter.wait(InstanceIds=[builder["InstanceId"]], WaiterConfig=patience)
            image = ec2.create_image(InstanceId=builder["InstanceId"], Name=f"base-chop-{fault}-{time.time():.0f}")
            ec2.get_waiter("image_available").wait(ImageIds=[image["ImageId"]], WaiterConfig=patience)
            tags = [tag for tag in good["Tags"] if not tag["Key"].startswith("aws:") and tag["Key"] != "Name"]
            ec2.create_tags(Resources=[image["ImageId"]], Tags=tags)
        finally:
            ec2.terminate_instances(InstanceIds=[builder["InstanceId"]])
        return str(image["ImageId"])

    # One case.

    @contextmanager
    def excuse(self, reason: str, seconds: float = 0.0) -> Iterator[None]:
        """Let requests be lost that are under way while the body runs, or within so many seconds after it."""
        since = time.time()
        yield
        self.excuses.append(Excuse(reason, since, time.time() + seconds))

    @contextmanager
    def case(self, name: str, bound_seconds: float) -> Iterator[Case]:
        """Send traffic while the body runs, see that the fleet is whole afterwards, and keep the record.

        Raises
        ------
        AssertionError
            It took longer than its bound, or a request was lost that no excuse covers.
        """
        self.excuses.clear()
        self.settled()
        load = Load(self.environment, OUTPUT / f"load-{name}.json", RATE_PER_SECOND)
        stopped = False
        record = Case(name, bound_seconds)
        try:
            began = time.monotonic()
            yield record
            fleet = self.settled()
            record.seconds = round(time.monotonic() - began, 1)
            figures = load.stop()
            stopped = True
            last = self.last()
            record.result = record.result or f"{last['operation']} {last['result']}"
            record.in_service = fleet[0].image
            record.instances = {zone: sum(one.zone == zone for one in fleet) for zone in self.zones}
            record.requests, record.failed = figures["requests"], figures["failed"]
            record.rate_per_second, record.p99_ms = figures["rate_per_second"], figures["p99_ms"]
            unexcused = self._count(figures["failures"])
            record.lost = {excuse.reason: excuse.lost for excuse in self.excuses}
            record.ok = not unexcused and record.seconds <= bound_seconds
        finally:
            if not stopped:
                load.kill()
            self.runner.end()
            self.lab("fault", "clear")
            _keep(record)
        assert unexcused == []
        assert record.seconds <= bound_seconds
        # The load is what it claims to be.
        assert record.rate_per_second > 0.9 * RATE_PER_SECOND

    def _count(self, failures: list[dict[str, Any]]) -> list[dict[str, Any]]:
        unexcused = []
        for failure in failures:
            excuse = next((one for one in self.excuses if one.covers(failure)), None)
            if excuse is None:
                unexcused.append(failure)
            else:
                excuse.lost += 1
        return unexcused


def until(look: Callable[[], Any], what: str, seconds: float) -> Any:
    """Look again and again until something is found, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(_LOOK_SECONDS)
    return found


def _keep(record: Case) -> None:
    """Write a case into the summary of the rehearsal."""
    path = OUTPUT / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    summary.setdefault("faults", {})[record.name] = {k: v for k, v in asdict(record).items() if k != "name"}
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
