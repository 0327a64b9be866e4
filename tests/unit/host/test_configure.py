from __future__ import annotations

import grp
import json
import os
import subprocess

import pytest
from checkop_host import configure
from checkop_host.errors import HostError

PREFIX = "/checkop/test"
GROUP = grp.getgrgid(os.getgid()).gr_name


class Systemctl:
    def __init__(self):
        self.calls = []

    def __call__(self, command):
        self.calls.append(command)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "releases" / "1.2.0").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1.2.0")
    return {
        "ssm_prefix": PREFIX,
        "application": {
            "environment_file": str(tmp_path / "checkop.env"),
            "group": GROUP,
            "current": str(tmp_path / "current"),
            "settings": {"CHECKOP_PORT": 8000},
            "parameters": {"CHECKOP_DATABASE_HOST": "database/endpoint"},
            "secrets": {"database/secret_arn": {"CHECKOP_DATABASE_PASSWORD": "password"}},
        },
        "storage": {
            "mount_path": "/mnt/chop-temp",
            "mount_unit": "mnt-chop\\x2dtemp.mount",
            "parameters": {"file_system_id": "file_system/id", "access_point_id": "file_system/access_point_id"},
            "fstab_line": "{file_system_id}:/ /mnt/chop-temp efs _netdev,accesspoint={access_point_id} 0 0",
        },
    }


@pytest.fixture
def published(clients):
    arn = clients.client("secretsmanager").create_secret(
        Name="checkop/test/database", SecretString=json.dumps({"username": "u", "password": 'p"$\\w'})
    )["ARN"]
    values = {
        "database/endpoint": "db.internal",
        "database/secret_arn": arn,
        "file_system/id": "fs-1",
        "file_system/access_point_id": "fsap-1",
    }
    for name, value in values.items():
        clients.client("ssm").put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type="String")
    return clients


def test_everything_is_written_once_with_its_mode(settings, published, tmp_path):
    systemctl, fstab = Systemctl(), tmp_path / "fstab"
    changed = configure.configure(settings, published, systemctl, str(fstab))

    written = tmp_path / "checkop.env"
    assert changed == [str(written), str(fstab)]
    assert written.stat().st_mode & 0o777 == 0o640
    lines = written.read_text().splitlines()[1:]
    assert lines == [
        'CHECKOP_DATABASE_HOST="db.internal"',
        'CHECKOP_DATABASE_PASSWORD="p\\"\\$\\\\w"',
        'CHECKOP_PORT="8000"',
        'CHECKOP_VERSION="1.2.0"',
    ]
    assert fstab.read_text() == "fs-1:/ /mnt/chop-temp efs _netdev,accesspoint=fsap-1 0 0\n"
    start = ["systemctl", "start", "--no-block", "mnt-chop\\x2dtemp.mount"]
    assert systemctl.calls == [["systemctl", "daemon-reload"], start]

    again = Systemctl()
    assert configure.configure(settings, published, again, str(fstab)) == []
    assert again.calls == [start], "an unchanged table needs no reload"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkop.env", "current", "fstab", "releases"]


@pytest.mark.parametrize("gone", ["database/endpoint", "file_system/id", "database/secret_arn"])
def test_a_missing_parameter_is_named_and_nothing_is_written(settings, published, tmp_path, gone):
    published.client("ssm").delete_parameter(Name=f"{PREFIX}/{gone}")
    (tmp_path / "checkop.env").write_text("as before")
    systemctl = Systemctl()
    with pytest.raises(HostError, match=f"{PREFIX}/{gone}"):
        configure.configure(settings, published, systemctl, str(tmp_path / "fstab"))
    assert (tmp_path / "checkop.env").read_text() == "as before"
    assert not (tmp_path / "fstab").exists()
    assert systemctl.calls == []


def test_a_missing_secret_is_named(settings, published, tmp_path):
    secret = published.client("secretsmanager")
    secret.delete_secret(SecretId="checkop/test/database", ForceDeleteWithoutRecovery=True)
    with pytest.raises(HostError, match=r"secret arn:aws:secretsmanager.*database"):
        configure.configure(settings, published, Systemctl(), str(tmp_path / "fstab"))
    assert not (tmp_path / "checkop.env").exists()


def test_a_secret_that_is_no_object_is_refused_without_showing_it(settings, published, tmp_path):
    published.client("secretsmanager").put_secret_value(SecretId="checkop/test/database", SecretString="geheim")
    with pytest.raises(HostError, match="not a JSON object") as error:
        configure.configure(settings, published, Systemctl(), str(tmp_path / "fstab"))
    assert "geheim" not in str(error.value)


def test_an_unknown_group_leaves_the_file_as_it_was(settings, published, tmp_path):
    (tmp_path / "checkop.env").write_text("as before")
    settings["application"]["group"] = "no-such-group"
    with pytest.raises(HostError, match="no-such-group"):
        configure.configure(settings, published, Systemctl(), str(tmp_path / "fstab"))
    assert (tmp_path / "checkop.env").read_text() == "as before"
    assert not list(tmp_path.glob("*.new*"))


def test_more_parameters_than_one_call_takes(settings, published, tmp_path):
    wanted = {f"VALUE_{number}": f"many/{number}" for number in range(23)}
    for variable, name in wanted.items():
        published.client("ssm").put_parameter(Name=f"{PREFIX}/{name}", Value=variable, Type="String")
    settings["application"]["parameters"] = wanted
    configure.configure(settings, published, Systemctl(), str(tmp_path / "fstab"))
    text = (tmp_path / "checkop.env").read_text()
    assert all(f'{variable}="{variable}"' in text for variable in wanted)


def test_a_failing_systemctl_is_an_error(settings, published, tmp_path):
    def failing(command):
        raise subprocess.CalledProcessError(1, command)

    with pytest.raises(HostError, match="systemctl daemon-reload failed"):
        configure.configure(settings, published, failing, str(tmp_path / "fstab"))


def test_a_host_without_application_and_storage_asks_for_nothing(clients, tmp_path):
    (tmp_path / "fstab").write_text("UUID=1 / xfs defaults 0 0\n")
    assert configure.configure({"ssm_prefix": PREFIX}, clients, Systemctl(), str(tmp_path / "fstab")) == []
