"""The balancer's thread against an HAProxy that only remembers: who gets requests, who drains, who is cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import balancer as module
from lab import health
from lab.api.views import LoadBalancer, Rule, Target, TargetGroup
from lab.balancer import Balancer, Wanted
from lab.errors import LabError
from lab.state import Lock, Slot

ARN = "arn:tg/AUTOChOp"
KEY = ("i-1", 80)


class FakeChecker:
    """Says what a test lets it say."""

    made: list[FakeChecker]

    def __init__(self, address: str, one: health.Settings, changed: Callable[[], None]) -> None:
        self.address, self.settings, self._changed = address, one, changed
        self.health = health.INITIAL
        self.reachable, self.stopped = True, False
        type(self).made.append(self)

    def say(self, verdict: Any) -> None:
        self.health = verdict
        self._changed()

    def stop(self) -> None:
        self.stopped = True


@dataclass
class FakeHAProxy:
    servers: dict[str, str] = field(default_factory=dict)
    reloads: int = 0
    commands: list[str] = field(default_factory=list)
    in_flight: int = 0
    old_in_flight: int = 0
    running: bool = False
    refuse: str = ""
    keep_busy: bool = False

    def alive(self) -> bool:
        return self.running

    def apply(self, _configuration: str) -> None:
        if self.refuse:
            raise LabError(self.refuse)
        self.reloads, self.running = self.reloads + 1, True

    def note(self, _configuration: str) -> None:
        """The file is of no interest here."""

    def command(self, *commands: str) -> str:
        answers = []
        for command in commands:
            self.commands.append(command)
            words = command.split()
            if words[:2] == ["add", "server"]:
                self.servers[words[2]] = "maint"
                answers.append("New server registered.")
            elif words[:2] == ["set", "server"] and words[3] == "state":
                self.servers[words[2]] = words[4]
            elif words[:2] == ["del", "server"] and not self.keep_busy:
                answers.append("Server deleted." if self.servers.pop(words[2], None) else "No such server.")
        return "\n".join(answers)

    def command_old(self, *commands: str) -> None:
        self.commands += [f"old: {command}" for command in commands]

    def _rows(self, count: int) -> list[dict[str, str]]:
        return [{"pxname": "tg-AUTOChOp", "svname": "i-1_80", "scur": str(count)}]

    def statistics(self) -> list[dict[str, str]]:
        return self._rows(self.in_flight)

    def old_statistics(self) -> list[list[dict[str, str]]]:
        return [self._rows(self.old_in_flight)]

    def stop(self) -> None:
        self.running = False


@dataclass
class World:
    balancer: Balancer
    haproxy: FakeHAProxy
    checkers: list[FakeChecker]
    wanted: Callable[..., None]
    until: Callable[..., None]

    def states(self) -> tuple[str | None, str | None]:
        names = ("tg-AUTOChOp/i-1_80", "tg-AUTOChOp-open/i-1_80")
        first, second = (self.haproxy.servers.get(name) for name in names)
        return first, second


@pytest.fixture
def world(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[..., None],
    balancer: Callable[..., LoadBalancer],
    group: Callable[..., TargetGroup],
) -> Iterator[World]:
    checkers: list[FakeChecker] = []
    monkeypatch.setattr(FakeChecker, "made", checkers, raising=False)
    monkeypatch.setattr(module, "Checker", FakeChecker)
    haproxy: Any = FakeHAProxy()
    one = Balancer(
        folder=tmp_path,
        haproxy=haproxy,
        slot=Slot(50, Lock(tmp_path / "lock")),
        address={"i-1": "127.150.1.1"}.get,
        elastic_addresses=[],
        expected="first.example",
        changed=list,
    )
    rule = Rule("arn:rule", "default", (), ({"Type": "forward", "TargetGroupArn": ARN},))

    def wanted(*targets: Target, **changes: Any) -> None:
        one.reconcile(Wanted((balancer(rule),), (group(targets=targets),), **changes))

    one.start()
    yield World(one, haproxy, checkers, wanted, until)
    one.stop()


REGISTERED = Target("i-1", 80, None, 0.0)
DRAINING = Target("i-1", 80, 100.0, 0.0)


def healthy(world: World) -> FakeChecker:
    world.wanted(REGISTERED)
    world.until(lambda: world.checkers)
    world.checkers[0].say(health.HEALTHY)
    world.until(lambda: world.states() == ("ready", "ready"))
    return world.checkers[0]


def test_new_target_gets_requests_only_after_a_passed_check(world: World) -> None:
    world.wanted(REGISTERED)
    world.until(lambda: world.states() == ("maint", "maint"))
    assert world.balancer.health(ARN)[KEY].state == "initial"
    assert world.haproxy.reloads == 2, "one to start, one for the listener; none for a target"
    world.checkers[0].say(health.HEALTHY)
    world.until(lambda: world.states() == ("ready", "ready"))


def test_unhealthy_target_keeps_what_it_has_and_serves_only_when_nobody_else_can(world: World) -> None:
    checker = healthy(world)
    checker.say(health.TargetHealth("unhealthy", "Target.Timeout"))
    world.until(lambda: world.states() == ("drain", "ready"))
    assert not any("shutdown sessions" in command for command in world.haproxy.commands)


def test_draining_counts_requests_of_every_worker_and_then_goes(world: World) -> None:
    healthy(world)
    world.haproxy.in_flight, world.haproxy.old_in_flight = 2, 1
    assert world.balancer.in_flight(ARN, *KEY) is None
    world.wanted(DRAINING)
    world.until(lambda: world.states() == ("drain", "drain"))
    world.until(lambda: world.balancer.in_flight(ARN, *KEY) == 3)
    world.haproxy.in_flight = world.haproxy.old_in_flight = 0
    world.until(lambda: world.balancer.in_flight(ARN, *KEY) == 0)
    world.wanted()
    world.until(lambda: world.haproxy.servers == {})
    assert world.checkers[0].stopped
    assert world.balancer.health(ARN) == {}


def test_target_registered_again_while_it_drains_serves_again(world: World) -> None:
    healthy(world)
    world.wanted(DRAINING)
    world.until(lambda: world.states() == ("drain", "drain"))
    world.wanted(REGISTERED)
    world.until(lambda: world.states() == ("ready", "ready"))
    assert world.balancer.in_flight(ARN, *KEY) is None


def test_broken_draining_cuts_connections_at_once(world: World) -> None:
    healthy(world)
    world.wanted(DRAINING, drain_broken=True)
    world.until(lambda: world.haproxy.servers == {})
    assert "shutdown sessions server tg-AUTOChOp/i-1_80" in world.haproxy.commands
    assert "old: shutdown sessions server tg-AUTOChOp/i-1_80" in world.haproxy.commands
    assert world.balancer.in_flight(ARN, *KEY) == 0


def test_server_that_still_closes_connections_is_removed_later(world: World) -> None:
    healthy(world)
    world.haproxy.keep_busy = True
    world.wanted()
    world.until(lambda: sum("del server" in command for command in world.haproxy.commands) >= 4)
    assert world.haproxy.servers
    world.haproxy.keep_busy = False
    world.until(lambda: world.haproxy.servers == {})


def test_cut_target_is_unreachable_until_its_zone_is_back(world: World) -> None:
    checker = healthy(world)
    world.wanted(REGISTERED, unreachable=frozenset({"i-1"}))
    world.until(lambda: not checker.reachable)
    assert "set server tg-AUTOChOp/i-1_80 addr 127.150.255.1 port 9" in world.haproxy.commands
    world.wanted(REGISTERED)
    world.until(lambda: checker.reachable)
    assert world.haproxy.commands[-1] == "set server tg-AUTOChOp-open/i-1_80 addr 127.150.1.1 port 80"


def test_node_of_a_cut_zone_is_switched_off(world: World) -> None:
    healthy(world)
    name = "lb-Progresus-ELB-80-us-east-1d"
    world.wanted(REGISTERED, cut_zones=frozenset({"us-east-1d"}))
    world.until(lambda: f"disable frontend {name}" in world.haproxy.commands)
    world.wanted(REGISTERED)
    world.until(lambda: f"enable frontend {name}" in world.haproxy.commands)


def test_elastic_address_is_mapped_without_a_reload(world: World) -> None:
    healthy(world)
    before = world.haproxy.reloads
    world.wanted(REGISTERED, elastic=(("127.150.9.1", "127.150.1.1"),))
    world.until(lambda: "add map elastic.map 127.150.9.1 127.150.1.1" in world.haproxy.commands)
    world.wanted(REGISTERED)
    world.until(lambda: "del map elastic.map 127.150.9.1" in world.haproxy.commands)
    assert world.haproxy.reloads == before


def test_refused_configuration_is_reported_and_tried_again(world: World, balancer: Callable[..., LoadBalancer]) -> None:
    world.haproxy.refuse = "HAProxy refuses the configuration"
    world.wanted(REGISTERED)
    world.until(lambda: world.balancer.error == "HAProxy refuses the configuration")
    world.haproxy.refuse = ""
    world.until(lambda: world.balancer.error == "" and world.checkers)
    assert balancer().name == world.balancer.load_balancers()[0].name


def test_dead_haproxy_comes_back_with_its_targets(world: World) -> None:
    healthy(world)
    world.haproxy.servers.clear()
    world.haproxy.running = False
    world.wanted(REGISTERED, elastic=(("127.150.9.1", "127.150.1.1"),))
    world.until(lambda: len(world.checkers) == 2)
    assert world.checkers[0].stopped
    world.checkers[1].say(health.HEALTHY)
    world.until(lambda: world.states() == ("ready", "ready"))


def test_environments_balancer_has_the_first_addresses_whenever_it_is_made(
    world: World, balancer: Callable[..., LoadBalancer]
) -> None:
    other = balancer(arn="arn:other", dns_name="other.example")
    first = balancer(arn="arn:first", dns_name="first.example")
    world.balancer.reconcile(Wanted((other,)))
    assert world.balancer.zone_address(other, "us-east-1a") == "127.150.21.1"
    assert world.balancer.zone_address(first, "us-east-1d") == "127.150.2.4"
    world.balancer.reconcile(Wanted((other, first)))
    third = balancer(arn="arn:third", dns_name="third.example")
    assert world.balancer.zone_address(third, "us-east-1a") == "127.150.22.1"
    world.balancer.reconcile(Wanted((first,)))
    fourth = balancer(arn="arn:fourth", dns_name="fourth.example")
    assert world.balancer.zone_address(fourth, "us-east-1a") == "127.150.21.1", "addresses of deleted ones come back"
