"""ChOp-Temp is mounted from ids that SSM names, and nothing hangs when it is not."""

from __future__ import annotations

import json
import shlex
import time

import pytest

MOUNT = "/mnt/chop-temp"
UNIT = r"'mnt-chop\x2dtemp.mount'"
POINT = "/run/lab/efs/fs-0123456789abcdef0/chop-temp"


@pytest.fixture
def aged(host):
    """Write a file of ChOp-Temp, some days old; take everything away afterwards."""
    made = []

    def make(name, days, content="x" * 1000):
        path = f"{MOUNT}/{name}"
        made.append(path)
        host.check_output(f"mkdir -p $(dirname {path}) && printf %s {content} > {path}")
        host.check_output(f"touch --date='{days} days ago' {path}")
        return path

    yield make
    for path in made:
        host.check_output(f"rm -f {shlex.quote(path)}")


def expire(host, *options):
    """Run the expiry that the timer runs; return what it freed by folder."""
    answer = json.loads(host.check_output("checkop-host expire " + " ".join(options)))
    return {one["folder"]: one for one in answer["folders"]}


def test_ids_come_from_ssm(host):
    line = "fs-0123456789abcdef0:/ /mnt/chop-temp efs _netdev,nofail,tls,iam,accesspoint=fsap-0123456789abcdef0 0 0"
    assert line in host.file("/etc/fstab").content_string.splitlines()


def test_what_is_written_reaches_the_access_point(host):
    host.check_output(f"runuser -u checkop -- sh -c 'echo shared > {MOUNT}/uploads/probe'")
    try:
        assert host.file(f"{POINT}/uploads/probe").content_string == "shared\n"
        assert host.file(f"{POINT}/uploads/probe").uid == 5000
    finally:
        host.check_output(f"rm {MOUNT}/uploads/probe")


def test_folders_belong_to_the_application(host):
    found = host.check_output(f"cd {MOUNT} && stat -c '%n %U:%G %a' *").splitlines()
    assert found == [f"{folder} checkop:checkop 2770" for folder in ("archives", "photos", "reports", "uploads")]


def test_folders_are_mended(host):
    host.check_output(f"rmdir {MOUNT}/reports && chmod 0700 {MOUNT}/photos")
    host.check_output("systemctl start checkop-storage.service")
    assert host.file(f"{MOUNT}/reports").mode == 0o2770
    assert host.file(f"{MOUNT}/photos").mode == 0o2770


def test_watchdog_watches(host):
    unit = "amazon-efs-mount-watchdog.service"
    assert host.check_output(f"systemctl is-active {unit} && systemctl is-enabled {unit}") == "active\nenabled"


def test_expiry_looks_first_and_then_frees(host, aged):
    old, young = aged("archives/old.zip", 8), aged("archives/young.zip", 6)
    assert expire(host, "--dry-run")["archives"]["bytes"] == 1000
    assert host.file(old).exists
    host.check_output("systemctl start checkop-expire.service")
    assert not host.file(old).exists
    assert host.file(young).exists
    log = host.check_output("journalctl -u checkop-expire.service -o cat --no-pager")
    assert "would free archives: 1 files, 1000 bytes" in log
    assert "freed archives: 1 files, 1000 bytes" in log


def test_expiry_keeps_to_each_folders_days(host, aged):
    kept, gone = aged("uploads/a.xls", 20), aged("photos/a.jpg", 20)
    expire(host)
    assert host.file(kept).exists
    assert not host.file(gone).exists


def test_expiry_never_leaves_chop_temp(host, aged):
    outside = "/root/outside.zip"
    host.check_output(f"touch --date='99 days ago' {outside}")
    inside = aged("archives/real.zip", 99)
    host.check_output(f"ln -sfn /root {MOUNT}/archives/way-out && ln -sfn {outside} {MOUNT}/archives/link.zip")
    try:
        expire(host)
        assert host.file(outside).exists
        assert host.file(f"{MOUNT}/archives/way-out").is_symlink
        assert not host.file(inside).exists
    finally:
        host.check_output(f"rm -f {outside} {MOUNT}/archives/way-out {MOUNT}/archives/link.zip")


def test_the_timer_is_set(host):
    assert host.check_output("systemctl is-active checkop-expire.timer") == "active"
    assert host.check_output("systemctl is-enabled checkop-expire.timer") == "enabled"
    assert "03:30:00" in host.check_output("systemctl list-timers --no-pager checkop-expire.timer")


def test_mount_check_says_what_is_wrong(host):
    assert host.run("checkop-host mount-check").rc == 0
    host.check_output(f"systemctl stop {UNIT}")
    try:
        checked = host.run("checkop-host mount-check")
        assert checked.rc == 1
        assert "/mnt/chop-temp is not mounted" in checked.stderr
        # Nothing expires on the root disk while ChOp-Temp is away.
        expired = host.run("checkop-host expire")
        assert expired.rc == 1
        assert "nothing expires" in expired.stderr
    finally:
        host.check_output(f"systemctl start {UNIT}")


def test_a_missing_file_system_holds_nothing_up(host):
    api = "/run/lab/efs/.api/fs-0123456789abcdef0.json"
    host.check_output(f"systemctl stop {UNIT} && mv {api} {api}.away")
    try:
        began = time.monotonic()
        assert host.run(f"systemctl start {UNIT}").rc == 1
        # What a boot waits for does not need the mount.
        host.check_output("systemctl restart checkop-configure.service")
        assert host.run("systemctl start remote-fs.target").rc == 0
        assert time.monotonic() - began < 10
        log = host.check_output(f"journalctl -u {UNIT} -o cat --no-pager -n 20")
        assert 'Failed to resolve "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com"' in log
    finally:
        host.check_output(f"mv {api}.away {api} && systemctl reset-failed && systemctl start {UNIT}")


def test_a_hanging_mount_is_given_up(host):
    """The mount helper that never comes back is killed after the time limit, here made short."""
    limit = "/run/systemd/system/mnt-chop\\x2dtemp.mount.d"
    helper = "/usr/sbin/mount.efs"
    host.check_output(f"systemctl stop {UNIT} && mv {helper} {helper}.away")
    host.check_output(f"printf '#!/bin/sh\\nexec sleep 600\\n' > {helper} && chmod 755 {helper}")
    host.check_output(f"mkdir -p '{limit}' && printf '[Mount]\\nTimeoutSec=2\\n' > '{limit}/zz-short.conf'")
    host.check_output("systemctl daemon-reload")
    try:
        began = time.monotonic()
        assert host.run(f"systemctl start {UNIT}").rc == 1
        assert time.monotonic() - began < 15
        assert host.check_output(f"systemctl show -p Result {UNIT}") == "Result=timeout"
    finally:
        host.check_output(f"mv {helper}.away {helper} && rm -r '{limit}' && systemctl daemon-reload")
        host.check_output(f"systemctl reset-failed && systemctl start {UNIT}")


def test_the_time_limit_is_in_force(host):
    assert host.check_output(f"systemctl show -p TimeoutUSec {UNIT}") == "TimeoutUSec=1min"
