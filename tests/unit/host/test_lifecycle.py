from __future__ import annotations

import errno
import os
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from checkop_host import lifecycle
from checkop_host.errors import HostError


class Clock:
    """Time that passes only when somebody sleeps; things happen at set times."""

    def __init__(self, events=()):
        self.now, self.events = 1000.0, dict(events)

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for moment in sorted(moment for moment in self.events if moment <= self.now - 1000):
            self.events.pop(moment)()


@pytest.fixture
def settings(tmp_path):
    return {
        "drain_flag": str(tmp_path / "run" / "draining"),
        "drain_timeout_seconds": 600,
        "drain_poll_seconds": 1,
        "drain_settle_seconds": 5,
    }


def test_draining_switches_readiness_off_and_waits_for_the_jobs(settings):
    jobs = ["a.part", "b.part"]
    clock = Clock({30: lambda: jobs.remove("a.part"), 100: lambda: jobs.remove("b.part")})
    assert lifecycle.drain(settings, lambda: list(jobs), clock=clock, sleep=clock.sleep)
    assert 100 <= clock.now - 1000 <= 101
    assert Path(settings["drain_flag"]).exists()


def test_draining_without_jobs_still_waits_for_requests_under_way(settings):
    jobs = []
    clock = Clock({3: lambda: jobs.append("late.part"), 20: jobs.clear})
    assert lifecycle.drain(settings, lambda: list(jobs), clock=clock, sleep=clock.sleep)
    assert 20 <= clock.now - 1000 <= 21


def test_draining_is_bounded_and_says_so(settings, caplog):
    clock = Clock()
    assert not lifecycle.drain(settings, lambda: ["stuck.part"], clock=clock, sleep=clock.sleep)
    assert 600 <= clock.now - 1000 <= 601
    assert "stuck.part" in caplog.text


def test_auto_scaling_is_told_to_wait_while_it_takes_long(settings):
    beats = []
    clock = Clock()
    lifecycle.drain(settings, lambda: ["job"], lambda: beats.append(clock.now), clock, clock.sleep)
    assert len(beats) == 9
    assert all(later - earlier >= 60 for earlier, later in pairwise(beats))


def test_open_jobs_are_those_of_this_host_that_are_not_stale(tmp_path):
    for name in ("uploads/1.xls.me.part", "archives/2.zip.me.part", "archives/3.zip.you.part", "reports/4.xls"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "photos" / "5.me.part").mkdir(parents=True)
    old = tmp_path / "uploads" / "6.xls.me.part"
    old.touch()
    now = time.time()
    os.utime(old, (now - 4000, now - 4000))
    found = lifecycle.open_jobs(str(tmp_path / "*/*.{host}.part"), "me", now, 3600)
    assert [os.path.relpath(path, tmp_path) for path in found] == [
        "archives/2.zip.me.part",
        "photos/5.me.part",
        "uploads/1.xls.me.part",
    ]


def test_open_jobs_that_cannot_be_read_are_an_error_and_not_none(tmp_path, monkeypatch):
    (tmp_path / "uploads").mkdir()
    pattern = str(tmp_path / "*/*.{host}.part")
    listing = os.listdir

    def refuse(folder):
        if folder.endswith("uploads"):
            raise OSError(errno.ESTALE, "Stale file handle", folder)
        return listing(folder)

    monkeypatch.setattr(lifecycle.os, "listdir", refuse)
    with pytest.raises(OSError, match="Stale"):
        lifecycle.open_jobs(pattern, "me", time.time(), 3600)
    monkeypatch.undo()
    (tmp_path / "bare").mkdir()
    with pytest.raises(OSError, match="is it mounted"):
        lifecycle.open_jobs(str(tmp_path / "bare/*/*.{host}.part"), "me", time.time(), 3600)
    with pytest.raises(OSError, match="gone"):
        lifecycle.open_jobs(str(tmp_path / "gone/*/*.{host}.part"), "me", time.time(), 3600)


def test_jobs_that_cannot_be_seen_keep_the_instance_until_they_can(settings, caplog):
    readable = []

    def look():
        if not readable:
            raise OSError(errno.EACCES, "Permission denied", "/mnt/chop-temp/uploads")
        return []

    clock, beats = Clock({200: lambda: readable.append(True)}), []
    assert lifecycle.drain(settings, look, lambda: beats.append(clock.now), clock, clock.sleep)
    assert 200 <= clock.now - 1000 <= 201
    assert len(beats) == 3
    clock = Clock()
    readable.clear()
    assert not lifecycle.drain(settings, look, clock=clock, sleep=clock.sleep)
    assert "Permission denied" in caplog.text


def test_a_look_that_never_returns_counts_as_an_open_job():
    ended = threading.Event()
    try:
        assert lifecycle.look_at_jobs(ended.wait, timeout_seconds=0.05)
    finally:
        ended.set()


class Metadata:
    def __init__(self, *answers):
        self.answers = list(answers)

    def get(self, path):
        assert path == "autoscaling/target-lifecycle-state"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_the_watch_ends_an_instance_once_and_outlives_metadata_that_fail(caplog):
    ended, pauses = [], []
    failing = HostError("no instance metadata")
    metadata = Metadata(None, "InService", failing, failing, "InService", "Terminated")
    lifecycle.watch({"poll_seconds": 5}, metadata, lambda: ended.append(True), pauses.append)
    assert ended == [True]
    assert pauses == [5] * 5
    assert caplog.text.count("no instance metadata") == 1


def test_the_end_that_fails_is_tried_again():
    outcomes, pauses = [HostError("no instance metadata"), None], []

    def end():
        if outcome := outcomes.pop(0):
            raise outcome

    lifecycle.watch({"poll_seconds": 5}, Metadata("Terminated", "Terminated"), end, pauses.append)
    assert (outcomes, pauses) == ([], [5])


NOT_OPEN = {"Code": "ValidationError", "Message": "No active Lifecycle Action found with instance ID i-1"}


class Autoscaling:
    """What Auto Scaling answers about one instance of the group AUTOChOp; `failures` come first, one a call."""

    def __init__(self, hooks, refusal=None, groups=("AUTOChOp",), state="InService", failures=()):
        self.hooks, self.refusal, self.groups, self.state = hooks, refusal, groups, state
        self.failures, self.told = list(failures), []

    def describe_auto_scaling_instances(self, InstanceIds):  # noqa: N803 - the name is the API's
        return {
            "AutoScalingInstances": [
                {"AutoScalingGroupName": group, "LifecycleState": self.state} for group in self.groups
            ]
        }

    def describe_lifecycle_hooks(self, AutoScalingGroupName):  # noqa: N803
        return {"LifecycleHooks": [{"LifecycleHookName": name, "LifecycleTransition": way} for name, way in self.hooks]}

    def complete_lifecycle_action(self, **arguments):
        if self.failures:
            raise self.failures.pop(0)
        if self.refusal:
            raise ClientError({"Error": self.refusal}, "CompleteLifecycleAction")
        self.told.append(arguments)

    def open(self):
        """The balancer has drained the instance."""
        self.state, self.refusal = "Terminating:Wait", None

    def record_lifecycle_action_heartbeat(self, **arguments):
        self.complete_lifecycle_action(**arguments)


class One:
    def __init__(self, client):
        self._client = client

    def client(self, service):
        assert service == "autoscaling"
        return self._client


ENDING = ("drain", "autoscaling:EC2_INSTANCE_TERMINATING")


def test_only_terminating_hooks_are_completed():
    api = Autoscaling([ENDING, ("boot", "autoscaling:EC2_INSTANCE_LAUNCHING")])
    assert lifecycle.Hooks(One(api), "i-1").complete() == ["drain"]
    assert api.told == [
        {
            "AutoScalingGroupName": "AUTOChOp",
            "LifecycleHookName": "drain",
            "InstanceId": "i-1",
            "LifecycleActionResult": "CONTINUE",
        }
    ]


def test_an_instance_that_the_balancer_still_drains_waits_for_its_hook(caplog):
    caplog.set_level("INFO")
    api = Autoscaling([ENDING], NOT_OPEN, state="Terminating")
    clock = Clock({300: api.open})
    hooks = lifecycle.Hooks(One(api), "i-1")
    assert hooks.complete(poll_seconds=5, clock=clock, sleep=clock.sleep) == ["drain"]
    assert len(api.told) == 1
    assert clock.now - 1000 == 300
    assert caplog.text.count("i-1 is Terminating: waiting for lifecycle hooks drain to open") == 1
    assert len(caplog.records) == 2


@pytest.mark.parametrize("state", ["InService", "Standby", "Terminating:Proceed", "Terminated"])
def test_an_action_that_will_not_open_is_not_waited_for(state):
    api, pauses = Autoscaling([ENDING], NOT_OPEN, state=state), []
    assert lifecycle.Hooks(One(api), "i-1").complete(sleep=pauses.append) == []
    assert not pauses


def test_an_instance_that_is_no_more_listed_waits_for_nothing():
    api = Autoscaling([ENDING], NOT_OPEN, state="Terminating:Wait")
    clock = Clock({20: lambda: setattr(api, "groups", ())})
    assert lifecycle.Hooks(One(api), "i-1").complete(clock=clock, sleep=clock.sleep) == []
    assert clock.now - 1000 == 20


def test_a_hook_that_was_completed_before_does_not_keep_the_others():
    api = Autoscaling([ENDING, ("archive", ENDING[1])], state="Terminating:Wait")
    complete = api.complete_lifecycle_action

    def answer(**arguments):
        if arguments["LifecycleHookName"] == "drain":
            raise ClientError({"Error": NOT_OPEN}, "CompleteLifecycleAction")
        complete(**arguments)
        api.state = "Terminating:Proceed"

    api.complete_lifecycle_action = answer
    assert lifecycle.Hooks(One(api), "i-1").complete(sleep=lambda seconds: None) == ["archive"]


def test_waiting_for_a_hook_is_bounded_beyond_the_longest_deregistration_delay():
    clock = Clock()
    hooks = lifecycle.Hooks(One(Autoscaling([ENDING], NOT_OPEN, state="Terminating")), "i-1")
    with pytest.raises(HostError, match="drain did not open within 3900 s"):
        hooks.complete(clock=clock, sleep=clock.sleep)
    assert clock.now - 1000 == 3900


def test_completion_outlives_what_passes_and_says_so_once(caplog):
    unreachable = EndpointConnectionError(endpoint_url="https://autoscaling")
    slow = ReadTimeoutError(endpoint_url="https://autoscaling")
    throttled = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "CompleteLifecycleAction")
    api = Autoscaling([ENDING], state="Terminating:Wait", failures=[unreachable, slow, throttled])
    pauses = []
    lifecycle.complete({"poll_seconds": 7}, lifecycle.Hooks(One(api), "i-1"), pauses.append)
    assert len(api.told) == 1
    assert pauses == [7, 7, 7]
    assert caplog.text.count("trying again every 7 s") == 1


def test_a_heartbeat_that_does_not_reach_aws_does_not_end_the_drain(caplog):
    unreachable = EndpointConnectionError(endpoint_url="https://autoscaling")
    lifecycle.Hooks(One(Autoscaling([ENDING], failures=[unreachable])), "i-1").heartbeat()
    assert "cannot extend lifecycle hook drain" in caplog.text


def test_a_refusal_is_an_error_but_not_of_a_heartbeat(caplog):
    denied = {"Code": "AccessDenied", "Message": "not authorized"}
    hooks = lifecycle.Hooks(One(Autoscaling([ENDING], denied)), "i-1")
    with pytest.raises(HostError, match=r"complete lifecycle hook drain.*not authorized"):
        hooks.complete()
    hooks.heartbeat()
    assert "not authorized" in caplog.text


def test_an_instance_of_no_group_has_no_action_to_complete():
    with pytest.raises(HostError, match="i-1 is in no Auto Scaling group"):
        lifecycle.Hooks(One(Autoscaling([ENDING], groups=())), "i-1").complete()
