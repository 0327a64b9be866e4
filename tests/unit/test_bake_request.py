"""What `checkop bake` refuses before it asks AWS anything."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from checkop.bake import request
from checkop.errors import CheckopError

INVENTORY = Path("inventory/production")
VALUES: dict[str, Any] = {"application_version": "", "application_archive": "", "application_archive_sha256": ""}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "checkop-1.0.0.tar.gz"
    path.write_bytes(b"release")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_good_request_has_the_archive_by_its_absolute_path(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive.parent)
    made = request.make(INVENTORY, VALUES, version="1.0.0", archive=archive.name, sha256=sha256(archive))
    assert made.archive == str(archive)
    assert made.environment == "production"


def test_what_the_command_line_leaves_out_comes_from_the_inventory(archive: Path) -> None:
    values = {
        "application_version": "1.2.3",
        "application_archive": str(archive),
        "application_archive_sha256": sha256(archive),
    }
    assert request.make(INVENTORY, values).version == "1.2.3"


@pytest.mark.parametrize("version", ["", "1", "1.0", "v1.0.0", "1.0.0 ", "1.0.0/x", "latest"])
def test_a_version_that_is_none(version: str) -> None:
    with pytest.raises(CheckopError, match="--version"):
        request.make(INVENTORY, VALUES, version=version)


def test_a_wrong_checksum_names_both(archive: Path) -> None:
    with pytest.raises(CheckopError, match=f"{sha256(archive)}.*{'0' * 64}"):
        request.make(INVENTORY, VALUES, version="1.0.0", archive=str(archive), sha256="0" * 64)


@pytest.mark.parametrize("digest", ["", "abc", "G" * 64])
def test_a_checksum_that_is_none(archive: Path, digest: str) -> None:
    with pytest.raises(CheckopError, match="--sha256"):
        request.make(INVENTORY, VALUES, version="1.0.0", archive=str(archive), sha256=digest)


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckopError, match="no file"):
        request.make(INVENTORY, VALUES, version="1.0.0", archive=str(tmp_path / "none"), sha256="0" * 64)


def test_no_archive_at_all() -> None:
    with pytest.raises(CheckopError, match="--archive"):
        request.make(INVENTORY, VALUES, version="1.0.0")


@pytest.mark.parametrize("archive", ["http://example.com/a.tar.gz", "ftp://example.com/a"])
def test_an_archive_from_a_place_that_cannot_be_trusted(archive: str) -> None:
    with pytest.raises(CheckopError, match="https"):
        request.make(INVENTORY, VALUES, version="1.0.0", archive=archive, sha256="0" * 64)


def test_a_bake_from_the_hub_takes_no_archive() -> None:
    assert request.make(INVENTORY, VALUES, version="1.0.0", origin="instance").archive == ""
    with pytest.raises(CheckopError, match="--from instance"):
        request.make(INVENTORY, VALUES, version="1.0.0", origin="instance", archive="/a")
