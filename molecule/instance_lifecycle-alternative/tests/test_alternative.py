import pytest

FLAG = "/run/checkop/draining"


@pytest.fixture
def jobs(host):
    folder = f"/var/jobs/{host.check_output('hostname')}"
    host.check_output(f"mkdir -p {folder} /var/jobs/another && touch /var/jobs/another/1")
    yield folder
    host.check_output(f"rm -rf /var/jobs {FLAG}")


def test_a_job_that_never_ends_holds_an_instance_for_a_bounded_time(host, aws, jobs, eventually):
    host.check_output(f"touch {jobs}/stuck")
    (me,) = aws.members()
    aws.resize(0)
    try:
        eventually("Auto Scaling goes on all the same", lambda: me not in aws.members())
        assert "1 jobs still open after 2 s" in host.check_output("journalctl --unit checkop-lifecycle --output cat")
    finally:
        aws.resize(1)
        eventually("the group is as before", lambda: list(aws.members().values()) == ["InService"])
        host.check_output(f"rm -f {FLAG}; systemctl restart checkop-lifecycle")


def test_what_a_crash_left_behind_is_not_waited_for(host, jobs):
    host.check_output(f"touch --date='2 minutes ago' {jobs}/stale")
    answer = host.run("checkop-host drain")
    assert answer.rc == 0
    assert "no job is open after 0 s" in answer.stderr


def test_an_open_job_at_the_bound_is_status_1(host, jobs):
    host.check_output(f"touch {jobs}/open")
    assert host.run("checkop-host drain").rc == 1
