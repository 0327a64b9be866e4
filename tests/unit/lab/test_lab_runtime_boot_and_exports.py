"""What an instance finds at its first boot, what a shell gets, and certificates that verify."""

from __future__ import annotations

import json
import os
import shlex
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lab import certificates, cli, exports, first_boot
from lab.api.views import Instance

RUN = {
    "port": 4711,
    "ssh_key": "/s/k",
    "ca_file": "/s/ca",
    "certificate_file": "/s/c",
    "certificate_key_file": "/s/c.key",
}


def test_seed_is_what_cloud_init_reads(instance: Callable[..., Instance], tmp_path: Path) -> None:
    first_boot.write(tmp_path, instance(user_data=b"#!/bin/sh\n"), {"AWS_REGION": "us-east-1"})
    meta = yaml.safe_load((tmp_path / "seed/meta-data").read_text(encoding="utf-8"))
    assert meta["instance-id"] == "i-0123"
    assert meta["local-hostname"] == "ip-10-20-1-5.ec2.internal"
    assert meta["public-keys"] == ["ssh-ed25519 AAAA operator"]
    assert (tmp_path / "seed/user-data").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "environment").read_text(encoding="utf-8") == "AWS_REGION=us-east-1\n"


def test_instance_without_user_data_or_key_boots_too(instance: Callable[..., Instance], tmp_path: Path) -> None:
    first_boot.write(tmp_path, instance(public_key=None), {})
    assert (tmp_path / "seed/user-data").read_bytes().startswith(b"#cloud-config")
    assert json.loads((tmp_path / "seed/meta-data").read_text(encoding="utf-8"))["public-keys"] == []


def test_hosts_are_rewritten_in_place(instance: Callable[..., Instance], tmp_path: Path) -> None:
    first_boot.write_hosts(tmp_path, instance(), {})
    # As a bind mount does, an open file goes with the inode, not with the name.
    with (tmp_path / "hosts").open(encoding="utf-8") as seen_inside:
        first_boot.write_hosts(tmp_path, instance(), {"db.example": "10.0.2.2"})
        assert "10.0.2.2 db.example\n" in seen_inside.read()


def test_nothing_of_the_lab_is_copied_into_an_instance(tmp_path: Path) -> None:
    targets = {mount.target: mount.options for mount in first_boot.mounts(tmp_path, tmp_path)}
    assert targets[first_boot.SEED_FOLDER] == "ro"
    assert targets["/run/lab/efs"] == "rslave"
    assert {"/etc/environment", "/etc/hosts"} <= set(targets)
    # What production's roles have to bring, the rehearsal must not.
    assert not [target for target in targets if target.startswith(("/etc/pki", "/etc/checkop"))]


def test_shell_gets_the_lab_and_loses_every_way_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.amazonaws.com")
    lines = exports.shell_lines(exports.variables(RUN, {"checkop.co": "127.100.2.1"}))
    hostile = {
        "PATH": os.environ["PATH"],
        "AWS_PROFILE": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com",
        "AWS_CONFIG_FILE": "/home/me/.aws/config",
    }
    script = f"set -eu\n{lines}\nenv"
    output = subprocess.run(["bash", "-c", script], env=hostile, capture_output=True, text=True, check=True).stdout
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4711"
    assert found["LAB_HOST_ENDPOINT_URL"] == "http://10.0.2.2:4711"
    assert json.loads(found["LAB_RESOLVE"]) == {"checkop.co": "127.100.2.1"}
    assert found["AWS_CONFIG_FILE"] == "/dev/null"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"} & set(found)
    assert found["PATH"].endswith(os.environ["PATH"])
    assert all(shlex.split(line) for line in lines.splitlines())


def test_rehearsal_keys_cannot_be_keys_of_aws() -> None:
    # AWS: 16 to 128 characters of [A-Z0-9_], IAM's accessKeyIdType; ours has others.
    assert not exports.ACCESS_KEY_ID.replace("_", "").isupper()
    assert "-" in exports.ACCESS_KEY_ID


def test_balancer_resolves_before_it_exists() -> None:
    name = exports.expected_dns_name()
    assert name.startswith("Progresus-ELB-")
    assert name.endswith(".us-east-1.elb.amazonaws.com")
    nodes = {"us-east-1a": "127.100.2.1", "us-east-1d": "127.100.2.4"}
    resolved = exports.resolve({name: nodes, "other.example": {"us-east-1a": "127.100.21.1"}})
    assert resolved["other.example"] == "127.100.21.1"
    assert resolved["checkop.co"] == resolved[name] == "127.100.2.1"
    assert resolved[f"us-east-1d.{name}"] == "127.100.2.4"


def test_certificate_verifies_by_the_authority_and_the_name(tmp_path: Path) -> None:
    authority = certificates.Authority(tmp_path)
    files = authority.issue("balancer", ["checkop.co", "*.elb.amazonaws.com", "127.100.2.1"])
    assert files.key.stat().st_mode & 0o077 == 0
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=authority.file)
    server.load_cert_chain(files.certificate, files.key)
    for name, good in (("checkop.co", True), ("a.elb.amazonaws.com", True), ("other.co", False)):
        assert handshake(server, client, name) is good


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname=name), server.wrap_bio(to_server, to_client, True)]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return ends[0].version() is not None


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["fault"], ["fault", "kill-instance"], ["status", "--yaml"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: lab" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["env"], ["fault", "clear"], ["logs"]])
def test_without_a_lab_every_command_says_so(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path / "lab"))
    assert cli.main(command) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
