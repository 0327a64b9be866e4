"""What roles refuse before they touch a host.

Always in check mode: a role that does not refuse must not change this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
CENTOS = {
    "ansible_distribution": "CentOS",
    "ansible_distribution_version": "7.9",
    "ansible_distribution_major_version": "7",
}
DEBIAN = {
    "ansible_distribution": "Debian",
    "ansible_distribution_version": "12",
    "ansible_distribution_major_version": "12",
}


def refusal(tmp_path: Path, role: str, **variables: Any) -> tuple[str, str]:
    """Apply a role that must refuse; return the name of the task that failed and its message."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "strategy": "linear",
        "roles": [{"role": role, "vars": variables}],
    }
    path = tmp_path / "play.json"
    path.write_text(json.dumps([play]), encoding="utf-8")
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {"localhost": {}}}}), encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--check", "-i", inventory, path],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_CALLBACKS_ENABLED": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    report = json.loads(done.stdout[done.stdout.index("{") :])
    failed = [
        (task["task"]["name"], task["hosts"]["localhost"]["msg"])
        for played in report["plays"]
        for task in played["tasks"]
        if task["hosts"]["localhost"].get("failed")
    ]
    assert not any(
        task["hosts"]["localhost"].get("changed") for played in report["plays"] for task in played["tasks"]
    ), "a task before the refusal would have changed the host"
    return failed[0]


def test_an_unknown_log_level(tmp_path):
    task, message = refusal(tmp_path, "checkop_app", checkop_app_log_level="loud")
    assert "Validating arguments" in task
    assert "checkop_app_log_level must be one of: debug, info, warning, error, got: loud" in message


def test_a_system_that_is_not_centos_7(tmp_path):
    _, message = refusal(tmp_path, "baseline", **DEBIAN)
    assert "localhost runs Debian 12; these roles configure CentOS 7" in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [("host_tools_ssm_prefix", None), ("host_tools_uid", "five thousand")],
)
def test_settings_of_the_host_s_program(tmp_path, variable, value):
    given = {"host_tools_ssm_prefix": "/checkop/test", variable: value}
    task, message = refusal(
        tmp_path, "host_tools", **{name: value for name, value in given.items() if value is not None}
    )
    assert "Validating arguments" in task
    assert variable in message


def test_a_state_of_selinux_that_there_is_not(tmp_path):
    _, message = refusal(tmp_path, "baseline", baseline_selinux_state="off", **CENTOS)
    assert "baseline_selinux_state must be one of: enforcing, permissive" in message


@pytest.mark.parametrize(
    "wrong",
    [
        {"checkop_app_archive_sha256": ""},
        {"checkop_app_archive_sha256": "abc"},
        {"checkop_app_archive": ""},
        {"checkop_app_archive": "http://example.com/checkop.tar.gz"},
        {"checkop_app_version": "../1.0.0"},
    ],
)
def test_a_release_that_is_not_named_whole(tmp_path, wrong):
    given = {
        "checkop_app_version": "1.0.0",
        "checkop_app_archive": "checkop.tar.gz",
        "checkop_app_archive_sha256": "0" * 64,
        **wrong,
    }
    task, message = refusal(tmp_path, "checkop_app", **given)
    assert "Refuse a release" in task
    ((name, value),) = wrong.items()
    assert f"{name} is '{value}'" in message or f"{name} '{value}'" in message
