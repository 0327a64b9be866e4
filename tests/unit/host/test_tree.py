"""checkop_tree as a host runs it: a program that is given JSON."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[3] / "plugins" / "modules" / "checkop_tree.py"
OWNER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


@pytest.fixture
def lay(tmp_path):
    def call(*entries, verify=(), check=False, diff=False):
        whole = [
            {
                "owner": OWNER,
                "group": GROUP,
                "mode": {"directory": "0755"}.get(entry.get("state"), "0644"),
                **entry,
                "path": str(tmp_path / entry["path"]),
            }
            for entry in entries
        ]
        arguments = {"entries": whole, "verify": list(verify), "_ansible_check_mode": check, "_ansible_diff": diff}
        done = subprocess.run(
            [sys.executable, str(MODULE)],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            capture_output=True,
            text=True,
            check=False,
        )
        answer = json.loads(done.stdout)
        answer["changed_paths"] = [os.path.relpath(path, tmp_path) for path in answer.get("changed_paths", [])]
        return answer

    return call


TREE = (
    {"path": "etc", "state": "directory", "mode": "0750"},
    {"path": "etc/a.conf", "content": "a = é\n", "mode": "0600"},
    {"path": "deep/er/b.conf", "content": "b\n"},
    {"path": "current", "state": "link", "target": "etc"},
    {"path": "old.conf", "state": "absent"},
)


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


def test_a_tree_is_laid_once(lay, tmp_path):
    (tmp_path / "old.conf").touch()
    assert lay(*TREE)["changed_paths"] == ["etc", "etc/a.conf", "deep/er/b.conf", "current", "old.conf"]
    assert (tmp_path / "current/a.conf").read_text(encoding="utf-8") == "a = é\n"
    assert (tmp_path / "etc/a.conf").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o750
    assert not (tmp_path / "old.conf").exists()
    before = snapshot(tmp_path)
    again = lay(*TREE)
    assert (again["changed"], again["changed_paths"]) == (False, [])
    assert snapshot(tmp_path) == before


def test_check_mode_foretells_from_nothing_and_touches_nothing(lay, tmp_path):
    (tmp_path / "old.conf").write_text("old")
    before = snapshot(tmp_path)
    foretold = lay(*TREE, check=True, diff=True)
    assert snapshot(tmp_path) == before
    assert foretold["changed_paths"] == lay(*TREE)["changed_paths"]
    assert {"before": "", "after": "a = é\n"}.items() <= foretold["diff"][1].items()


def test_check_mode_knows_owners_that_are_still_to_come(lay):
    assert lay({"path": "x", "content": "", "owner": "no-such-user"}, check=True)["changed"]


@pytest.mark.parametrize(("mode", "text"), [("0600", "a\n"), ("0644", "b\n")])
def test_only_what_differs_counts(lay, mode, text):
    lay({"path": "a", "content": "a\n"}, {"path": "b", "content": "b\n"})
    again = lay({"path": "a", "content": text, "mode": mode}, {"path": "b", "content": "b\n"})
    assert again["changed_paths"] == ["a"]


def test_a_validator_that_refuses_keeps_every_file_as_it_was(lay, tmp_path):
    lay({"path": "a", "content": "a\n"}, {"path": "b", "content": "b\n"})
    before = snapshot(tmp_path)
    refused = lay(
        {"path": "a", "content": "new\n"},
        {"path": "b", "content": "wrong\n", "validate": "grep -q right %s"},
    )
    assert refused["failed"]
    assert "b was not replaced" in refused["msg"]
    assert snapshot(tmp_path) == before


def test_a_configuration_that_is_refused_as_a_whole_is_put_back(lay, tmp_path):
    lay({"path": "etc/a", "content": "a\n"}, {"path": "link", "state": "link", "target": "etc"})
    (tmp_path / "etc/gone").write_text("gone\n")
    before = snapshot(tmp_path)
    rule = {"command": ["grep", "-q", "right", str(tmp_path / "etc/a")], "paths": [str(tmp_path / "etc")]}
    refused = lay(
        {"path": "etc/a", "content": "wrong\n", "mode": "0600"},
        {"path": "etc/new/b", "content": "b\n"},
        {"path": "etc/gone", "state": "absent"},
        {"path": "link", "state": "link", "target": "elsewhere"},
        {"path": "folder", "state": "directory"},
        verify=[rule],
    )
    assert refused["failed"]
    assert "everything this task changed is as before" in refused["msg"]
    assert snapshot(tmp_path) == before


def test_a_command_is_asked_only_after_a_change_below_its_paths(lay, tmp_path):
    rule = {"command": ["false"], "paths": [str(tmp_path / "etc")]}
    assert "failed" not in lay({"path": "etcetera", "content": "x"}, verify=[rule])
    assert lay({"path": "etc/a", "content": "x"}, verify=[rule])["failed"]


def test_a_folder_is_never_replaced_by_a_file(lay, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert "is a directory" in lay({"path": "a", "content": "x"})["msg"]
    assert (tmp_path / "a" / "b").is_dir()
