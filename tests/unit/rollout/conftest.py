"""A fleet that lives in memory and in made-up time, behind the same boundary as AWS: no call, no wait, no thread.

Its instance refresh is the rehearsal cloud's state machine, so that both are of one mind about what AWS does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from checkop.ledger import Ledger
from checkop.rollout import back, checks, operations
from checkop.rollout.kit import Tools
from checkop.rollout.lock import Lock, Session
from checkop.rollout.model import (
    Alarm,
    Group,
    Image,
    Instance,
    Observation,
    Refresh,
    Target,
    TemplateVersion,
)
from checkop.rollout.settings import Settings
from lab.api.autoscaling import refresh as aws

ZONES = ("us-east-1a", "us-east-1d")
EPOCH = datetime(2026, 1, 5, 12, 0, tzinfo=timezone.utc)


def refuse(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Simulated")


class Killed(BaseException):
    """The operator's process ends here, whatever it was doing."""


@dataclass
class FakeClock:
    """Time passes only when somebody sleeps; `passing` is called with the new time."""

    passing: list[Callable[[float], None]] = field(default_factory=list)
    time: float = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.time)

    def seconds(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for each in self.passing:
            each(self.time)


@dataclass
class FakeSsm:
    """Parameters as SSM keeps them, with their versions."""

    values: dict[str, str] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)
    calls: int = 0

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        self.calls += 1
        if Name not in self.values:
            raise refuse("ParameterNotFound")
        return {"Parameter": {"Name": Name, "Value": self.values[Name]}}

    def put_parameter(self, Name: str, Value: str, Overwrite: bool = False, **_: str) -> None:  # noqa: N803
        self.calls += 1
        if Name in self.values and not Overwrite:
            raise refuse("ParameterAlreadyExists")
        assert len(Value.encode()) <= 4096
        self.values[Name] = Value
        self.versions.setdefault(Name, []).append(Value)

    def delete_parameter(self, Name: str) -> None:  # noqa: N803
        self.calls += 1
        if Name not in self.values:
            raise refuse("ParameterNotFound")
        del self.values[Name]

    def get_paginator(self, operation: str) -> FakeSsm:
        assert operation == "get_parameters_by_path"
        return self

    def paginate(self, Path: str) -> list[dict[str, Any]]:  # noqa: N803
        self.calls += 1
        found = [{"Value": value} for name, value in self.values.items() if name.startswith(f"{Path}/")]
        return [{"Parameters": found[start : start + 10]} for start in range(0, len(found), 10)]


@dataclass
class Vm:
    """An instance of the simulation."""

    instance_id: str
    zone: str
    version: int
    launched_at: float
    in_service_at: float | None = None
    ends_at: float | None = None
    sick: bool = False
    # From scale in: a refresh leaves it.
    protected: bool = False


@dataclass
class FakeFleet:
    """A group, its launch template, its images and its balancer; the `world` of the engine."""

    clock: FakeClock
    ssm: FakeSsm
    settings: Settings
    region: str = "us-east-1"
    boot: float = 40.0
    drain: float = 20.0
    desired: int = 0
    minimum: int = 0
    maximum: int = 4
    version: int = 1
    versions: list[TemplateVersion] = field(default_factory=lambda: [TemplateVersion(1, "ami-source", "t3.xlarge", "")])
    images: dict[str, Image] = field(default_factory=dict)
    vms: list[Vm] = field(default_factory=list)
    refreshes_done: list[aws.Refresh] = field(default_factory=list)
    surplus: int = 0
    ringing: set[str] = field(default_factory=set)
    # Images whose instances never get healthy.
    dead_images: set[str] = field(default_factory=set)
    snapshots_gone: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)
    # Called with the name of each change before it is made; may raise.
    before: Callable[[str], None] = lambda name: None
    after: Callable[[str], None] = lambda name: None
    answers: Callable[[], list[checks.ZoneResult]] | None = None
    counter: int = 0
    zones_up: tuple[str, ...] = ZONES
    # Which zone is taken when both have the same number: the lower one.
    ties: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ZONES, 0))

    def __post_init__(self) -> None:
        self.clock.passing.append(self.step)

    # --- life ---

    def step(self, now: float) -> None:
        for vm in list(self.vms):
            if vm.ends_at is not None and now >= vm.ends_at:
                self.vms.remove(vm)
            elif vm.in_service_at is None and vm.ends_at is None and self.boots(vm, now):
                vm.in_service_at = now
        active = self.active
        if active is not None:
            for action in active.step(now, self.view()):
                self.apply(action, now)
        self.balance(now)

    def boots(self, vm: Vm, now: float) -> bool:
        return now - vm.launched_at >= self.boot and self.image_of(vm.version) not in self.dead_images

    def apply(self, action: aws.Action, now: float) -> None:
        if isinstance(action, aws.Terminate):
            self.end(action.instance_id, now)
        elif isinstance(action, aws.Surplus):
            self.surplus = action.count
        else:
            self.version = int(self.refreshes_done[0].target)

    def balance(self, now: float) -> None:
        staying = [vm for vm in self.vms if vm.ends_at is None]
        wanted = self.desired + self.surplus + self.rebalance(staying)
        for _ in range(wanted - len(staying)):
            zone = min(self.zones_up, key=lambda each: (self.staying_in(each), self.ties[each]))
            self.counter += 1
            version = int(self.active.configuration) if self.active else self.version
            self.vms.append(Vm(f"i-{self.counter:04d}", zone, version, now))
        fullest = max(ZONES, key=self.staying_in)
        order = sorted(staying, key=lambda vm: (vm.in_service_at is not None, vm.zone != fullest))
        for vm in [vm for vm in order if not vm.protected][: max(0, len(staying) - wanted)]:
            self.end(vm.instance_id, now)

    def staying_in(self, zone: str) -> int:
        return sum(1 for vm in self.vms if vm.ends_at is None and vm.zone == zone)

    def rebalance(self, staying: list[Vm]) -> int:
        """One more in the empty zone while a zone has two more than another and nothing is refreshed (AZRebalance)."""
        counts = [self.staying_in(zone) for zone in ZONES]
        booting = any(vm.in_service_at is None for vm in staying)
        if (
            self.active is not None
            or not self.desired
            or not (max(counts) - min(counts) > 1 or (booting and len(staying) > self.desired))
        ):
            return 0
        return 1

    def end(self, instance_id: str, now: float) -> None:
        vm = next(vm for vm in self.vms if vm.instance_id == instance_id)
        vm.ends_at = now + (self.drain if vm.in_service_at is not None else 0)

    def kill(self, instance_id: str) -> None:
        self.vms = [vm for vm in self.vms if vm.instance_id != instance_id]

    @property
    def active(self) -> aws.Refresh | None:
        return next((each for each in self.refreshes_done if each.active), None)

    def view(self) -> aws.View:
        members = tuple(
            aws.Member(
                vm.instance_id,
                vm.zone,
                str(vm.version),
                serving=vm.in_service_at is not None and not vm.sick,
                in_service_at=vm.in_service_at,
                leaving=vm.ends_at is not None,
                protected=vm.protected,
            )
            for vm in self.vms
        )
        return aws.View(self.desired, members, frozenset(self.ringing))

    def image_of(self, version: int) -> str:
        return next(each.image_id for each in self.versions if each.number == version)

    def running_images(self) -> list[str]:
        return sorted(
            self.image_of(vm.version) for vm in self.vms if vm.in_service_at is not None and vm.ends_at is None
        )

    # --- the engine's world ---

    def observe(self) -> Observation:
        self.calls.append("observe")
        self.before("observe")
        states = {True: "healthy", False: "unhealthy"}
        return Observation(
            group=Group(
                name=self.settings.fleet,
                template_id="lt-1",
                template_version=str(self.version),
                min_size=self.minimum,
                desired=self.desired,
                max_size=self.maximum,
                zones=ZONES,
                target_group_arns=("arn:target-group",),
                instances=tuple(
                    Instance(vm.instance_id, vm.zone, self._lifecycle(vm), "Healthy", vm.version) for vm in self.vms
                ),
            ),
            targets=tuple(
                Target(vm.instance_id, "draining" if vm.ends_at is not None else states[not vm.sick])
                for vm in self.vms
                if vm.in_service_at is not None
            ),
            alarms=tuple(Alarm(name, "ALARM" if name in self.ringing else "OK") for name in self.settings.alarms),
            refreshes=tuple(self._refresh(each) for each in self.refreshes_done),
        )

    def _lifecycle(self, vm: Vm) -> str:
        if vm.ends_at is not None:
            return "Terminating:Wait"
        return "InService" if vm.in_service_at is not None else "Pending"

    def _refresh(self, each: aws.Refresh) -> Refresh:
        ended = None if each.ended_at is None else EPOCH + timedelta(seconds=each.ended_at)
        delay = int(each.preferences.checkpoint_delay) if each.preferences.checkpoints else 0
        return Refresh(
            each.refresh_id,
            each.status,
            each.reason,
            each.percent,
            each.remaining,
            int(each.target),
            EPOCH + timedelta(seconds=each.started_at),
            ended,
            each.preferences.checkpoints,
            delay,
        )

    def create_template_version(self, template_id: str, image_id: str, description: str) -> TemplateVersion:
        self._changing("create_template_version")
        number = self.versions[-1].number + 1
        self.versions.append(replace(self.versions[0], number=number, image_id=image_id, description=description))
        self.after("create_template_version")
        return self.versions[-1]

    def start_refresh(self, group: Group, version: int, preferences: dict[str, Any]) -> str:
        self._changing("start_refresh")
        if self.active is not None:
            raise refuse("InstanceRefreshInProgress")
        self.counter += 1
        self.refreshes_done.insert(
            0,
            aws.Refresh(
                f"refresh-{self.counter}",
                aws.Preferences(
                    min_healthy=preferences["MinHealthyPercentage"],
                    max_healthy=preferences["MaxHealthyPercentage"],
                    warmup=preferences["InstanceWarmup"],
                    checkpoints=tuple(preferences.get("CheckpointPercentages", ())),
                    checkpoint_delay=preferences.get("CheckpointDelay", 3600),
                    bake=preferences.get("BakeTime", 0),
                    skip_matching=preferences["SkipMatching"],
                    protected=preferences["ScaleInProtectedInstances"],
                    auto_rollback=preferences["AutoRollback"],
                    alarms=tuple(preferences.get("AlarmSpecification", {}).get("Alarms", ())),
                ),
                target=str(version),
                original=str(self.version),
                started_at=self.clock.time,
                asked_preferences=preferences,
            ),
        )
        self.after("start_refresh")
        return self.refreshes_done[0].refresh_id

    def rollback_refresh(self) -> None:
        self._changing("rollback_refresh")
        active = self.active
        if active is None or active.status == "RollbackInProgress":
            raise refuse("ActiveInstanceRefreshNotFound")
        active.start_rollback(self.clock.time, "Rolled back by user request.", self.view())
        self.after("rollback_refresh")

    def cancel_refresh(self) -> None:
        self._changing("cancel_refresh")
        if self.active is None:
            raise refuse("ActiveInstanceRefreshNotFound")
        self.active.cancel()
        self.after("cancel_refresh")

    def size(self, group: Group, version: int, minimum: int, desired: int, maximum: int) -> None:
        self._changing("size")
        self.version, self.minimum, self.desired, self.maximum = version, minimum, desired, maximum
        self.balance(self.clock.time)
        self.after("size")

    def _changing(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)

    def template_versions(self, template_id: str) -> list[TemplateVersion]:
        return list(self.versions)

    def template_version(self, template_id: str, version: str) -> TemplateVersion | None:
        number = "1" if version == "$Default" else version
        return next((each for each in self.versions if str(each.number) == number), None)

    def image(self, image_id: str) -> Image | None:
        return self.images.get(image_id)

    def missing_snapshots(self, image: Image) -> tuple[str, ...]:
        return tuple(each for each in image.snapshots if each in self.snapshots_gone)

    def architectures(self, instance_type: str) -> tuple[str, ...]:
        return ("i386", "x86_64")

    def balancer_state(self) -> str:
        return "active"

    def parameter(self, name: str) -> str:
        return self.ssm.values.get(f"/checkop/test/{name}", "")

    def put_parameter(self, name: str, value: str) -> None:
        self._changing(f"put {name}")
        self.ssm.values[f"/checkop/test/{name}"] = value
        self.after(f"put {name}")

    def delete_parameter(self, name: str) -> None:
        self.ssm.values.pop(f"/checkop/test/{name}", None)

    def find_group(self, name: str) -> Group | None:
        return None

    def caller(self) -> str:
        return "arn:aws:iam::123456789012:user/operator"

    # --- the balancer ---

    def ask(self) -> list[checks.ZoneResult]:
        if self.answers is not None:
            return self.answers()
        serving = [vm for vm in self.vms if vm.in_service_at is not None and vm.ends_at is None and not vm.sick]
        results = []
        for zone in ZONES:
            result = checks.ZoneResult(zone, "127.0.0.1")
            for vm in serving:
                image = self.images.get(self.image_of(vm.version))
                version = image.application_version if image else ""
                result.answered += 1
                result.versions[version] = result.versions.get(version, 0) + 1
            if not serving:
                result.failures.append(f"/health/ready through {zone}: HTTP 503")
            results.append(result)
        return results


def make_image(image_id: str, version: str = "1.0.0", **changes: Any) -> Image:
    tags = {"checkop:verified": "2026-01-01T00:00:00+00:00", "checkop:application-version": version}
    image = Image(image_id, f"base-chop-{version}", "available", "x86_64", "2026-01-01", (f"snap-{image_id}",), tags)
    return replace(image, **changes)


class Bench:
    """A fleet with its operators: `bench.rollout("ami-1")`."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.ssm = FakeSsm()
        self.settings = Settings(
            **{
                "fleet": "AUTOChOp",
                "balancer": "Progresus-ELB",
                "target_group": "AUTOChOp",
                "ssm_prefix": "/checkop/test",
                "warmup_seconds": 0,
                "poll_seconds": 1,
                "checkpoint_delay_seconds": 10,
                "soak_seconds": 15,
                "timeout_seconds": 1200,
                "step_timeout_seconds": 120,
                "check_timeout_seconds": 30,
                "check_host": "checkop.co",
                "alarms": ("checkop-5xx",),
                **settings,
            }
        )
        self.fleet = FakeFleet(self.clock, self.ssm, self.settings)
        self.said: list[str] = []
        for number in (1, 2, 3):
            self.fleet.images[f"ami-{number}"] = make_image(f"ami-{number}", f"1.{number}.0")
        self.pid = 100
        self.dead: set[int] = set()

    def tools(self, user: str = "ana") -> Tools:
        """Tools of a new process on another machine; it counts as dead once its number is in `dead`."""
        self.pid += 1
        session = Session("arn:aws:iam::123456789012:user/operator", user, f"host-{user}", self.pid, str(self.pid))
        return Tools(
            world=self.fleet,  # type: ignore[arg-type]
            ledger=Ledger(self.ssm, "/checkop/test"),  # type: ignore[arg-type]
            lock=Lock(self.ssm, "/checkop/test", session),  # type: ignore[arg-type]
            clock=self.clock,
            say=self.said.append,
            ask=self.fleet.ask,
        )

    def rollout(self, image: str = "latest", *, user: str = "ana", check: bool = False, **settings: Any) -> Any:
        return operations.rollout(self.tools(user), replace(self.settings, **settings), image, check=check)

    def rollback(self, release: str = "", *, user: str = "ana", check: bool = False, **settings: Any) -> Any:
        return back.rollback(self.tools(user), replace(self.settings, **settings), release, check=check)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.ssm, "/checkop/test")  # type: ignore[arg-type]

    def parameter(self, name: str) -> str:
        return self.ssm.values.get(f"/checkop/test/{name}", "")

    def at_full_strength(self) -> bool:
        return self.fleet.observe().strong()


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    return Bench


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A fleet whose first release is in service."""
    made = make_bench()
    outcome = made.rollout("ami-1")
    assert outcome.entry.result == "succeeded", made.said
    return made
