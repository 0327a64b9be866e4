"""What is to be baked: the command line and the inventory, checked before AWS is asked anything."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([.-][0-9A-Za-z.-]+)?")
DIGEST = re.compile(r"[0-9a-f]{64}")
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Request:
    """One bake.

    `origin` is ``source`` (a CentOS 7 AMI and the host roles) or ``instance`` (a copy of the running hub). `archive` is
    an absolute path, ``s3://bucket/key`` or an https address; it and `sha256` are empty for ``instance``.
    """

    inventory: Path
    version: str
    archive: str = ""
    sha256: str = ""
    origin: Literal["source", "instance"] = "source"
    source_ami_id: str = ""
    force: bool = False

    @property
    def environment(self) -> str:
        """Name of the environment: the inventory's folder."""
        return self.inventory.name


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def make(
    inventory: Path,
    values: Mapping[str, Any],
    *,
    version: str = "",
    archive: str = "",
    sha256: str = "",
    origin: Literal["source", "instance"] = "source",
    source_ami_id: str = "",
    force: bool = False,
) -> Request:
    """Put a request together; what the command line leaves empty comes from the inventory's application.yml.

    Raises
    ------
    CheckopError
        The version is none, or the archive or its checksum is missing or wrong; names the option and the variable.
    """
    version = version or str(values["application_version"])
    if not VERSION.fullmatch(version):
        raise CheckopError(
            f"--version (application_version) is {version!r}; a version is three numbers and, if need be, a suffix, "
            "for example 1.4.0 or 1.4.0-rc1."
        )
    if origin == "instance":
        if archive or sha256:
            raise CheckopError(
                "--archive and --sha256 do not go with --from instance: the image gets what the hub runs. Leave them "
                "out, and say with --version which version that is."
            )
        return Request(inventory, version, origin=origin, force=force)
    archive = archive or str(values["application_archive"])
    sha256 = sha256 or str(values["application_archive_sha256"])
    if not archive:
        raise CheckopError(
            "No application archive: give --archive (application_archive), a path, s3://bucket/key or https address."
        )
    if not DIGEST.fullmatch(sha256):
        raise CheckopError(
            f"--sha256 (application_archive_sha256) is {sha256!r}; it is the archive's SHA-256 in 64 lower-case "
            f"hexadecimal digits, as `sha256sum {archive}` prints it."
        )
    if "://" not in archive:
        archive = str(_local(Path(archive), sha256))
    elif not archive.startswith(("s3://", "https://")):
        raise CheckopError(f"--archive is {archive!r}; it is a path, s3://bucket/key or an https address.")
    return Request(inventory, version, archive, sha256, origin, source_ami_id, force)


def _local(path: Path, sha256: str) -> Path:
    if not path.is_file():
        raise CheckopError(f"--archive: there is no file {path}. Build the release, or name the right one.")
    actual = checksum(path)
    if actual != sha256:
        raise CheckopError(
            f"--archive: {path} has the SHA-256 {actual}, but {sha256} was asked for. Nothing was baked: find out "
            "which of the two is the release."
        )
    return path.resolve()
