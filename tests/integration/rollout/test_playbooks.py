"""The playbooks themselves: what they hand to the logic, how its voice reaches the terminal, how they end."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checkop.bake.template import search_path
from checkop.rollout.lock import Lock, this_session

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def play(fleet, tmp_path, monkeypatch):
    """Run a playbook against the fleet's cloud and return its exit status and what it printed."""
    for name in ("LAB_CERTIFICATE_FILE", "LAB_CERTIFICATE_KEY_FILE", "LAB_CA_FILE", "LAB_SSH_PUBLIC_KEY_FILE"):
        (tmp_path / name).write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA test\n", encoding="ascii")
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("LAB_RESOLVE", "{}")
    monkeypatch.setenv("LAB_HOST_ENDPOINT_URL", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("PATH", search_path())
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "ansible"))
    monkeypatch.setenv("ANSIBLE_NOCOLOR", "1")
    # The alarms are the monitoring's business, and not made here.
    extra = ["-e", '{"monitoring_rollout_alarms": []}']

    def play(name, *args):
        command = ["ansible-playbook", "-i", "inventory/rehearsal", f"playbooks/{name}.yml", *extra, *args]
        ended = subprocess.run(
            command,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout

    return play


def test_rollout_of_the_image_in_service_has_nothing_to_do(fleet, play):
    status, output = play("rollout", "-e", f"image={fleet.images['1.0.0']}")
    assert status == 0, output
    assert "is in service on all 2 instances: nothing to do" in output
    assert "changed=0" in output


def test_rollout_refuses_with_every_reason_on_a_line(fleet, play):
    fleet.clients.autoscaling.suspend_processes(AutoScalingGroupName="AUTOChOp", ScalingProcesses=["Launch"])
    status, output = play("rollout", "-e", "image=ami-0123456789abcdef0")
    assert status != 0
    assert "rollout:   - Image ami-0123456789abcdef0 does not exist in this account in us-east-1" in output
    assert "rollout:   - Group AUTOChOp has suspended processes (Launch)" in output
    assert len(fleet.ledger.entries()) == 1


@pytest.mark.parametrize(
    ("name", "args", "text"),
    [
        ("rollback", ["-e", "to=7"], "Release 0007 is not in the ledger"),
        ("scale", ["-e", "size=4", "--check"], "2 -> 4 instances"),
        ("replace", ["-e", "instance=i-0123"], "i-0123 is no instance of AUTOChOp"),
        ("rollout", ["-e", "pause=sometimes"], "value of pause must be one of"),
    ],
)
def test_other_playbooks_reach_their_logic(fleet, play, name, args, text):
    _, output = play(name, *args)
    assert text in output, output
    assert fleet.group()["DesiredCapacity"] == 2
    assert len(fleet.ledger.entries()) == 1


@pytest.mark.parametrize(("alive", "way"), [(True, "Wait for its end"), (False, "operator's process has ended")])
def test_other_playbooks_change_nothing_while_a_release_is_under_way(fleet, play, alive, way):
    before = fleet.share()
    session = this_session("arn:aws:iam::123456789012:user/ana")
    lock = Lock(fleet.clients.ssm, fleet.settings.ssm_prefix, session if alive else replace(session, born="0"))
    assert lock.take("0002", "rollout", "ami-0123", datetime.now(UTC))
    status, output = play("balancer")
    assert status != 0
    assert "A release is under way and uses what this playbook changes: release 0002" in output
    assert way in output
    assert fleet.share() == before
    # A check changes nothing, and says why there may be differences.
    _, output = play("fleet", "--check")
    assert "Differences may be the release's own" in output
    status, output = play("rollout", "-e", f"image={fleet.images['1.0.0']}")
    assert "uses what this playbook changes" not in output


def test_only_releases_playbooks_may_run_during_a_release():
    exempt = [
        path.stem
        for path in (REPOSITORY / "playbooks").glob("*.yml")
        if "during_release: true" in path.read_text(encoding="utf-8")
    ]
    assert sorted(exempt) == ["replace", "rollback", "rollout", "scale"]
