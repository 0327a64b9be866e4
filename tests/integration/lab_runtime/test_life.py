"""A lab's own life: up, down, killed, interrupted, two side by side, refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.filesystem import mounts_below
from lab.processes import start_time
from lab.state import daemon_alive
from tests import processes


def test_up_twice_env_status_down(idle_lab: Any) -> None:
    assert idle_lab.command("status").returncode == 1
    first = idle_lab.command("up")
    assert first.returncode == 0, first.stderr
    assert "ready after" in first.stderr
    assert first.stdout == ""
    again = idle_lab.command("up")
    assert again.returncode == 0
    assert "already runs" in again.stderr
    exports = idle_lab.exports()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", exports["AWS_ENDPOINT_URL"])
    assert Path(exports["LAB_CA_FILE"]).exists()
    (image,) = idle_lab.client("ec2").describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"]
    assert image["RootDeviceName"] == "/dev/sda1"
    status = idle_lab.status()
    assert status["errors"] == {}
    assert status["host_image"]["reference"].startswith("localhost/")
    assert image["ImageId"] in idle_lab.do("status")
    assert idle_lab.command("down").returncode == 0
    assert idle_lab.leftovers() == []
    assert idle_lab.command("down").returncode == 0, "down of nothing is no failure"
    assert not daemon_alive(idle_lab.state)


def test_killed_lab_is_cleared_away_by_the_next(idle_lab: Any, until: Callable[..., Any]) -> None:
    idle_lab.do("up")
    ec2, efs = idle_lab.client("ec2"), idle_lab.client("efs")
    image = ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.xlarge")
    efs.create_file_system(CreationToken="left")
    until(lambda: [one["condition"] for one in idle_lab.status()["instances"]] == ["running"], "instance runs")
    until(lambda: [one["state"] for one in idle_lab.status()["file_systems"]] == ["available"], "file system")
    run = idle_lab.status()["lab"]
    os.kill(run["pid"], signal.SIGKILL)
    until(lambda: not daemon_alive(idle_lab.state), "daemon dead")
    assert "start one with `lab up`" in idle_lab.command("status").stderr
    again = idle_lab.command("up", AWS_ENDPOINT_URL=run["endpoint"])
    assert again.returncode == 0, again.stderr
    assert "removed what an earlier lab left behind" in again.stderr
    assert re.search(r"process haproxy.*container lab-\w+-i-\w+.*mount ", again.stderr)
    status = idle_lab.status()
    assert status["instances"] == status["file_systems"] == []
    assert status["lab"]["endpoint"] == run["endpoint"], "a shell's exports would have become wrong"


def test_terminated_daemon_leaves_nothing(idle_lab: Any, until: Callable[..., Any]) -> None:
    idle_lab.do("up")
    os.kill(idle_lab.status()["lab"]["pid"], signal.SIGTERM)
    until(lambda: not daemon_alive(idle_lab.state), "daemon ended")
    assert idle_lab.leftovers() == []


def test_lab_whose_folder_is_taken_away_ends_itself(idle_lab: Any, until: Callable[..., Any]) -> None:
    idle_lab.do("up")
    efs, ec2 = idle_lab.client("efs"), idle_lab.client("ec2")
    efs.create_file_system(CreationToken="left")
    image = ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.xlarge")
    until(lambda: [one["condition"] for one in idle_lab.status()["instances"]] == ["running"], "instance runs")
    until(lambda: [one["state"] for one in idle_lab.status()["file_systems"]] == ["available"], "file system")
    pid = idle_lab.status()["lab"]["pid"]
    away = idle_lab.state.root.rename(idle_lab.state.root.with_name("away"))
    until(lambda: start_time(pid) is None, "daemon ended")
    assert idle_lab.leftovers() == []
    assert mounts_below(away) == []
    until(lambda: not [name for name in away.iterdir() if name.name == "processes"], "nothing left")


def test_interrupted_start_leaves_nothing(idle_lab: Any, until: Callable[..., Any]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab.cli", "up"], env=idle_lab.environment, stderr=subprocess.PIPE, text=True
    ) as up:
        until((idle_lab.state.root / "daemon.lock").exists, "start begun")
        up.send_signal(signal.SIGINT)
        _, said = up.communicate(timeout=60)
    assert up.returncode == 130, said
    assert "Traceback" not in said
    until(lambda: not daemon_alive(idle_lab.state), "daemon ended")
    assert idle_lab.leftovers() == []
    idle_lab.do("up")


def test_two_labs_do_not_meet(lab: Any, idle_lab: Any) -> None:
    idle_lab.do("up")
    one, other = lab.status()["lab"], idle_lab.status()["lab"]
    assert one["slot"] != other["slot"]
    assert one["port"] != other["port"]
    assert one["id"] != other["id"]
    idle_lab.do("down")
    assert lab.status()["lab"] == one


def test_remembered_port_that_is_taken_is_left_alone(idle_lab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        idle_lab.state.root.mkdir()
        idle_lab.state.remember_port(port)
        idle_lab.do("up")
        assert idle_lab.status()["lab"]["port"] != port


def test_other_cloud_is_refused_and_nothing_starts(idle_lab: Any) -> None:
    done = idle_lab.command("up", AWS_ENDPOINT_URL="https://ec2.us-east-1.amazonaws.com")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "unset AWS_ENDPOINT_URL" in done.stderr
    assert not daemon_alive(idle_lab.state)
    assert idle_lab.leftovers() == []


def test_failed_start_is_one_sentence_and_leaves_nothing(idle_lab: Any, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "haproxy"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '[ALERT] no' >&2\nexit 1\n", encoding="ascii")
    program.chmod(0o755)
    done = idle_lab.command("up", PATH=f"{program.parent}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "HAProxy refuses the configuration: [ALERT] no" in done.stderr
    assert "Traceback" not in done.stderr
    assert idle_lab.leftovers() == []


def test_idle_lab_costs_little(lab: Any) -> None:
    """Issue's figure: below 5 % of a core and 400 MB besides the instances."""
    pids = processes.family(lab.status()["lab"]["pid"])
    before, began = processes.cpu_seconds(pids), time.monotonic()
    time.sleep(5)  # a measurement takes its time
    share = (processes.cpu_seconds(pids) - before) / (time.monotonic() - began)
    assert share < 0.05
    assert processes.megabytes(pids) < 400
