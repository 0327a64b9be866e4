"""Ids given by variable, plain NFS 4.1, another place and owner, an expiry that only looks."""

from __future__ import annotations

UNIT = r"'srv-chop\x2dtemp.mount'"


def test_the_line_has_the_options_that_aws_recommends(host):
    wanted = (
        "fs-0123456789abcdef0.efs.eu-west-1.amazonaws.com:/ /srv/chop-temp nfs4 _netdev,nofail,nfsvers=4.1,"
        "rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport 0 0"
    )
    assert wanted in host.file("/etc/fstab").content_string.splitlines()


def test_it_is_mounted_and_answers(host):
    assert host.run("checkop-host mount-check").rc == 0
    assert host.check_output(f"systemctl show -p TimeoutUSec {UNIT}") == "TimeoutUSec=20s"


def test_folders_have_the_owner_and_modes_that_were_asked_for(host):
    found = host.check_output("cd /srv/chop-temp && stat -c '%n %U:%G %a' archives spool").splitlines()
    assert found == ["archives chop:chop 750", "spool chop:chop 2770"]


def test_expiry_only_looks(host):
    host.check_output("touch --date='9 days ago' /srv/chop-temp/archives/old.zip")
    host.check_output("systemctl start checkop-expire.service")
    assert host.file("/srv/chop-temp/archives/old.zip").exists
    log = host.check_output("journalctl -u checkop-expire.service -o cat --no-pager")
    assert "would free archives: 1 files" in log
    assert "05:00:00" in host.check_output("systemctl list-timers --no-pager checkop-expire.timer")


def test_efs_utils_is_not_needed(host):
    assert host.run("rpm -q amazon-efs-utils").rc == 1
