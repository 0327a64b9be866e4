"""Instances and images against an engine that only remembers: what is started, ended, committed, and when."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.addresses import Pool
from lab.api.views import Image, Instance
from lab.engine import Container, EngineError, Running
from lab.errors import LabError
from lab.exits import ExitWatch
from lab.images import Images
from lab.instances import Instances, Settings
from lab.jobs import Jobs


@dataclass
class FakeEngine:
    """Containers are `sleep` processes, so that their end is a real one."""

    folder: Path
    calls: list[str] = field(default_factory=list)
    running_: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: list[Container] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    fail: set[str] = field(default_factory=set)

    def _note(self, call: str, name: str) -> None:
        if call in self.fail:
            raise EngineError(f"podman {call} failed")
        self.calls.append(f"{call} {name.removeprefix('lab-')}")

    def start(self, container: Container) -> None:
        self._note("start", container.name)
        self.started.append(container)
        self._boot(container.name)

    def _boot(self, name: str) -> None:
        self.running_[name] = subprocess.Popen(["sleep", "600"])

    def restart_stopped(self, name: str) -> None:
        self._note("restart", name)
        self._boot(name)

    def running(self, name: str) -> Running:
        return Running(self.running_[name].pid, self.folder / "console")

    def stop(self, name: str) -> None:
        self._note("stop", name)
        self.end(name, 130)

    def end(self, name: str, code: int) -> None:
        self.codes[name] = code
        process = self.running_.pop(name)
        process.kill()
        process.wait()

    def exit_code(self, name: str) -> int:
        return self.codes[name]

    def remove(self, names: list[str]) -> None:
        for name in names:
            if name in self.running_:
                self.end(name, 137)

    def pause(self, name: str) -> None:
        self._note("pause", name)

    def unpause(self, name: str) -> None:
        self._note("unpause", name)

    def commit(self, name: str, image: str, *, pause: bool) -> None:
        self._note("commit" if not pause else "commit-paused", name)

    def tag(self, image: str, new: str) -> None:
        self._note("tag", image)

    def untag(self, image: str) -> None:
        self._note("untag", image.rpartition(":")[2])

    def prune_images(self) -> None:
        """Nothing is left over here."""


class FakeMetadata:
    def __init__(self) -> None:
        self.open: set[str] = set()

    def listen(self, instance_id: str) -> int:
        self.open.add(instance_id)
        return 4242

    def close(self, instance_id: str) -> None:
        self.open.discard(instance_id)


@dataclass
class World:
    engine: FakeEngine
    instances: Instances
    images: Images
    jobs: Jobs
    metadata: FakeMetadata
    until: Callable[..., None]

    def settle(self, *views: Instance) -> None:
        """Reconcile until nothing more is to be done."""

        def still() -> bool:
            before = list(self.engine.calls)
            self.instances.reconcile(list(views))
            busy = any(self.jobs.busy(f"instance/{machine.instance_id}") for machine in self.instances.machines())
            self.instances.reconcile(list(views))
            return not busy and before == self.engine.calls

        self.until(lambda: still() and still())


@pytest.fixture
def world(tmp_path: Path, until: Callable[..., None]) -> Iterator[World]:
    engine, jobs, metadata = FakeEngine(tmp_path), Jobs(lambda: None), FakeMetadata()
    parts: dict[str, Any] = {"engine": engine, "metadata": metadata}
    instances = Instances(
        settings=Settings("lab", tmp_path / "instances", tmp_path / "efs", {"A": "1"}),
        pool=Pool([f"127.150.1.{last}" for last in range(1, 9)]),
        exits=ExitWatch(),
        jobs=jobs,
        image={"ami-1": "host:1"}.get,
        names=lambda: {"db.example": "10.0.2.2"},
        **parts,
    )
    images = Images("lab", parts["engine"], jobs, "host:1", instances)
    yield World(engine, instances, images, jobs, metadata, until)
    for name in list(engine.running_):
        engine.end(name, 137)
    jobs.stop()


def test_wanted_instance_runs_on_its_own_address(world: World, instance: Callable[..., Instance]) -> None:
    assert world.instances.condition("i-1") == "pending"
    world.settle(instance("i-1"), instance("i-2"))
    assert sorted(world.engine.calls) == ["start i-1", "start i-2"]
    addresses = {one.name: one.address for one in world.engine.started}
    assert addresses == {"lab-i-1": world.instances.address("i-1"), "lab-i-2": world.instances.address("i-2")}
    assert len(set(addresses.values())) == 2
    container = world.engine.started[0]
    assert container.ports == (22, 80)
    assert container.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == "http://10.0.2.2:4242/"
    assert container.environment["A"] == "1"
    assert world.instances.condition("i-1") == "running"


def test_stop_and_start_keep_the_disk(world: World, instance: Callable[..., Instance]) -> None:
    world.settle(instance("i-1"))
    world.settle(instance("i-1", wanted="stopped"))
    assert world.instances.condition("i-1") == "stopped"
    world.settle(instance("i-1"))
    assert world.engine.calls == ["start i-1", "stop i-1", "restart i-1"]
    assert world.instances.condition("i-1") == "running"


def test_terminated_instance_leaves_nothing_and_gives_its_address_back(
    world: World, instance: Callable[..., Instance]
) -> None:
    world.settle(instance("i-1"))
    address = world.instances.address("i-1")
    world.settle(instance("i-1", wanted="terminated"))
    assert world.instances.condition("i-1") == "gone"
    assert world.engine.running_ == {}
    assert world.metadata.open == set()
    assert not (world.engine.folder / "instances/i-1").exists()
    world.settle()
    assert world.instances.machines() == []
    assert address in {world.instances.address(f"i-{n}") for n in range(10, 18)}


def test_reboot_restarts_once(world: World, instance: Callable[..., Instance]) -> None:
    world.settle(instance("i-1"))
    world.instances.request_reboot("i-1")
    world.settle(instance("i-1"))
    assert world.engine.calls == ["start i-1", "stop i-1", "restart i-1"]


@pytest.mark.parametrize(
    ("code", "condition", "calls"),
    [(137, "gone", ["start i-1"]), (130, "stopped", ["start i-1"]), (129, "running", ["start i-1", "restart i-1"])],
)
def test_instance_that_ends_by_itself(
    world: World, instance: Callable[..., Instance], code: int, condition: str, calls: list[str]
) -> None:
    """137 was killed, 130 shut itself down, 129 rebooted itself."""
    world.settle(instance("i-1"))
    world.engine.end("lab-i-1", code)
    world.until(lambda: world.instances.condition("i-1") == condition and world.engine.calls == calls)


def test_cut_zone_freezes_its_instances_only(world: World, instance: Callable[..., Instance]) -> None:
    views = (instance("i-1"), instance("i-2", zone="us-east-1d"))
    world.settle(*views)
    world.instances.cut_zones.add("us-east-1d")
    world.settle(*views)
    assert [world.instances.condition(name) for name in ("i-1", "i-2")] == ["running", "impaired"]
    assert world.instances.view("i-2") is None, "it reads metadata over a network that is cut"
    world.instances.cut_zones.clear()
    world.settle(*views)
    assert world.instances.condition("i-2") == "running"
    assert world.engine.calls[2:] == ["pause i-2", "unpause i-2"]


def test_instance_of_a_cut_zone_can_be_terminated(world: World, instance: Callable[..., Instance]) -> None:
    world.settle(instance("i-1"))
    world.instances.cut_zones.add("us-east-1a")
    world.settle(instance("i-1"))
    world.settle(instance("i-1", wanted="terminated"))
    assert world.engine.calls == ["start i-1", "pause i-1", "unpause i-1", "stop i-1"]


def test_one_that_cannot_start_does_not_hold_up_the_others(world: World, instance: Callable[..., Instance]) -> None:
    world.settle(instance("i-1", image_id="ami-none"), instance("i-2"))
    assert world.instances.condition("i-2") == "running"
    assert "ami-none" in world.jobs.failures()["instance/i-1"]
    views = [instance("i-1", image_id="ami-none"), instance("i-2")]
    world.until(lambda: world.instances.reconcile(views) or world.instances.condition("i-1") == "gone", 15)


def test_console_is_what_the_container_wrote(world: World, instance: Callable[..., Instance]) -> None:
    assert world.instances.console("i-1") == ""
    world.settle(instance("i-1"))
    (world.engine.folder / "console").write_text("2026-11-22T20:00:00Z stdout F Booted well\n", encoding="utf-8")
    assert world.instances.console("i-1") == "Booted well"


def test_address_of_an_instance_that_never_came_is_given_back(world: World) -> None:
    address = world.instances.address("i-9")
    world.instances.release_address(address)
    assert world.instances.address("i-9") != address


def image(image_id: str, **changes: Any) -> Image:
    facts: dict[str, Any] = {
        "name": image_id,
        "state": "pending",
        "source_instance_id": None,
        "source_image_id": None,
        "no_reboot": False,
        "tags": {},
    }
    return Image(image_id=image_id, **{**facts, **changes})


def test_upstream_image_is_the_host_image(world: World) -> None:
    world.images.reconcile([image("ami-up")])
    assert world.images.reference("ami-up") == "host:1"
    world.images.reconcile([])
    world.until(lambda: world.images.condition("ami-up") == "pending")
    assert world.engine.calls == [], "the host image itself is never removed"


@pytest.mark.parametrize(
    ("no_reboot", "calls"),
    [(False, ["start i-1", "stop i-1", "commit i-1", "restart i-1"]), (True, ["start i-1", "commit-paused i-1"])],
)
def test_image_of_an_instance(
    world: World, instance: Callable[..., Instance], no_reboot: bool, calls: list[str]
) -> None:
    world.settle(instance("i-1"))
    wanted = [image("ami-2", source_instance_id="i-1", no_reboot=no_reboot)]
    assert world.images.condition("ami-2") == "pending"
    world.images.reconcile(wanted)
    world.until(lambda: world.images.condition("ami-2") == "available" and world.engine.calls == calls)
    world.images.reconcile([*wanted, image("ami-3", source_image_id="ami-2")])
    world.until(lambda: world.images.condition("ami-3") == "available")
    world.images.reconcile([image("ami-3", source_image_id="ami-2")])
    world.until(lambda: "untag ami-2" in world.engine.calls)
    assert set(world.images.listing()) == {"ami-3"}


def test_image_of_a_stopped_instance_does_not_start_it(world: World, instance: Callable[..., Instance]) -> None:
    world.settle(instance("i-1"))
    world.settle(instance("i-1", wanted="stopped"))
    world.images.reconcile([image("ami-2", source_instance_id="i-1")])
    world.until(lambda: world.images.condition("ami-2") == "available")
    assert world.engine.calls == ["start i-1", "stop i-1", "commit i-1"]


def test_image_that_cannot_be_made_fails_in_the_end(world: World) -> None:
    wanted = [image("ami-2", source_instance_id="i-none")]
    world.until(lambda: world.images.reconcile(wanted) or world.images.condition("ami-2") == "failed", 15)
    assert "i-none" in world.jobs.failures()["image/ami-2"]


def test_commands_name_what_runs(world: World, instance: Callable[..., Instance]) -> None:
    world.settle(instance("i-1"))
    assert world.instances.running("i-1").container == "lab-i-1"
    with pytest.raises(LabError, match="these do: i-1"):
        world.instances.running("i-2")
