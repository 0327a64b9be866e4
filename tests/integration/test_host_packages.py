"""The rehearsal's packages are real RPMs, signed by a key that is nowhere else, with production's names and paths."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.host_image import repository


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the packages that even real CentOS 7 lacks: they need nothing of Debian's."""
    return repository.build(None, tmp_path_factory.mktemp("repository"), lambda _line: None)


def query(package: Path, *options: str) -> list[str]:
    return subprocess.run(
        ["rpm", "-qp", *options, str(package)], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def package(built: Path, name: str) -> Path:
    (found,) = built.rglob(f"{name}-*.rpm")
    return found


def test_packages_are_signed_by_the_key_that_lies_beside_them(built: Path, tmp_path: Path) -> None:
    database = f"--dbpath={tmp_path}"
    rpmkeys = ["rpmkeys", database]
    subprocess.run([*rpmkeys, "--import", str(built / repository.KEY_FILE)], check=True)
    found = sorted(built.rglob("*.rpm"))
    assert len(found) == 2
    for path in found:
        checked = subprocess.run([*rpmkeys, "--checksig", str(path)], capture_output=True, text=True, check=False)
        assert checked.stdout.endswith("digests signatures OK\n"), checked.stdout
    damaged = tmp_path / "damaged.rpm"
    damaged.write_bytes(found[0].read_bytes()[:-1] + b"x")
    assert subprocess.run([*rpmkeys, "--checksig", str(damaged)], capture_output=True, check=False).returncode != 0


def test_no_private_key_is_left(built: Path) -> None:
    left = [path for path in built.parent.rglob("*") if "private" in path.name or path.name.startswith("gnupg")]
    assert left == []


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (
            "amazon-efs-utils",
            ["/usr/sbin/mount.efs", "/etc/amazon/efs/efs-utils.conf", "/usr/bin/amazon-efs-mount-watchdog"],
        ),
        (
            "amazon-cloudwatch-agent",
            [
                "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl",
                "/opt/aws/amazon-cloudwatch-agent/etc/common-config.toml",
                "/etc/systemd/system/amazon-cloudwatch-agent.service",
            ],
        ),
    ],
)
def test_stand_ins_have_the_vendors_paths(built: Path, name: str, paths: list[str]) -> None:
    listed = query(package(built, name), "--list")
    assert set(paths) <= set(listed)
    assert not any("__pycache__" in path for path in listed)


def test_configuration_is_kept_on_update_and_programs_belong_to_root(built: Path) -> None:
    path = package(built, "amazon-efs-utils")
    assert "/etc/amazon/efs/efs-utils.conf" in query(path, "--configfiles")
    dump = {line.split()[0]: line.split() for line in query(path, "--dump")}
    assert dump["/usr/sbin/mount.efs"][4:7] == ["0100755", "root", "root"]


def test_the_index_names_every_package(built: Path) -> None:
    assert (built / "repodata" / "repomd.xml").is_file()
    assert (
        'packages="2"'
        in subprocess.run(
            ["sh", "-c", f"zcat {built}/repodata/*primary.xml.gz | head -3"], capture_output=True, text=True, check=True
        ).stdout
    )
