from __future__ import annotations

import os
import time

import pytest
from checkop_host import mount

TABLE = "127.0.0.1:/ /mnt/chop-temp nfs4 rw 0 0\n/dev/x /mnt/with\\040space xfs rw 0 0\n"


def test_mount_points_are_read_from_the_table():
    assert mount.is_mount_point("/mnt/chop-temp", TABLE)
    assert mount.is_mount_point("/mnt/chop-temp/", TABLE)
    assert mount.is_mount_point("/mnt/with space", TABLE)
    assert not mount.is_mount_point("/mnt/chop", TABLE)
    assert not mount.is_mount_point("/mnt", TABLE)


def test_a_file_system_that_answers(tmp_path):
    table = tmp_path / "mounts"
    table.write_text(f"x {tmp_path} nfs4 rw 0 0\n")
    assert mount.check(str(tmp_path), 5, str(table)) is None


def test_what_is_not_mounted_is_never_touched(tmp_path):
    table = tmp_path / "mounts"
    table.write_text("")
    assert "is not mounted" in mount.check(str(tmp_path), 5, str(table))


def test_a_dead_file_system_is_told_in_bounded_time_and_its_child_ended(tmp_path):
    began = time.monotonic()
    assert not mount.answers(str(tmp_path), 0.3, lambda path: time.sleep(60))
    assert time.monotonic() - began < 5
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_file_system_that_fails_does_not_answer(tmp_path):
    assert not mount.answers(str(tmp_path / "missing"), 5)


def test_no_child_is_left_behind(tmp_path):
    mount.answers(str(tmp_path), 5)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
