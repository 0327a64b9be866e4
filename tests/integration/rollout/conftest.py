"""A fleet in the rehearsal cloud's API, with made-up time: the real calls, and no instance behind them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from checkop.aws import Clients
from checkop.ledger import Ledger
from checkop.rollout import back, checks, operations, replacing, scaling
from checkop.rollout.kit import Tools
from checkop.rollout.lock import Lock, Session
from checkop.rollout.settings import Settings
from checkop.rollout.world import World
from lab.api import context
from lab.api.cloud import Cloud
from lab.api.hooks import TargetHealth
from lab.api.immediate import Immediate

REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1d")


class ManualClock:
    """The cloud's time and the operator's: it passes when the operator sleeps."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self.cloud: Cloud | None = None
        self.passing: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, timezone.utc)

    def seconds(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + 1)
            for each in self.passing:
                each()
            assert self.cloud is not None
            self.cloud.tick()


class Runtime(Immediate):
    """Instances that take a while until the balancer finds them healthy, if their image is a good one."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.boot = 12.0
        self.drain = 4.0
        self.bad_images: set[str] = set()
        self.sick: set[str] = set()
        self.born: dict[str, float] = {}
        self.leaving: dict[str, float] = {}

    def target_health(self, target_group_arn: str) -> Any:
        return _Measured(self)

    def measure(self, instance_id: str) -> TargetHealth:
        born = self.born.setdefault(instance_id, self.clock.time)
        if instance_id in self.sick:
            return TargetHealth("unhealthy", "Target.ResponseCodeMismatch")
        if self.clock.time - born < self.boot:
            return TargetHealth("initial", "Elb.InitialHealthChecking")
        # Asked while the API is locked: from memory, not over HTTP.
        instance = ec2_backends[context.ACCOUNT][context.REGION].get_instance_by_id(instance_id)
        if instance is not None and instance.image_id in self.bad_images:
            return TargetHealth("unhealthy", "Target.Timeout")
        return TargetHealth("healthy")

    def target_in_flight(self, target_group_arn: str, target_id: str, port: int) -> int | None:
        since = self.leaving.setdefault(target_id, self.clock.time)
        return 0 if self.clock.time - since >= self.drain else 1


class _Measured(dict[tuple[str, int], TargetHealth]):
    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = runtime

    def get(self, key: tuple[str, int], default: Any = None) -> TargetHealth:  # type: ignore[override]
        return self._runtime.measure(key[0])


class Fleet:
    """AUTOChOp, as `site.yml` leaves it, and operators who roll it."""

    def __init__(self, clock: ManualClock, runtime: Runtime, **settings: Any) -> None:
        self.clock, self.runtime = clock, runtime
        # For looking and preparing; the operators have clients of their own, whose calls can be counted.
        self.clients = Clients(REGION)
        self.operator = Clients(REGION)
        self.said: list[str] = []
        self.settings = Settings(
            **{
                "fleet": "AUTOChOp",
                "balancer": "Progresus-ELB",
                "target_group": "AUTOChOp",
                "ssm_prefix": "/checkop/rehearsal",
                "warmup_seconds": 0,
                "poll_seconds": 2,
                "checkpoint_delay_seconds": 5,
                "soak_seconds": 8,
                "hold_seconds": 8,
                "timeout_seconds": 900,
                "step_timeout_seconds": 90,
                "check_timeout_seconds": 30,
                "check_host": "checkop.co",
                "alarms": ("checkop-5xx",),
                **settings,
            }
        )
        self.pid = 0
        self.images = {name: self._image(name) for name in ("1.0.0", "1.1.0", "1.2.0")}
        self._build()

    # --- what site.yml makes ---

    def _image(self, version: str) -> str:
        ec2 = self.clients.ec2
        source = ec2.run_instances(ImageId=self._any_image(), MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        self.clock.sleep(2)
        image = ec2.create_image(InstanceId=source, Name=f"base-chop-{version}")["ImageId"]
        self.clock.sleep(2)
        ec2.terminate_instances(InstanceIds=[source])
        ec2.create_tags(
            Resources=[image],
            Tags=[
                {"Key": "checkop:verified", "Value": "2026-01-01T00:00:00+00:00"},
                {"Key": "checkop:application-version", "Value": version},
            ],
        )
        return image

    def _any_image(self) -> str:
        found = self.clients.ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"]
        return found[0]["ImageId"]

    def _build(self) -> None:
        ec2, elbv2 = self.clients.ec2, self.clients.elbv2
        subnets = {
            subnet["AvailabilityZone"]: subnet["SubnetId"]
            for subnet in ec2.describe_subnets()["Subnets"]
            if subnet["AvailabilityZone"] in ZONES
        }
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        ec2.create_launch_template(
            LaunchTemplateName="AUTOChOp",
            LaunchTemplateData={"ImageId": self._any_image(), "InstanceType": "t3.xlarge"},
        )
        target_group = elbv2.create_target_group(
            Name="AUTOChOp",
            Protocol="HTTP",
            Port=80,
            VpcId=vpc,
            HealthCheckPath="/health/ready",
            Tags=[{"Key": "checkop:environment", "Value": "rehearsal"}],
        )["TargetGroups"][0]["TargetGroupArn"]
        elbv2.modify_target_group_attributes(
            TargetGroupArn=target_group,
            Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "10"}],
        )
        balancer = elbv2.create_load_balancer(Name="Progresus-ELB", Subnets=list(subnets.values()))
        elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )
        self.clients.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName="AUTOChOp",
            LaunchTemplate={"LaunchTemplateName": "AUTOChOp", "Version": "1"},
            MinSize=0,
            MaxSize=4,
            DesiredCapacity=0,
            VPCZoneIdentifier=",".join(subnets[zone] for zone in ZONES),
            TargetGroupARNs=[target_group],
            HealthCheckType="ELB",
            HealthCheckGracePeriod=30,
            Tags=[{"Key": "checkop:group", "Value": "autochop", "PropagateAtLaunch": True}],
        )
        self.clients.cloudwatch.put_metric_alarm(
            AlarmName="checkop-5xx",
            Namespace="CheckOP",
            MetricName="errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        self.alarm("OK")
        self.target_group_arn = target_group

    # --- looking ---

    def image_of(self, instance_id: str) -> str:
        found = self.clients.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return found[0]["Instances"][0]["ImageId"]

    def group(self, name: str = "AUTOChOp") -> dict[str, Any]:
        found: Any = self.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return found["AutoScalingGroups"][0] if found["AutoScalingGroups"] else {}

    def in_service(self, name: str = "AUTOChOp") -> list[tuple[str, str]]:
        """Zone and application version of each instance in service."""
        versions = {image: version for version, image in self.images.items()}
        return sorted(
            (each["AvailabilityZone"], versions[self.image_of(each["InstanceId"])])
            for each in self.group(name).get("Instances", [])
            if each["LifecycleState"] == "InService"
        )

    def share(self) -> dict[str, int]:
        """Weights by target group name of the listener's default action."""
        balancer = self.clients.elbv2.describe_load_balancers(Names=["Progresus-ELB"])["LoadBalancers"][0]
        listener = self.clients.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
        action: Any = listener["DefaultActions"][0]
        groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
        return {each["TargetGroupArn"].split("/")[1]: each.get("Weight", 1) for each in groups}

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.clients.ssm, self.settings.ssm_prefix)

    def ask(self) -> list[checks.ZoneResult]:
        """Answer as the balancer would: from every healthy target that a share leads to."""
        answers: dict[str, int] = {}
        for name, weight in self.share().items():
            arn = self.clients.elbv2.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
            health = self.clients.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            versions = {image: version for version, image in self.images.items()}
            for each in health:
                if weight and each["TargetHealth"]["State"] == "healthy":
                    version = versions[self.image_of(each["Target"]["Id"])]
                    answers[version] = answers.get(version, 0) + weight
        results = []
        for zone in ZONES:
            result = checks.ZoneResult(zone, "127.0.0.1", answered=sum(answers.values()), versions=dict(answers))
            if not answers:
                result.failures.append(f"/health/ready through {zone}: HTTP 503")
            results.append(result)
        return results

    # --- doing ---

    def alarm(self, state: Any) -> None:
        self.clients.cloudwatch.set_alarm_state(AlarmName="checkop-5xx", StateValue=state, StateReason="said so")

    def tools(self, user: str = "ana") -> Tools:
        self.pid += 1
        session = Session("arn:aws:iam::123456789012:user/ops", user, f"host-{user}", self.pid, str(self.pid))
        return Tools(
            world=World(self.operator, self.settings),
            ledger=Ledger(self.operator.ssm, self.settings.ssm_prefix),
            lock=Lock(self.operator.ssm, self.settings.ssm_prefix, session),
            clock=self.clock,
            say=self.said.append,
            ask=self.ask,
        )

    def rollout(self, version: str, *, user: str = "ana", check: bool = False, **settings: Any) -> Any:
        chosen = replace(self.settings, **settings)
        return operations.rollout(self.tools(user), chosen, self.images.get(version, version), check=check)

    def rollback(self, release: str = "", *, user: str = "ana", **settings: Any) -> Any:
        return back.rollback(self.tools(user), replace(self.settings, **settings), release)

    def scale(self, size: int, *, user: str = "ana", check: bool = False, **settings: Any) -> Any:
        return scaling.scale(self.tools(user), replace(self.settings, **settings), size, check=check)

    def replace(self, instance: str, *, user: str = "ana", check: bool = False, **settings: Any) -> Any:
        return replacing.replace_instance(self.tools(user), replace(self.settings, **settings), instance, check=check)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def runtime(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """The cloud, serving on a free port that the environment names."""
    made = Runtime(clock)
    cloud = Cloud(made, clock=lambda: clock.time)
    cloud.start()
    clock.cloud = cloud
    made.faults = cloud.faults  # type: ignore[attr-defined]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{cloud.port}",
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    yield made
    cloud.stop()


@pytest.fixture
def empty_fleet(clock: ManualClock, runtime: Runtime) -> Fleet:
    return Fleet(clock, runtime)


@pytest.fixture
def fleet(empty_fleet: Fleet) -> Fleet:
    """The fleet with release 0001 in service."""
    outcome = empty_fleet.rollout("1.0.0")
    assert outcome.entry.result == "succeeded", empty_fleet.said
    return empty_fleet
