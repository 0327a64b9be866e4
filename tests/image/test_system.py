"""The system under the application: who gets in, what listens, and what must not be on an image."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkop.bake.expectations import OUTSIDE_PORTS, SERVICES


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
def test_every_service_of_the_gate_starts_at_boot(host: Any, name: str) -> None:
    assert host.check_output(f"systemctl is-enabled {name}.service") == "enabled"


def test_it_is_the_system_that_the_roles_are_written_for(host: Any) -> None:
    assert host.file("/etc/redhat-release").content_string.startswith("CentOS Linux release 7.9")
    assert host.check_output("/usr/bin/python2.7 -c 'import sys; print(sys.version_info[0])'") == "2"


def test_only_ssh_and_http_are_open_to_others(host: Any) -> None:
    open_ports = set()
    for line in host.check_output("ss --numeric --listening --tcp --no-header").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if not address.strip("[]").startswith(("127.", "::1")):
            open_ports.add(int(port))
    assert open_ports <= OUTSIDE_PORTS


def test_nobody_logs_in_with_a_password(host: Any) -> None:
    settings = host.check_output("sshd -T").splitlines()
    assert "passwordauthentication no" in settings
    assert "permitrootlogin no" in settings
    for line in host.file("/etc/shadow").content_string.splitlines():
        name, password = line.split(":")[:2]
        assert password[:1] in {"!", "*"}, f"{name} has a password"


def test_only_root_is_root(host: Any) -> None:
    users = [line.split(":") for line in host.file("/etc/passwd").content_string.splitlines()]
    assert [user[0] for user in users if user[2] == "0"] == ["root"]


def test_sudo_takes_its_configuration(host: Any) -> None:
    host.check_output("visudo --check --quiet")


def test_selinux_is_enforcing_where_the_kernel_has_it(host: Any) -> None:
    if host.file("/sys/fs/selinux/enforce").exists:
        assert host.file("/sys/fs/selinux/enforce").content_string.strip() == "1"


def test_no_credentials_lie_on_the_machine(host: Any) -> None:
    names = r"\( -path '*/.aws/*' -o -name 'id_*' -o -name .netrc -o -name .git-credentials \)"
    found = host.check_output(f"find /root /home -maxdepth 3 {names}")
    assert found == ""


def test_the_settings_with_the_password_are_for_the_application_alone(host: Any, facts: dict[str, Any]) -> None:
    settings = host.file("/etc/checkop/checkop.env")
    assert (settings.user, settings.group, settings.mode) == ("root", facts["application_user"], 0o640)


def test_the_application_does_not_run_as_root_and_cannot_change_itself(host: Any, facts: dict[str, Any]) -> None:
    main = host.check_output("systemctl show checkop.service --property=MainPID").partition("=")[2]
    assert host.check_output(f"ps -o user= -p {main}") == facts["application_user"]
    writable = host.check_output(f"find /opt/checkop -user {facts['application_user']} -perm -u+w -not -type l")
    assert writable == ""


def test_the_agent_ships_to_this_environments_groups(host: Any, facts: dict[str, Any]) -> None:
    settings = json.loads(host.file("/etc/checkop/cloudwatch-agent.json").content_string)
    groups = {entry["log_group_name"] for entry in settings["logs"]["logs_collected"]["files"]["collect_list"]}
    assert groups
    assert all(group.startswith(f"{facts['monitoring_log_prefix']}/") for group in groups)
    assert settings["metrics"]["namespace"] == facts["monitoring_namespace"]


def test_no_update_is_waiting_to_be_finished_by_a_reboot(host: Any) -> None:
    assert not host.file("/run/reboot-required").exists
