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


def test_a_failed_mount_is_tried_again(host, eventually):
    api = "/run/lab/efs/.api/fs-0123456789abcdef0.json"
    host.check_output(f"systemctl stop {UNIT} && mv {api} {api}.away")
    try:
        assert host.run(f"systemctl start {UNIT}").rc == 1
    finally:
        host.check_output(f"mv {api}.away {api}")
    eventually("the mount comes back by itself", lambda: host.run("checkop-host mount-check").rc == 0)


def test_a_mount_that_was_stopped_by_hand_stays_away(host):
    host.check_output(f"systemctl stop {UNIT} && systemctl start checkop-storage-retry.service")
    try:
        assert host.run("checkop-host mount-check").rc == 1
    finally:
        host.check_output(f"systemctl start {UNIT}")


def test_an_unknown_file_system_is_refused_and_nothing_changes(host, refused):
    look = "cat /etc/fstab /etc/checkop/conf.d/storage.json /proc/self/mounts | grep -v ^overlay"
    before = host.check_output(look)
    said = refused(efs_mount_file_system_id="fs-00000000000000000")
    assert "fs-00000000000000000.efs.eu-west-1.amazonaws.com:/ cannot be mounted on" in said
    assert "Nothing was changed. Check efs_mount_file_system_id" in said
    assert host.check_output(look) == before
