"""Package the sample application as a versioned archive, the way CheckOP's own arrives.

The same inputs give the same bytes, so that an archive's checksum names its contents.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import pymysql

FAULTS = {
    "never-ready": {"unready_after_seconds": 0},
    "turns-unready": {"unready_after_seconds": 20},
    "hangs": {"hang_after_seconds": 20},
}


def build(version: str, output: Path, fault: str = "") -> tuple[Path, str]:
    """Write ``checkop-<version>.tar.gz`` and its ``.sha256``.

    Parameters
    ----------
    version:
        Version of the release, also its folder's name on hosts.
    output:
        Folder to write to; made if missing.
    fault:
        Empty for a sound release, or one of `FAULTS` for one that is broken on purpose.

    Returns
    -------
    tuple[Path, str]
        The archive and the SHA-256 of its bytes, hexadecimal.
    """
    here = Path(__file__).parent
    members: dict[str, bytes] = {"VERSION": f"{version}\n".encode()}
    if fault:
        members["fault.json"] = json.dumps(FAULTS[fault]).encode()
    for package in (here / "checkop_app", Path(pymysql.__file__).parent):
        for path in sorted(package.rglob("*.py")):
            members[str(path.relative_to(package.parent))] = path.read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    data = gzip.compress(packed.getvalue(), mtime=0)
    digest = hashlib.sha256(data).hexdigest()
    output.mkdir(parents=True, exist_ok=True)
    archive = output / f"checkop-{version}.tar.gz"
    archive.write_bytes(data)
    archive.with_name(archive.name + ".sha256").write_text(f"{digest}  {archive.name}\n", encoding="ascii")
    return archive, digest


def main(argv: list[str] | None = None) -> int:
    """Build one archive and print its path and checksum."""
    parser = argparse.ArgumentParser(description="Package the sample application.")
    parser.add_argument("--version", required=True)
    parser.add_argument("--output", type=Path, default=Path("build/application"))
    parser.add_argument("--fault", choices=sorted(FAULTS), default="")
    args = parser.parse_args(argv)
    archive, digest = build(args.version, args.output, args.fault)
    sys.stdout.write(f"{archive} {digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
