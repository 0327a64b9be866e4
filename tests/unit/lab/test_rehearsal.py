"""The rehearsal's driver: what it reads from other programs' output."""

from __future__ import annotations

import sys
import time

import pytest

from lab.errors import LabError
from lab.rehearsal import changed_tasks, lab_environment
from lab.steps import Runner


def test_lab_environment_sets_and_unsets_as_a_shell_would():
    text = 'export AWS_REGION=us-east-1 LAB_RESOLVE=\'{"a b": "127.0.0.1"}\'\nunset AWS_PROFILE\n# a remark\n'
    base = {"AWS_PROFILE": "production", "HOME": "/home/x"}
    environment = lab_environment(text, base)
    assert environment == {"AWS_REGION": "us-east-1", "LAB_RESOLVE": '{"a b": "127.0.0.1"}', "HOME": "/home/x"}
    assert base == {"AWS_PROFILE": "production", "HOME": "/home/x"}


def test_changed_tasks_adds_up_hosts():
    recap = "PLAY RECAP ***\nlocalhost   : ok=2    changed=3    unreachable=0\ni-1 : ok=1  changed=4 unreachable=0\n"
    assert changed_tasks(recap) == 7


def test_a_run_without_recap_is_no_unchanged_run():
    with pytest.raises(LabError, match="no recap"):
        changed_tasks("ERROR! the playbook could not be found\n")


def test_a_failing_step_tells_its_last_words_and_its_log(tmp_path):
    runner = Runner(tmp_path / "logs", {})
    with pytest.raises(LabError, match=r"(?s)the reason.*site ended with status 3 .*00-site\.log"):
        runner.run("site", [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"])
    assert (tmp_path / "logs" / "00-site.log").read_text() == "the reason\n"


def test_steps_of_one_name_add_up(tmp_path):
    runner = Runner(tmp_path / "logs", {})
    began = time.monotonic()
    for _ in range(2):
        assert runner.run("bake", [sys.executable, "-c", "print('x')"]) == "x"
    assert 0 < runner.timings["bake"] <= time.monotonic() - began + 0.02
    assert len(list((tmp_path / "logs").iterdir())) == 2


def test_steps_run_side_by_side(tmp_path):
    runner = Runner(tmp_path / "logs", {})
    # Each waits for the file that the other makes, so that neither ends alone.
    meet = (
        "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch()\n"
        "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.01)"
    )
    first = runner.start("first", [sys.executable, "-c", meet, str(tmp_path / "a"), str(tmp_path / "b")])
    runner.run("second", [sys.executable, "-c", meet, str(tmp_path / "b"), str(tmp_path / "a")])
    runner.finish(first)
    assert set(runner.timings) == {"first", "second"}


def test_nothing_runs_on_after_the_end(tmp_path):
    runner = Runner(tmp_path / "logs", {})
    step = runner.start("long", [sys.executable, "-c", "import time; time.sleep(600)"])
    runner.end()
    with pytest.raises(LabError, match="long ended with status -15"):
        step.finish()


def test_words_are_waited_for_and_missed_ones_are_told(tmp_path):
    runner = Runner(tmp_path / "logs", {})
    step = runner.start("talk", [sys.executable, "-uc", "print('one'); print('two words')"])
    assert step.wait_for("two", 30) == "two words"
    # A command that ended says nothing more, so that nobody waits for it.
    with pytest.raises(LabError, match=r"(?s)two words.*talk did not say 'three'"):
        step.wait_for("three", 600)
    runner.finish(step)
