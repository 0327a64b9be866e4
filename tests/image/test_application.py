"""The application of the image answers, and what an instance does by itself is in place."""

from __future__ import annotations

import json
from typing import Any


def test_the_release_that_was_asked_for_is_in_service(host: Any, application_version: str) -> None:
    assert host.check_output("readlink /opt/checkop/current") == f"releases/{application_version}"


def test_the_application_answers_through_nginx(host: Any) -> None:
    answer = host.check_output("curl -s -o /dev/null -w '%{http_code}' --max-time 10 http://127.0.0.1/health/live")
    assert answer == "200"


def test_chop_temp_is_mounted_and_answers(host: Any, facts: dict[str, Any]) -> None:
    assert host.run(f"sudo -n /usr/bin/checkop-host mount-check --path {facts['storage_mount_path']}").rc == 0


def test_every_number_of_the_host_s_program_is_one(host: Any) -> None:
    for path in host.check_output("ls /etc/checkop/conf.d/*.json").split():
        for section in json.loads(host.file(path).content_string).values():
            numbers = {k: v for k, v in section.items() if k.endswith("_seconds") or k == "keep_releases"}
            assert all(isinstance(value, int) for value in numbers.values()), (path, numbers)


def test_nothing_has_failed(host: Any) -> None:
    assert host.check_output("systemctl list-units --failed --no-legend --plain") == ""
