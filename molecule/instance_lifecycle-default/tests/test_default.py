import json

import pytest

FLAG = "/run/checkop/draining"


@pytest.fixture
def job(host):
    path = f"/mnt/chop-temp/archives/1.zip.{host.check_output('hostname')}.part"
    host.check_output(f"mkdir -p $(dirname {path}) && touch {path}")
    yield path
    host.check_output(f"rm -rf {path} {FLAG}")


def test_the_watch_runs_and_comes_back(host, eventually):
    assert host.service("checkop-lifecycle").is_enabled
    before = host.check_output("systemctl show --property=MainPID checkop-lifecycle")
    host.check_output("systemctl kill --signal=KILL checkop-lifecycle")
    eventually(
        "the watch runs again",
        lambda: host.check_output("systemctl show --property=MainPID checkop-lifecycle") not in (before, "MainPID=0"),
    )


def test_an_ending_instance_finishes_its_job_first(host, aws, job, eventually):
    (me,) = aws.members()
    aws.resize(0)
    try:
        eventually("the end was noticed", lambda: host.file(FLAG).exists)
        assert aws.members() == {me: "Terminating:Wait"}
        host.check_output(f"rm {job}")
        eventually("Auto Scaling goes on", lambda: me not in aws.members())
        journal = host.check_output("journalctl --unit checkop-lifecycle --output cat")
        assert "completed lifecycle hooks" in journal
        eventually("the watch has ended", lambda: not host.service("checkop-lifecycle").is_running)
    finally:
        aws.resize(1)
        eventually("the group is as before", lambda: list(aws.members().values()) == ["InService"])
        host.check_output(f"rm -f {FLAG}; systemctl restart checkop-lifecycle")


def test_draining_by_hand_says_whether_all_jobs_ended(host, job):
    host.check_output(f"rm {job}")
    assert host.run("checkop-host drain").rc == 0
    assert host.file(FLAG).exists


def test_completing_by_hand_on_a_host_that_does_not_end_returns_at_once(host):
    answer = host.run("timeout 10 checkop-host complete-lifecycle")
    assert answer.rc == 0
    assert json.loads(answer.stdout) == {"completed": []}
    assert "no action is open" in answer.stderr
    assert "is InService" in answer.stderr
