"""The bake key changes with every input of an image, and with nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from checkop.bake import key
from checkop.bake.request import Request
from checkop.errors import CheckopError

VALUES: dict[str, Any] = {
    "host_time_zone": "America/Bogota",
    "network_cidr": "10.20.0.0/16",
    "rollout_window": 3,
    "application_archive": "/a/checkop.tar.gz",
    "application_version": "",
    "host_administrators": [{"name": "ana", "keys": ["ssh-ed25519 A"]}],
    "fleet_root_volume_gb": 50,
}
HOST = """
- hosts: builder
  roles:
    - role: baseline
      vars:
        baseline_time_zone: "{{ host_time_zone }}"
        baseline_archive: "{{ application_archive }}"
        baseline_version: "{{ application_version }}"
"""
SEAL = "- hosts: builder\n  vars: {x: \"{{ host_administrators | map(attribute='name') }}\"}\n"
REQUEST = Request(Path("inventory/production"), "1.0.0", "/a/checkop.tar.gz", "0" * 64)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        "playbooks/host.yml": HOST,
        "playbooks/bake.yml": "- import_playbook: host.yml\n",
        "playbooks/seal.yml": SEAL,
        "roles/baseline/tasks/main.yml": "- debug:\n",
        "roles/baseline/files/run.sh": "true\n",
        "roles/image_seal/vars/main.yml": "a: 1\n",
        "roles/aws_network/tasks/main.yml": "- debug:\n",
        "packer/build.pkr.hcl": "build {}\n",
        "tests/image/test_services.py": "pass\n",
        "plugins/modules/checkop_tree.py": "import os\n",
        "plugins/modules/checkop_network.py": "from checkop.provision import network\n",
        "docs/bake.md": "text\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


def digest(repository: Path, values: dict[str, Any] = VALUES, request: Request = REQUEST, ami: str = "ami-1") -> str:
    return key.compute(repository, values, request, ami).digest


@pytest.mark.parametrize(
    "name",
    [
        "playbooks/host.yml",
        "playbooks/seal.yml",
        "roles/baseline/tasks/main.yml",
        "roles/image_seal/vars/main.yml",
        "packer/build.pkr.hcl",
        "tests/image/test_services.py",
        "plugins/modules/checkop_tree.py",
    ],
)
def test_a_changed_input_changes_the_key(repository: Path, name: str) -> None:
    before = digest(repository)
    with (repository / name).open("a", encoding="utf-8") as changed:
        changed.write("# changed\n")
    assert digest(repository) != before


@pytest.mark.parametrize(
    "name", ["docs/bake.md", "roles/aws_network/tasks/main.yml", "plugins/modules/checkop_network.py"]
)
def test_what_is_no_input_changes_nothing(repository: Path, name: str) -> None:
    before = digest(repository)
    with (repository / name).open("a", encoding="utf-8") as changed:
        changed.write("# changed\n")
    assert digest(repository) == before


def test_a_file_that_becomes_executable_is_a_change(repository: Path) -> None:
    before = digest(repository)
    (repository / "roles/baseline/files/run.sh").chmod(0o755)
    assert digest(repository) != before


def test_a_new_file_of_a_role_is_a_change_and_compiled_python_is_none(repository: Path) -> None:
    before = digest(repository)
    cache = repository / "roles/baseline/files/__pycache__"
    cache.mkdir()
    (cache / "a.pyc").write_bytes(b"x")
    assert digest(repository) == before
    (repository / "roles/baseline/files/new").write_text("", encoding="utf-8")
    assert digest(repository) != before


@pytest.mark.parametrize("name", ["host_time_zone", "host_administrators", "fleet_root_volume_gb"])
def test_inventory_variables_that_reach_a_host_count(repository: Path, name: str) -> None:
    assert digest(repository, {**VALUES, name: "other"}) != digest(repository)


@pytest.mark.parametrize("name", ["rollout_window", "network_cidr", "application_archive"])
def test_other_variables_and_the_place_of_the_archive_do_not(repository: Path, name: str) -> None:
    assert digest(repository, {**VALUES, name: "other"}) == digest(repository)


def test_version_checksum_and_source_ami_count(repository: Path) -> None:
    keys = {
        digest(repository),
        digest(repository, ami="ami-2"),
        digest(repository, request=Request(REQUEST.inventory, "1.0.1", REQUEST.archive, REQUEST.sha256)),
        digest(repository, request=Request(REQUEST.inventory, "1.0.0", REQUEST.archive, "1" * 64)),
    }
    assert len(keys) == 4


def test_a_difference_can_be_named(repository: Path) -> None:
    before = key.compute(repository, VALUES, REQUEST, "ami-1").parts
    (repository / "roles/baseline/tasks/main.yml").write_text("- fail:\n", encoding="utf-8")
    after = key.compute(repository, VALUES, REQUEST, "ami-1").parts
    assert [name for name in before if before[name] != after[name]] == ["role baseline"]


def test_a_role_that_does_not_exist_is_named(repository: Path) -> None:
    (repository / "playbooks/host.yml").write_text(HOST.replace("baseline\n", "basement\n"), encoding="utf-8")
    with pytest.raises(CheckopError, match="basement"):
        digest(repository)


def test_this_repository_has_a_key() -> None:
    root = Path(__file__).resolve().parents[2]
    found = key.compute(root, VALUES, REQUEST, "ami-1")
    assert {"role baseline", "role checkop_app", "role image_seal", "packer", "inventory"} <= set(found.parts)
    assert not any(name.startswith("role aws_") for name in found.parts)


def test_the_git_revision_says_when_the_tree_has_changes(tmp_path: Path) -> None:
    assert key.git_revision(tmp_path / "nowhere") == "unknown"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    clean = key.git_revision(tmp_path)
    assert len(clean) == 40
    (tmp_path / "new").write_text("", encoding="utf-8")
    assert key.git_revision(tmp_path) == f"{clean}-dirty"
