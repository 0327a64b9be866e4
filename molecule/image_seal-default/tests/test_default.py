import pytest


@pytest.mark.parametrize(
    "path",
    [
        "/root/.ssh/id_ed25519",
        "/root/.aws",
        "/root/.bash_history",
        "/home/centos/.ssh/authorized_keys",
        "/home/ana/.ssh/authorized_keys",
        "/etc/checkop/checkop.env",
        "/etc/ssh/ssh_host_planted_key",
        "/var/lib/cloud/instances",
        "/var/lib/dhclient/dhclient.leases",
        "/var/log/messages-20260101",
        "/var/tmp/left",  # noqa: S108 - planted there
    ],
)
def test_what_was_planted_is_gone(host, path):
    assert not host.file(path).exists


def test_no_host_key_is_left(host):
    assert host.check_output("find /etc/ssh -name 'ssh_host_*'") == ""


def test_the_machine_id_is_an_empty_file(host):
    assert host.file("/etc/machine-id").size == 0


def test_logs_are_there_and_empty(host):
    assert host.file("/var/log/secure").size == 0


def test_what_writes_logs_has_stopped(host):
    assert host.run("systemctl is-active rsyslog").stdout.strip() != "active"
