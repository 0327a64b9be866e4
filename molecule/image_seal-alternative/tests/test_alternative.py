import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def manifest():
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "manifest.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_administrator_keeps_what_the_inventory_gave(host):
    assert host.file("/home/ana/.ssh/authorized_keys").exists
    assert not host.file("/home/centos/.ssh/authorized_keys").exists


def test_the_manifest_tells_packages_files_and_units(host, manifest):
    names = host.check_output("rpm -qa --queryformat '%{NAME}.%{ARCH}\\n'").split()
    assert set(manifest["packages"]) == set(names)
    owner, mode, digest = manifest["files"]["/etc/passwd"].split()
    assert owner == "0:0"
    assert mode == "0644"
    assert len(digest) == 64
    assert any(unit.endswith(".service") for unit in manifest["units"])


def test_the_manifest_leaves_out_what_the_seal_removes(manifest):
    assert not [path for path in manifest["files"] if path.startswith("/etc/ssh/ssh_host_")]
    assert "/etc/machine-id" not in manifest["files"]
