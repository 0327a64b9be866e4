"""What a machine must have before the rehearsal cloud can start.

Standard library only: `python3 -m lab.preflight --missing` has to run before the virtual environment exists.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from pathlib import Path

# Command: the Debian package that brings it. The core of MariaDB is enough, and starts no server of the machine's own.
REQUIRED = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "slirp4netns": "slirp4netns",
    "haproxy": "haproxy",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
    "bindfs": "bindfs",
    "fusermount3": "fuse3",
    "mount": "mount",
    "ssh-keygen": "openssh-client",
    # The image of a host and its package repository.
    "mmdebstrap": "mmdebstrap",
    "rpmbuild": "rpm",
    "rpmsign": "rpm",
    "createrepo_c": "createrepo-c",
    "gpg": "gpg",
}

# What an operator's machine needs besides, whether it rehearses or not.
OPERATOR = {"packer": "packer", "ssh": "openssh-client", "git": "git"}

# Below this much free space a bake or two would fill the disk: a host image is about 0.5 GB.
FREE_BYTES_NEEDED = 3 * 1024**3

_DEVICES = (("/dev/fuse", "ChOp-Temp", "fuse"), ("/dev/net/tun", "the instances' network", "tun"))

# Debian keeps these in folders that a user's PATH may lack.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def which(command: str) -> str | None:
    """Return the full path of a program, looking into the system folders too; None when it is not installed."""
    return shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}")


def missing_packages(wanted: dict[str, str] = REQUIRED) -> list[str]:
    """Return the Debian packages that this machine still needs, sorted, each once.

    Args:
        wanted: command: the package that brings it.
    """
    return sorted({package for command, package in wanted.items() if which(command) is None})


def problems(state_root: Path, *, ours: tuple[str, ...] = ()) -> list[str]:
    """Return what keeps a lab from starting here, one full sentence each with its mend.

    Args:
        state_root: folder that will hold the lab's state; it need not exist yet.
        ours: endpoints that AWS_ENDPOINT_URL may name because they are this very lab's.
    """
    found = []
    if os.geteuid() != 0:
        found.append(
            "The lab needs root for systemd containers and mounts, and this is user id"
            f" {os.geteuid()}: run the same command with sudo."
        )
    if missing := missing_packages():
        packages = " ".join(missing)
        found.append(
            f"These Debian packages are missing: {packages}: run `make setup`, or `apt-get install {packages}`."
        )
    for device, use, module in _DEVICES:
        if not Path(device).exists():
            found.append(f"{device} is missing, and {use} needs it: run `modprobe {module}`.")
    found.extend(_space_problems(state_root))
    found.extend(_endpoint_problems(ours))
    return found


def _space_problems(state_root: Path) -> list[str]:
    folder = state_root.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free >= FREE_BYTES_NEEDED:
        return []
    return [
        f"Only {free / 1024**3:.1f} GB are free below {folder}, and images need"
        f" {FREE_BYTES_NEEDED // 1024**3} GB: free some space, or set LAB_STATE_DIR to a larger disk."
    ]


def _endpoint_problems(ours: tuple[str, ...]) -> list[str]:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint or endpoint.rstrip("/") in {url.rstrip("/") for url in ours}:
        return []
    return [
        f"AWS_ENDPOINT_URL is {endpoint}, which is not this lab: run `unset AWS_ENDPOINT_URL`, so that no command"
        " of the rehearsal meets another cloud."
    ]


def main(argv: list[str] | None = None) -> int:
    """Print the missing packages (`--missing`, one a line) or every problem; exit 0 when nothing is wrong, else 1."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.preflight", description=main.__doc__)
    parser.add_argument("--missing", action="store_true", help="print the names of missing Debian packages, exit 0")
    args = parser.parse_args(argv)
    if args.missing:
        missing = missing_packages({**REQUIRED, **OPERATOR})
        # Without it `python3 -m venv` makes an environment that has no pip.
        if importlib.util.find_spec("ensurepip") is None:
            missing.append("python3-venv")
        if missing:
            print("\n".join(missing))
        return 0
    found = problems(Path("build"))
    for sentence in found:
        sys.stderr.write(f"{sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
