"""The testinfra gate of a bake: Packer calls it between configuring and sealing the builder.

Packer gives the builder's address and the build's temporary key in the environment (packer/build.pkr.hcl).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = "tests/image"
NEEDED = ("CHECKOP_BUILDER_HOST", "CHECKOP_BUILDER_USER", "CHECKOP_BUILDER_PORT", "CHECKOP_BUILDER_KEY")


def ssh_config(environment: Mapping[str, str], key_file: Path) -> str:
    """Write the OpenSSH client configuration (ssh_config(5)) that reaches the builder over one shared connection.

    Parameters
    ----------
    environment:
        With ``CHECKOP_BUILDER_HOST``, ``_USER`` and ``_PORT``.
    key_file:
        File that holds the build's private key.
    """
    return "\n".join(
        [
            "Host builder",
            f"  HostName {environment['CHECKOP_BUILDER_HOST']}",
            f"  User {environment['CHECKOP_BUILDER_USER']}",
            f"  Port {environment['CHECKOP_BUILDER_PORT']}",
            f"  IdentityFile {key_file}",
            "  IdentitiesOnly yes",
            # The builder is minutes old and nobody has seen its key before.
            "  StrictHostKeyChecking no",
            f"  UserKnownHostsFile {key_file.parent / 'known_hosts'}",
            "  LogLevel ERROR",
            "  ControlMaster auto",
            f"  ControlPath {key_file.parent / 'control'}",
            "  ControlPersist 30",
            "",
        ]
    )


def main(environment: Mapping[str, str] | None = None) -> int:
    """Run the image's tests against the builder.

    Returns
    -------
    int
        pytest's exit status: 0 when every test passed.

    Raises
    ------
    CheckopError
        A variable that Packer sets is missing.
    """
    environment = os.environ if environment is None else environment
    missing = [name for name in NEEDED if not environment.get(name)]
    if missing:
        raise CheckopError(
            f"{', '.join(missing)} not set: these tests are run by Packer (packer/build.pkr.hcl), which gives them."
        )
    with tempfile.TemporaryDirectory(prefix="checkop-image-tests-") as folder:
        key_file = Path(folder) / "key"
        key_file.touch(mode=0o600)
        key_file.write_text(environment["CHECKOP_BUILDER_KEY"].strip() + "\n", encoding="ascii")
        config = Path(folder) / "ssh_config"
        config.write_text(ssh_config(environment, key_file), encoding="ascii")
        command = [sys.executable, "-m", "pytest", TESTS, "-q", "--hosts=ssh://builder", "--sudo"]
        command += [f"--ssh-config={config}", "-p", "no:cacheprovider"]
        inherited = {name: value for name, value in environment.items() if name != "CHECKOP_BUILDER_KEY"}
        try:
            return subprocess.run(command, env=inherited, check=False).returncode
        finally:
            subprocess.run(["ssh", "-F", str(config), "-O", "exit", "builder"], check=False, capture_output=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckopError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
