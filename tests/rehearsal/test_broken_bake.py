"""A bake of what is broken on purpose, against real instances: refused, and nothing is left of it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from checkop.bake.request import checksum
from lab.sample_app import build as sample
from tests import bake_made
from tests.rehearsal.service import Service

pytestmark = pytest.mark.rehearsal


def refused(service: Service, archive: Path, digest: str, **environment: str) -> str:
    """Bake, see that it fails and that nothing is left, and return what was said."""
    before = bake_made.things(service.client("ec2"))
    words = ["checkop", "bake", "--version", "9.9.9", "--archive", str(archive), "--sha256", digest]
    environment = {**service.environment, **environment}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 1, done.stdout
    assert "packer build failed" in done.stderr
    assert bake_made.things(service.client("ec2")) == before
    return done.stderr


def test_a_release_that_does_not_start_leaves_no_image_and_nothing_else(service: Service, tmp_path: Path) -> None:
    archive = tmp_path / "checkop-9.9.9.tar.gz"
    with tarfile.open(archive, "w:gz") as bundle:
        program = b"raise SystemExit('broken on purpose')\n"
        member = tarfile.TarInfo("checkop_app/__main__.py")
        member.size = len(program)
        bundle.addfile(member, io.BytesIO(program))
    refused(service, archive, checksum(archive))


def test_a_role_that_does_nothing_is_found_by_the_tests_of_the_image(service: Service, tmp_path: Path) -> None:
    # Ansible is content with it, so that only the tests on the builder can tell.
    (tmp_path / "roles" / "instance_lifecycle").mkdir(parents=True)
    archive, digest = sample.build("9.9.9", tmp_path)
    said = refused(service, archive, digest, ANSIBLE_ROLES_PATH=f"{tmp_path}/roles:roles")
    assert "test_every_service_of_the_gate_starts_at_boot[ssh://builder-checkop-lifecycle]" in said
