"""The lower layer of the stand-in: a minimal Debian with the programs that CentOS 7's cloud image carries.

Debian 11 is the last release with Python 2.7, which production's Ansible modules run on, and has dnf and rpm.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.errors import LabError
from lab.host_image import process

SUITE = "bullseye"

# Debian packages installed in the image, by the reason for them.
INCLUDE = (
    *("systemd", "systemd-sysv", "dbus", "cloud-init", "openssh-server", "sudo", "cron", "rsyslog", "logrotate"),
    *("python2.7", "python3", "dnf", "rpm", "gnupg"),
    *(
        "ca-certificates",
        "curl",
        "openssl",
        "locales",
        "iproute2",
        "procps",
        "psmisc",
        "lsof",
        "less",
        "libnss-myhostname",
        "netbase",
        "kmod",
        "acl",
    ),
    *("xz-utils", "bzip2", "unzip", "zip"),
    # Libraries of the programs that the package repository carries (packages.py).
    *("libpcre3", "libseccomp2", "libedit2", "libwrap0", "libauparse0"),
    *("python3-dbus", "python3-gi", "python3-nftables", "python3-slip-dbus"),
)
# Debian packages whose programs the package repository carries; downloaded, not installed.
DOWNLOAD = ("nginx-core", "nginx-common", "chrony", "stunnel4", "auditd", "firewalld", "python3-firewall")

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


def build(reference: str, packages: Path, environment: Mapping[str, str], log: Callable[[str], None]) -> None:
    """Make the base image, and leave downloaded packages and the list of installed ones in a folder.

    Args:
        reference: name of the image in podman's storage; it appears only when it is whole.
        packages: folder for the .deb files of `DOWNLOAD` and `installed.tsv` (name, version); must exist.
        environment: podman's settings (`lab.containers.environment`).
        log: takes one line of progress.

    Raises:
        LabError: a program is missing, Debian's packages cannot be had, or the import failed.
    """
    for program in ("mmdebstrap", "podman"):
        if shutil.which(program) is None:
            raise LabError(f"{program} is not installed: run `make setup`, or `apt-get install {program}`")
    log(f"host image: install a minimal Debian {SUITE} of {len(INCLUDE)} packages (half a minute)")
    hooks = (
        'chroot "$1" localedef -i en_US -f UTF-8 en_US.UTF-8',
        f'cd "$1/var/tmp" && chroot "$1" sh -c "cd /var/tmp && apt-get -qq download {" ".join(DOWNLOAD)}"',
        'chroot "$1" dpkg-query -W -f "\\${Package}\\t\\${Version}\\n" > "$1/var/tmp/installed.tsv"',
        f'cp "$1"/var/tmp/*.deb "$1/var/tmp/installed.tsv" "{packages}/" && rm -f "$1"/var/tmp/*',
    )
    bootstrap = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--setup-hook=/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh",  # /bin is /usr/bin, as in CentOS 7
        f"--include={','.join(INCLUDE)}",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        *(f"--customize-hook={hook}" for hook in hooks),
        SUITE,
        "-",
    ]
    load = ["podman", "import", "--quiet", "-", reference]
    process.pipe(
        [bootstrap, load], what="build the base of the host image from Debian's packages", environment=environment
    )
