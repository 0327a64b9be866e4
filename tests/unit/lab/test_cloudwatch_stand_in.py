"""The CloudWatch agent's stand-in reads logs as the agent does: whole events, each once, and none holds up the rest."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.host_image import repository

LIBRARY = repository.TREES / "amazon-cloudwatch-agent" / "usr" / "libexec" / "lab"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that imports a module of the stand-in, which lies where a host has it."""
    monkeypatch.syspath_prepend(str(LIBRARY))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield lambda name: importlib.import_module(f"cloudwatch_agent.{name}")
    for name in [name for name in sys.modules if name.split(".")[0] == "cloudwatch_agent"]:
        del sys.modules[name]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "error.log"


def follower(agent: Any, log: Path, **settings: str) -> Any:
    state = log.parent / "state"
    state.mkdir(exist_ok=True)
    return agent("tail").Follower({"file_path": str(log), **settings}, str(state))


def take(one: Any) -> list[str]:
    """Take what there is, as the agent does once CloudWatch has it."""
    events = one.events()
    if events:
        one.done(events[-1][2])
    return [text for _when, text, _offset in events]


def quiet(log: Path) -> None:
    """Make a file look as if nobody had written to it for a while."""
    os.utime(log, (time.time() - 60, time.time() - 60))


def test_half_a_line_waits_for_its_end(agent: Any, log: Path) -> None:
    one = follower(agent, log)
    log.write_text("first\nsec")
    assert take(one) == ["first"]
    with log.open("a") as stream:
        stream.write("ond\n")
    assert take(one) == ["second"]
    assert take(one) == []


def test_an_event_that_may_still_grow_waits_until_the_file_is_quiet(agent: Any, log: Path) -> None:
    one = follower(agent, log, multi_line_start_pattern="^ERROR")
    log.write_text("ERROR one\n  at a\nERROR two\n")
    assert take(one) == ["ERROR one\n  at a"]
    with log.open("a") as stream:
        stream.write("  at b\n")
    assert take(one) == []
    quiet(log)
    assert take(one) == ["ERROR two\n  at b"]


def test_what_was_not_taken_comes_again(agent: Any, log: Path) -> None:
    log.write_text("one\ntwo\n")
    first = follower(agent, log)
    events = first.events()
    first.done(events[0][2])
    assert take(follower(agent, log)) == ["two"]


def test_the_rest_of_a_rotated_file_comes_before_the_new_one(agent: Any, log: Path) -> None:
    one = follower(agent, log)
    log.write_text("one\n")
    assert take(one) == ["one"]
    with log.open("a") as stream:
        stream.write("two\n")
    log.rename(log.with_suffix(".log-1"))
    log.write_text("three\n")
    assert take(one) + take(one) == ["two", "three"]


def test_a_truncated_file_is_read_from_its_beginning(agent: Any, log: Path) -> None:
    one = follower(agent, log)
    log.write_text("a long line\n")
    take(one)
    log.write_text("short\n")
    assert take(one) == ["short"]


def test_an_endless_event_does_not_hold_up_what_follows(agent: Any, log: Path) -> None:
    one = follower(agent, log, multi_line_start_pattern="^ERROR")
    log.write_text("ERROR " + "x" * (3 << 20) + "\nERROR next\n")
    quiet(log)
    taken: list[str] = []
    for _ in range(6):
        taken += take(one)
    assert taken[-1] == "ERROR next"
    assert max(map(len, taken)) <= 256 * 1024


def test_times_follow_the_format_and_the_zone(agent: Any) -> None:
    stamp = agent("tail").Stamp("%Y-%m-%d %H:%M:%S", "UTC")
    assert stamp.of("2026-03-01 10:00:00,123 ERROR", 7) == 1772359200000
    assert stamp.of("no time at all", 7) == 7


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "neither metrics nor logs are configured"),
        ({"metrics": {"metrics_collected": {"gpu": {}}}}, "Additional property gpu is not allowed"),
        ({"metrics": {"metrics_collected": {"mem": {"measurement": ["colour"]}}}}, "measurement colour is not allowed"),
        ({"metrics": {"namespace": 3}}, "Under path : /metrics/namespace | Error : Invalid type. Expected: str"),
        ({"logs": {"logs_collected": {"files": {"collect_list": [{}]}}}}, "file_path is required"),
        (
            {"logs": {"logs_collected": {"files": {"collect_list": [{"file_path": "/a", "retention_in_days": 2}]}}}},
            "2 is not a valid retention",
        ),
    ],
)
def test_a_configuration_that_the_agent_refuses_is_refused(agent: Any, tmp_path: Path, config: Any, said: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    module = agent("config")
    with pytest.raises(module.InvalidConfigError) as raised:
        module.load(path)
    assert said in str(raised.value)


def test_configurations_are_joined_unless_they_contradict(agent: Any) -> None:
    module = agent("config")
    joined = module.merge([{"agent": {"debug": True}}, {"agent": {"region": "us-east-1"}}])
    assert joined == {"agent": {"debug": True, "region": "us-east-1"}}
    with pytest.raises(module.InvalidConfigError, match="Different values are specified for debug"):
        module.merge([{"agent": {"debug": True}}, {"agent": {"debug": False}}])
