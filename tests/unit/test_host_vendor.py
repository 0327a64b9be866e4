from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from checkop import host_vendor
from checkop.errors import CheckopError

REQUIREMENTS = Path(__file__).resolve().parents[2] / "roles/host_tools/files/requirements.txt"


def wheel(folder: Path, name: str, *members: str) -> Path:
    path = folder / f"{name}.whl"
    with zipfile.ZipFile(path, "w") as contents:
        for member in members:
            contents.writestr(member, member)
    return path


def test_only_the_newest_description_of_the_services_that_hosts_call_is_packed(tmp_path):
    sdk = wheel(
        tmp_path,
        "botocore",
        "botocore/session.py",
        "botocore/data/endpoints.json",
        "botocore/data/ec2/2015-10-01/service-2.json",
        "botocore/data/ec2/2016-11-15/service-2.json",
        "botocore/data/sagemaker/2017-07-24/service-2.json",
    )
    packed = host_vendor.pack([sdk, wheel(tmp_path, "six", "six.py")], "vendor-x")
    with tarfile.open(fileobj=io.BytesIO(packed)) as bundle:
        assert bundle.getnames() == [
            "vendor-x/botocore/data/ec2/2016-11-15/service-2.json",
            "vendor-x/botocore/data/endpoints.json",
            "vendor-x/botocore/session.py",
            "vendor-x/six.py",
        ]
    assert host_vendor.pack([sdk, tmp_path / "six.whl"], "vendor-x") == packed, "the same wheels give the same bytes"


def test_an_archive_is_made_once(tmp_path, monkeypatch):
    fetched = []

    def download(requirements, wheels):
        fetched.append(requirements)
        wheel(wheels, "six", "six.py")

    monkeypatch.setattr(host_vendor, "_download", download)
    first = host_vendor.ensure(REQUIREMENTS, tmp_path)
    assert host_vendor.ensure(REQUIREMENTS, tmp_path) == first
    assert len(fetched) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"vendor-{host_vendor.digest(REQUIREMENTS)}.tar.gz"]


def test_another_pin_gives_another_name(tmp_path):
    other = tmp_path / "requirements.txt"
    other.write_text(REQUIREMENTS.read_text() + "\n")
    assert host_vendor.digest(other) != host_vendor.digest(REQUIREMENTS)


def test_wheels_are_fetched_for_python_27_and_by_hash(tmp_path, monkeypatch):
    def refuse(command, **_options):
        for word in ("--require-hashes", "--only-binary=:all:", "--python-version=2.7", "--no-deps"):
            assert word in command
        return subprocess.CompletedProcess(command, 1, "", "THESE PACKAGES DO NOT MATCH THE HASHES")

    monkeypatch.setattr(host_vendor.subprocess, "run", refuse)
    with pytest.raises(CheckopError, match="DO NOT MATCH THE HASHES"):
        host_vendor.ensure(REQUIREMENTS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_pin_has_a_hash():
    pins = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert len(pins) >= 8
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
