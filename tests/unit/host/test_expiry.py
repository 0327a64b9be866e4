from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from checkop_host import expiry
from checkop_host.errors import HostError

NOW = time.time()
DAY = 86400


def age(path: Path, days: float) -> Path:
    os.utime(path, (NOW - days * DAY, NOW - days * DAY), follow_symlinks=False)
    return path


def write(path: Path, days: float, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return age(path, days)


@pytest.fixture
def temp(tmp_path):
    for name in ("uploads", "reports", "photos", "archives"):
        (tmp_path / "chop-temp" / name).mkdir(parents=True)
    return tmp_path / "chop-temp"


def expire(temp, *folders, dry_run=False):
    wanted = [{"name": name, "keep_days": days} for name, days in folders]
    return [result.as_dict() for result in expiry.expire(str(temp), wanted, NOW, dry_run)]


def test_files_go_by_their_folder_s_days_in_the_given_order(temp):
    old, young = write(temp / "archives/old.zip", 8, 500), write(temp / "archives/young.zip", 6)
    kept = write(temp / "uploads/same-age.xls", 8)
    assert expire(temp, ("archives", 7), ("uploads", 30)) == [
        {"folder": "archives", "files": 1, "bytes": 500, "errors": 0},
        {"folder": "uploads", "files": 0, "bytes": 0, "errors": 0},
    ]
    assert not old.exists()
    assert young.exists()
    assert kept.exists()


def test_a_dry_run_says_the_same_and_removes_nothing(temp):
    write(temp / "photos/job/1.jpg", 20, 300)
    age(temp / "photos/job", 20)
    would = expire(temp, ("photos", 14), dry_run=True)
    assert (temp / "photos/job/1.jpg").exists()
    assert expire(temp, ("photos", 14)) == would
    assert not (temp / "photos/job").exists(), "an emptied old folder goes too"
    assert (temp / "photos").is_dir(), "ChOp-Temp's own folders stay"


def test_links_are_neither_followed_nor_removed(temp, tmp_path):
    outside = write(tmp_path / "outside/precious", 100)
    (temp / "archives/file").symlink_to(outside)
    (temp / "archives/folder").symlink_to(outside.parent)
    age(temp / "archives/file", 100)
    age(temp / "archives/folder", 100)
    assert expire(temp, ("archives", 7))[0]["files"] == 0
    assert outside.exists()
    assert (temp / "archives/file").is_symlink()
    assert (temp / "archives/folder").is_symlink()


def test_a_folder_that_is_itself_a_link_is_not_entered(temp, tmp_path):
    precious = write(tmp_path / "outside/precious", 100)
    (temp / "archives").rmdir()
    (temp / "archives").symlink_to(precious.parent)
    assert expire(temp, ("archives", 7))[0]["errors"] == 1
    assert precious.exists()


def test_a_folder_swapped_for_a_link_meanwhile_leads_nowhere(temp, tmp_path, monkeypatch):
    precious = write(tmp_path / "outside/1.jpg", 100)
    inner = write(temp / "photos/job/1.jpg", 100)
    real_lstat = os.lstat

    def swap_after_look(path, *args, **kwargs):
        status = real_lstat(path, *args, **kwargs)
        if path == "job":
            inner.unlink()
            inner.parent.rmdir()
            inner.parent.symlink_to(precious.parent)
        return status

    monkeypatch.setattr(expiry.os, "lstat", swap_after_look)
    expire(temp, ("photos", 14))
    assert precious.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc"])
def test_a_folder_outside_is_refused_before_anything_goes(temp, name):
    old = write(temp / "archives/old.zip", 100)
    with pytest.raises(HostError, match="not allowed"):
        expire(temp, ("archives", 7), (name, 7))
    assert old.exists()


@pytest.mark.parametrize("days", [0, -1, "7", None, True])
def test_days_that_would_empty_a_folder_are_refused(temp, days):
    with pytest.raises(HostError, match="keep_days"):
        expire(temp, ("archives", days))


def test_a_file_that_another_instance_removes_first_is_no_error(temp, monkeypatch):
    write(temp / "archives/old.zip", 100)
    real_unlink = os.unlink

    def already_gone(path, *args, **kwargs):
        real_unlink(path, *args, **kwargs)
        real_unlink(path, *args, **kwargs)

    monkeypatch.setattr(expiry.os, "unlink", already_gone)
    assert expire(temp, ("archives", 7))[0]["errors"] == 0


def test_a_folder_that_is_missing_counts_as_an_error_and_the_others_go_on(temp):
    old = write(temp / "uploads/old.xls", 100)
    assert [result["errors"] for result in expire(temp, ("invoices", 7), ("uploads", 30))] == [1, 0]
    assert not old.exists()


def test_the_working_directory_is_as_before(temp, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write(temp / "photos/a/b/c.jpg", 100)
    expire(temp, ("photos", 7), ("invoices", 7))
    assert Path.cwd() == tmp_path


def test_a_second_name_of_a_file_frees_nothing(temp):
    old = write(temp / "archives/old.zip", 100, 700)
    os.link(old, temp / "uploads/other")
    assert expire(temp, ("archives", 7)) == [{"folder": "archives", "files": 1, "bytes": 0, "errors": 0}]
