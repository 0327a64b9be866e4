"""The AWS SDK of the hosts: wheels for Python 2.7, fetched once by hash, packed for one unpacking on a host."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from checkop.errors import CheckopError

# What checkop-host calls; the SDK's descriptions of the other 280 services are nine tenths of its size.
SERVICES = ("autoscaling", "ec2", "secretsmanager", "ssm", "sts")
# Part of an archive's name, so that a change of how it is packed unpacks it anew.
_FORMAT = "1"
_SERVICE_DATA = re.compile(r"^botocore/data/(?P<service>[a-z0-9-]+)/(?P<version>\d{4}-\d{2}-\d{2})/")


def digest(requirements: Path) -> str:
    """Return what the archive of a requirements file is named after, 12 hexadecimal digits."""
    return hashlib.sha256(f"{_FORMAT}\0{SERVICES}\0".encode() + requirements.read_bytes()).hexdigest()[:12]


def ensure(requirements: Path, folder: Path) -> Path:
    """Return the archive of a requirements file, made unless it is there.

    Args:
        requirements: pins with hashes, as `pip download --require-hashes` reads them.
        folder: where wheels and archives are kept, below `build/`.

    Returns:
        A tar.gz that unpacks to one folder `vendor-<digest>`; the same pins give the same bytes.

    Raises:
        CheckopError: a wheel cannot be had, or its hash differs.
    """
    name = f"vendor-{digest(requirements)}"
    archive = folder / f"{name}.tar.gz"
    if archive.exists():
        return archive
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheels-") as wheels:
        _download(requirements, Path(wheels))
        packed = pack(sorted(Path(wheels).glob("*.whl")), name)
    # Side by side runs write the same bytes; a rename shows the archive only when it is whole.
    draft = archive.with_name(f".{name}-{os.getpid()}")
    draft.write_bytes(packed)
    draft.rename(archive)
    return archive


def pack(wheels: list[Path], name: str) -> bytes:
    """Return wheels as one tar.gz with everything below a folder; members sorted, times zero.

    Args:
        wheels: wheel files; none may have a file of another.
        name: the folder.
    """
    members: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as contents:
            names = [entry.filename for entry in contents.infolist() if not entry.is_dir()]
            for member in _wanted(names):
                members[member] = contents.read(member)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in sorted(members.items()):
            info = tarfile.TarInfo(f"{name}/{member}")
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), mtime=0)


def _wanted(names: list[str]) -> list[str]:
    """Leave out the descriptions of services that no host calls, and all but the newest of those it does."""
    newest: dict[str, str] = {}
    for name in names:
        if found := _SERVICE_DATA.match(name):
            newest[found["service"]] = max(found["version"], newest.get(found["service"], ""))
    return [
        name
        for name in names
        if not (found := _SERVICE_DATA.match(name))
        or (found["service"] in SERVICES and found["version"] == newest[found["service"]])
    ]


def _download(requirements: Path, wheels: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--only-binary=:all:", "--python-version=2.7", "--implementation=py", "--abi=none", "--platform=any"]
    command += ["--no-deps", f"--dest={wheels}", f"--requirement={requirements}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckopError(f"cannot fetch the hosts' AWS SDK of {requirements}: {done.stderr.strip()}")
