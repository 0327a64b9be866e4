"""The stand-in's package repository: RPMs with production's names, signed, and indexed by createrepo_c."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from lab.errors import LabError
from lab.host_image import process
from lab.host_image.packages import INSTALLED, OFFERED, PROVIDES, RELEASE, Package

TREES = Path(__file__).resolve().parent / "packages"
KEY_FILE = "RPM-GPG-KEY-lab"

_KEY_OWNER = "CheckOP rehearsal packages <rehearsal@checkop.invalid>"
_SPEC = """\
%global __os_install_post %{{nil}}
%global debug_package %{{nil}}
%global _build_id_links none
%global _binary_payload w1.gzdio
Name: {name}
Version: {version}
Release: {release}
Summary: {summary}
License: see upstream
BuildArch: {architecture}
AutoReqProv: no
{relations}
%description
{summary}. Made for the rehearsal of CheckOP's environment.

%install
cp -a '{tree}/.' %{{buildroot}}/
{scripts}
%files
{files}
"""
_USER = """\
%pre
getent group {user} >/dev/null || groupadd -r {user}
getent passwd {user} >/dev/null || useradd -r -g {user} -d /var/lib/{user} -s /sbin/nologin {user}
"""
_UNITS = """\
%post
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

%preun
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then systemctl disable --now {units}; fi

%postun
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
"""


def build(debs: Path | None, work: Path, log: Callable[[str], None]) -> Path:
    """Build, sign and index the packages.

    Args:
        debs: folder with Debian's packages and `installed.tsv`, left by `lab.host_image.base`; without it, only the
            packages that real CentOS 7 lacks are built.
        work: an empty folder.
        log: takes one line of progress.

    Returns:
        The repository's folder; the public key lies in it as `RPM-GPG-KEY-lab`, and `installed/` holds the packages
        that only enter the database.

    Raises:
        LabError: a program is missing or failed.
    """
    for program in ("rpmbuild", "rpmsign", "createrepo_c", "dpkg-deb", "gpg"):
        if shutil.which(program) is None:
            raise LabError(f"{program} is not installed: run `make setup`, which installs the rehearsal's programs")
    offered = [package for package in OFFERED if debs or not package.in_centos]
    log(f"host image: build {len(offered)} packages of the rehearsal's repository")
    repository = work / "repository"
    with ThreadPoolExecutor(2) as workers:
        jobs = [workers.submit(_build, package, debs, work, repository) for package in offered]
        if debs:
            jobs.append(workers.submit(_build_installed, debs, work, repository / "installed"))
        for job in jobs:
            job.result()
    _sign(repository)
    process.run(["createrepo_c", "--quiet", "--excludes=installed/*", str(repository)], what="index the packages")
    return repository


def _build(package: Package, debs: Path | None, work: Path, output: Path) -> None:
    tree = work / "trees" / package.name
    tree.mkdir(parents=True)
    version = package.version
    for debian, files in package.debian:
        archive = _archive(debs or work, debian)
        unpacked = work / "unpacked" / debian
        unpacked.mkdir(parents=True)
        process.run(["dpkg-deb", "-x", str(archive), str(unpacked)], what=f"unpack Debian's {debian}")
        version = version or upstream_version(unquote(archive.name.split("_")[1]))
        for source, destination in files:
            target = tree / destination.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(unpacked / source.lstrip("/"), target, debian)
    own = TREES / package.name
    if own.is_dir():
        shutil.copytree(own, tree, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    listed = list(_listed(tree))
    for folder, mode in package.folders:
        (tree / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        listed.append(f"%dir %attr({mode.replace(' ', ', ')}) {folder}")
    units = sorted(path.name for path in tree.glob("usr/lib/systemd/system/*.*") if path.is_file())
    scripts = (_USER.format(user=package.user) if package.user else "") + (
        _UNITS.format(units=" ".join(units)) if units else ""
    )
    spec = _SPEC.format(
        name=package.name,
        version=version,
        release=RELEASE,
        summary=package.summary,
        architecture="x86_64" if package.debian else "noarch",
        relations="".join(f"Requires: {name}\n" for name in package.requires),
        tree=tree,
        scripts=scripts,
        files="\n".join(listed),
    )
    _rpmbuild(package.name, spec, work, output)


def _copy(found: Path, target: Path, debian: str) -> None:
    if found.is_dir():
        shutil.copytree(found, target, symlinks=True)
    elif found.is_file():
        shutil.copy2(found, target)
    else:
        raise LabError(f"Debian's package {debian} no longer has {found.name}: mend lab/host_image/packages.py.")


def _build_installed(debs: Path, work: Path, output: Path) -> None:
    """One run makes all packages without files: they tell the database what the base image has."""
    versions = dict(line.split("\t") for line in (debs / "installed.tsv").read_text("utf-8").splitlines())
    tree = work / "trees" / "installed"
    tree.mkdir(parents=True)
    spec = _SPEC.format(
        name="lab-installed",
        version="1",
        release=RELEASE,
        summary="Programs of the base image",
        architecture="noarch",
        relations="",
        tree=tree,
        scripts="",
        files="",
    )
    for name, debian in INSTALLED.items():
        provides = "".join(f"Provides: {what}\n" for what in PROVIDES.get(name, ()))
        version = "7" if name == "centos-release" else upstream_version(versions[debian])
        spec += (
            f"\n%package -n {name}\nVersion: {version}\nSummary: {name} of the base image (Debian's {debian})\n"
            f"{provides}\n%description -n {name}\n{debian}\n\n%files -n {name}\n"
        )
    _rpmbuild("installed", spec, work, output)


def _rpmbuild(name: str, spec: str, work: Path, output: Path) -> None:
    path = work / f"{name}.spec"
    path.write_text(spec, encoding="utf-8")
    top = work / "rpmbuild" / name
    command = ["rpmbuild", "-bb", "--quiet", f"--define=_topdir {top}", f"--define=_rpmdir {output}", str(path)]
    process.run(command, what=f"build the package {name}")


def upstream_version(debian: str) -> str:
    """Return the upstream part of a Debian version, which RPM accepts: `1:8.4p1-5+deb11u3` gives `8.4p1`."""
    return re.sub(r"[^A-Za-z0-9.~+]", ".", re.sub(r"^\d+:|[+~]dfsg.*$|-[^-]*$", "", debian))


def _archive(debs: Path, name: str) -> Path:
    found = sorted(debs.glob(f"{name}_*.deb"))
    if len(found) != 1:
        raise LabError(f"Debian's package {name} is not in {debs}: remove that folder and build the host image again.")
    return found[0]


def _listed(tree: Path) -> Sequence[str]:
    """Return the lines of %files: what lies below /etc is configuration that an update keeps."""
    lines = []
    for path in sorted(tree.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        name = "/" + str(path.relative_to(tree))
        mode = "-" if path.is_symlink() else f"{stat.S_IMODE(path.lstat().st_mode) & 0o755:04o}"
        kind = "%config(noreplace) " if name.startswith("/etc/") else ""
        lines.append(f"{kind}%attr({mode}, root, root) {name}")
    return lines


def _sign(repository: Path) -> None:
    """Sign with a key that lives as long as this build: a private key is nowhere afterwards."""
    with tempfile.TemporaryDirectory(prefix="checkop-gpg-") as home:  # short: the agent's socket lies in it
        variables = {"GNUPGHOME": home}
        make = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", _KEY_OWNER, "rsa2048", "sign"]
        export = ["gpg", "--batch", "--armor", "--export"]
        packages = [str(path) for path in sorted(repository.rglob("*.rpm"))]
        sign = ["rpmsign", "--addsign", f"--define=_gpg_name {_KEY_OWNER}"]
        sign += [f"--define=__gpg {shutil.which('gpg')}", *packages]  # Debian's rpm looks for it elsewhere
        try:
            process.run(make, what="make the key of the packages", environment=variables)
            key = process.run(export, what="export the key of the packages", environment=variables)
            (repository / KEY_FILE).write_text(key, encoding="ascii")
            process.run(sign, what="sign the packages", environment=variables)
        finally:
            process.run(["gpgconf", "--kill", "all"], what="end the key's agent", environment=variables)
