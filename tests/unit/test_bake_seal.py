"""The seal: whatever its one list names is found when it is planted, and gone when the machine is clean."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "image_seal"
VARIABLES = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
# The one expression in the list: an administrator `ana` whose keys baseline put there.
ITEMS: list[dict[str, Any]] = [
    {**item, "except": ["/home/ana/.ssh/authorized_keys"]} if "except" in item else item
    for item in VARIABLES["image_seal__items"]
]
PLANTS = [(item["name"], pattern) for item in ITEMS for pattern in item["paths"]]
SECRETS = {
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n",
    "AWS access key id": "key = AKIAABCDEFGHIJKLMNOP\n",
    "AWS secret access key": "AWS_SECRET_ACCESS_KEY=" + "a1B2" * 10 + "\n",
    "password of the database": "# settings\nCHECKOP_DATABASE_PASSWORD=hunter2\n",
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROLE / "library" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


image_seal = load("image_seal")


def seal(root: Path, items: list[dict[str, Any]] = ITEMS, mounts: tuple[str, ...] = ()) -> Any:
    return image_seal.Seal(
        str(root),
        items,
        VARIABLES["image_seal__secret_folders"],
        VARIABLES["image_seal__secret_patterns"],
        {str(root) + mount for mount in mounts},
    )


def plant(root: Path, path: str, content: str = "planted\n") -> Path:
    planted = root / path.lstrip("/")
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(content, encoding="utf-8")
    return planted


def concrete(name: str, pattern: str) -> str:
    """Turn a pattern of the list into a path that it reaches."""
    rule = next(item["rule"] for item in ITEMS if item["name"] == name)
    path = pattern.replace("[0-9]", "1").replace("*", "x")
    return f"{path}/inside" if rule == "bare" else path


@pytest.mark.parametrize(("name", "pattern"), PLANTS)
def test_what_is_planted_is_found_and_then_removed(tmp_path: Path, name: str, pattern: str) -> None:
    path = concrete(name, pattern)
    planted = plant(tmp_path, path)
    machine = seal(tmp_path)
    assert any(path in finding for finding in machine.prove())
    machine.clean()
    assert machine.prove() == []
    assert not planted.exists() or planted.stat().st_size == 0


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("folder", VARIABLES["image_seal__secret_folders"])
def test_a_secret_in_an_unlisted_place_is_found_and_left_for_a_person(tmp_path: Path, name: str, folder: str) -> None:
    planted = plant(tmp_path, f"{folder}/deep/er/notes", SECRETS[name])
    machine = seal(tmp_path)
    machine.clean()
    assert planted.exists()
    (finding,) = machine.prove()
    assert f"{folder}/deep/er/notes" in finding
    assert name in finding


def test_every_pattern_has_a_planted_secret() -> None:
    assert {entry["name"] for entry in VARIABLES["image_seal__secret_patterns"]} == set(SECRETS)


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    plant(tmp_path, "/etc/pki/ca.pem", "-----BEGIN CERTIFICATE-----\n")
    plant(tmp_path, "/etc/checkop/example", "CHECKOP_DATABASE_PASSWORD=\n")
    assert seal(tmp_path).prove() == []


def test_administrators_keep_their_keys_and_nobody_else(tmp_path: Path) -> None:
    kept = plant(tmp_path, "/home/ana/.ssh/authorized_keys")
    gone = plant(tmp_path, "/home/centos/.ssh/authorized_keys")
    machine = seal(tmp_path)
    machine.clean()
    assert kept.exists()
    assert not gone.exists()
    assert machine.prove() == []


def test_the_machine_id_stays_as_an_empty_file(tmp_path: Path) -> None:
    machine_id = plant(tmp_path, "/etc/machine-id", "0123\n")
    machine_id.chmod(0o444)
    seal(tmp_path).clean()
    assert machine_id.read_bytes() == b""
    assert machine_id.stat().st_mode & 0o777 == 0o444


def test_links_are_removed_but_never_followed(tmp_path: Path) -> None:
    precious = plant(tmp_path, "/precious/data")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "tmp").symlink_to(tmp_path / "precious")
    seal(tmp_path).clean()
    assert precious.exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_nothing_on_another_file_system_is_touched(tmp_path: Path) -> None:
    shared = plant(tmp_path, "/var/crash/mounted/upload.xls")
    seed = plant(tmp_path, "/var/lib/cloud/instance/seed/user-data")
    own = plant(tmp_path, "/var/lib/cloud/instance/sem/done")
    machine = seal(tmp_path, mounts=("/var/crash/mounted", "/var/lib/cloud/instance/seed"))
    machine.clean()
    assert shared.exists()
    assert seed.exists()
    assert not own.exists()


def test_mount_points_are_read_from_the_kernel(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "overlay / overlay rw 0 0\ntmpfs /run tmpfs rw 0 0\nfs:/ /mnt/chop\\040temp nfs4 rw 0 0\n", encoding="ascii"
    )
    assert image_seal.mount_points("/", str(table)) == {"/run", "/mnt/chop temp"}


def test_only_running_writers_are_stopped_and_auditd_by_its_own_action() -> None:
    calls = []

    def call(command: list[str]) -> bytes:
        calls.append(command)
        if command[1] == "show":
            return b"TriggeredBy=syslog.socket\n"
        return b"rsyslog.service loaded active running Logging\nauditd.service loaded active running Audit\n"

    assert image_seal.stop(["nginx", "rsyslog"], call) == ["rsyslog.service", "auditd.service"]
    assert calls[2:] == [
        ["systemctl", "stop", "syslog.socket", "rsyslog.service"],
        ["/usr/sbin/service", "auditd", "stop"],
    ]


def test_a_writer_that_does_not_stop_ends_the_seal() -> None:
    def call(command: list[str]) -> bytes:
        if command[1] == "stop":
            raise subprocess.CalledProcessError(1, command)
        return b"rsyslog.service loaded active running Logging\n"

    with pytest.raises(subprocess.CalledProcessError):
        image_seal.stop(["rsyslog"], call)


def test_the_manifest_leaves_out_what_the_seal_removes(tmp_path: Path) -> None:
    manifest = load("image_manifest")
    kept = plant(tmp_path, "/etc/nginx/nginx.conf")
    kept.chmod(0o640)
    plant(tmp_path, "/etc/ssh/ssh_host_rsa_key")
    (tmp_path / "etc" / "localtime").symlink_to("/usr/share/zoneinfo/UTC")
    found = manifest.files([str(tmp_path / "etc")], [f"{tmp_path}/etc/ssh/ssh_host_*"])
    assert set(found) == {str(kept), str(tmp_path / "etc" / "localtime")}
    assert found[str(kept)].split()[1] == "0640"
    assert found[str(tmp_path / "etc" / "localtime")].endswith("link /usr/share/zoneinfo/UTC")


def test_the_manifest_reads_rpm_and_systemctl() -> None:
    manifest = load("image_manifest")
    listing = "nginx.x86_64\t1:1.20.1-10.el7\nkernel.x86_64\t3.10-2\nkernel.x86_64\t3.10-1\n"
    assert manifest.packages(listing) == {"nginx.x86_64": "1:1.20.1-10.el7", "kernel.x86_64": "3.10-1,3.10-2"}
    assert manifest.units("nginx.service enabled\nchrony.service enabled\n\n") == ["chrony.service", "nginx.service"]
