"""Make the image of a rehearsed host, or find that it is made: `python -m lab.host_image.build`."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lab import containers
from lab.errors import LabError
from lab.host_image import base, process, repository

NAME = "localhost/checkop-lab/centos7"

_HERE = Path(__file__).resolve().parent
_BASE_NAME = "localhost/checkop-lab/base"
_LABEL = "checkop-lab.host-image"
# What decides about the base layer, and about the whole.
_BASE_INPUTS = ("base.py",)
_IGNORED = ("__pycache__",)
_HASH_DIGITS = 12


def reference() -> str:
    """Return the name of the image that belongs to the present sources and LAB_CENTOS_IMAGE, made or not."""
    return f"{NAME}:{_digest(_HERE)}" + (f"-{_short(_real().encode())}" if _real() else "")


def ensure(log: Callable[[str], None] = print, state_root: Path = containers.STATE_ROOT) -> str:
    """Make the image of a host unless it is there.

    With LAB_CENTOS_IMAGE in the environment it is real CentOS 7, pulled by that name from a registry; without, the
    stand-in. A registry is never looked for: where none can be reached, that would only be a wait.

    Args:
        log: takes one line of progress.
        state_root: the folder of everything the project makes; the image goes into its podman storage.

    Returns:
        The image's reference, `localhost/checkop-lab/centos7:<hash of its inputs>`.

    Raises:
        LabError: a program is missing, or a step failed; nothing half made is left.
    """
    environment = containers.environment(state_root)
    wanted = reference()
    if _exists(wanted, environment):
        return wanted
    with _alone(state_root / "host-image", log) as folder:
        if _exists(wanted, environment):
            return wanted
        began = time.monotonic()
        packages, below = _pulled(environment, log) if _real() else _base(folder, environment, log)
        work = folder / "work"
        try:
            work.mkdir()
            repository.build(packages, work, log)
            shutil.copytree(_HERE / "rootfs", work / "rootfs", symlinks=True)
            shutil.copy2(_HERE / ("configure-real" if _real() else "configure"), work / "configure")
            log("host image: lay CentOS 7's names, units and packages over the base")
            _assemble(wanted, below, work, environment)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        log(f"host image: {wanted} made in {time.monotonic() - began:.0f} s ({describe(state_root)['kind']})")
    return wanted


def describe(state_root: Path = containers.STATE_ROOT) -> dict[str, str]:
    """Tell what the image of a host is.

    Returns:
        `kind` (`stand-in` or `centos7`), `reference`, and `base` (the distribution that lies below).
    """
    environment = containers.environment(state_root)
    command = ["podman", "image", "inspect", "--format", "{{json .Labels}}", reference()]
    labels = json.loads(process.run(command, what="read the host image", environment=environment))
    return {
        "kind": labels[f"{_LABEL}.kind"],
        "base": labels[f"{_LABEL}.base"],
        "reference": reference(),
    }


def _base(folder: Path, environment: Mapping[str, str], log: Callable[[str], None]) -> tuple[Path | None, str]:
    """Return the folder of downloaded packages and the base image, made when either is missing."""
    digest = _digest(*(_HERE / name for name in _BASE_INPUTS))
    packages, below = folder / f"packages-{digest}", f"{_BASE_NAME}:{digest}"
    if packages.is_dir() and _exists(below, environment):
        return packages, below
    draft = folder / "packages-draft"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(packages, ignore_errors=True)
    draft.mkdir()
    try:
        base.build(below, draft, environment, log)
        draft.rename(packages)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return packages, below


def _pulled(environment: Mapping[str, str], log: Callable[[str], None]) -> tuple[None, str]:
    """Pull CentOS 7; it needs no packages of Debian's."""
    log(f"host image: pull {_real()}")
    process.run(
        ["podman", "pull", "--quiet", _real()], what=f"pull {_real()} (LAB_CENTOS_IMAGE)", environment=environment
    )
    return None, _real()


def _real() -> str:
    return os.environ.get("LAB_CENTOS_IMAGE", "")


def _assemble(wanted: str, below: str, work: Path, environment: Mapping[str, str]) -> None:
    name = f"checkop-lab-image-{work.parent.parent.name}-{_digest(_HERE)}"
    about = {"kind": "centos7", "base": below} if _real() else {"kind": "stand-in", "base": f"debian-{base.SUITE}"}
    remove = ["podman", "rm", "--force", "--ignore", "--time=0", name]
    # The stand-in is whole; CentOS's image lacks what a cloud image has, and gets it from CentOS's archive.
    network = "slirp4netns" if _real() else "none"
    run = ["podman", "run", f"--name={name}", f"--network={network}", f"--volume={work}:/run/context:ro"]
    commit = ["podman", "commit", "--quiet", "--change=STOPSIGNAL SIGRTMIN+3", "--change=ENTRYPOINT []"]
    changes = ['--change=CMD ["/lib/systemd/systemd"]']
    changes += [f"--change=LABEL {_LABEL}.{key}={value}" for key, value in about.items()]
    process.run(remove, what="remove an earlier build's container", environment=environment)
    try:
        process.run(
            [*run, below, "/bin/bash", "/run/context/configure"],
            what="configure the host image",
            environment=environment,
        )
        process.run([*commit, *changes, name, wanted], what="store the host image", environment=environment)
    finally:
        process.run(remove, what="remove the build's container", environment=environment)


def _exists(image: str, environment: Mapping[str, str]) -> bool:
    command = ["podman", "images", "--quiet", "--filter", f"reference={image}"]
    return bool(process.run(command, what="list images", environment=environment).strip())


def _digest(*paths: Path) -> str:
    """Return a hash over files: their names, modes and contents."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if any(part in _IGNORED for part in file.parts) or not (file.is_file() or file.is_symlink()):
                continue
            content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
            head = f"{file.relative_to(_HERE)}\0{file.lstat().st_mode & 0o111:o}\0{len(content)}\0"
            digest.update(head.encode() + content)
    return digest.hexdigest()[:_HASH_DIGITS]


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


@contextlib.contextmanager
def _alone(folder: Path, log: Callable[[str], None]) -> Iterator[Path]:
    """Let one build run at a time; what an interrupted one left is removed by the next."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("host image: another build is under way, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(folder / "work", ignore_errors=True)
        yield folder


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.host_image.build", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print what the image is as JSON")
    parser.add_argument("--real", metavar="IMAGE", help="pull CentOS 7 by this name, as LAB_CENTOS_IMAGE does")
    options = parser.parse_args(arguments)
    if options.real:
        os.environ["LAB_CENTOS_IMAGE"] = options.real
    try:
        with process.stop_on_terminate():
            image = ensure(log=lambda line: print(line, file=sys.stderr, flush=True))
            print(json.dumps(describe()) if options.json else image)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("The build of the host image was interrupted; nothing of it is left, run it again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
