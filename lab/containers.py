"""Settings of the container engine that belong to the project alone.

Podman reads two files that environment variables name (containers.conf(5), containers-storage.conf(5)).
Writing them below the project's `build/` keeps images and containers of a rehearsal apart from those of the
machine, and `rm -r build` takes all of it away. Molecule's podman driver and every child process obey the same
two variables.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

from lab.errors import LabError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
STATE_ROOT = PROJECT_ROOT / "build"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# runc, because crun refuses hybrid cgroups. Limits are the caller's own: podman's defaults may be above them,
# and raising a limit needs CAP_SYS_RESOURCE, which a build machine need not have. Events and logs go to files,
# because not every machine runs journald, and the networks of the machine's own podman are none of ours.
_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"

[network]
network_config_dir = "{folder}/networks"

[engine]
runtime = "runc"
events_logger = "file"
tmp_dir = "{folder}/tmp"
"""

_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


def environment(state_root: Path = STATE_ROOT) -> dict[str, str]:
    """Write the engine's settings below `state_root` and name them.

    Args:
        state_root: the folder of everything the project makes, `build/`; storage lies in its `containers`.

    Returns:
        CONTAINERS_CONF and CONTAINERS_STORAGE_CONF, to be added to the environment of podman's callers.

    Raises:
        LabError: podman or runc is missing, or the folder cannot be written.
    """
    for program in ("podman", "runc"):
        if shutil.which(program) is None:
            raise LabError(f"{program} is not installed: run `make setup`, or `apt-get install {program}`")
    folder = state_root.resolve() / "containers"
    containers_conf, storage_conf = folder / "containers.conf", folder / "storage.conf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _forget_before_boot(folder)
        files = _limit(resource.RLIMIT_NOFILE, 65536)
        processes = _limit(resource.RLIMIT_NPROC, 32768)
        _write(containers_conf, _CONTAINERS_CONF.format(folder=folder, files=files, processes=processes))
        _write(storage_conf, _STORAGE_CONF.format(folder=folder))
    except OSError as error:
        raise LabError(f"cannot write the container engine's settings in {folder}: {error}") from error
    return {"CONTAINERS_CONF": str(containers_conf), "CONTAINERS_STORAGE_CONF": str(storage_conf)}


def _limit(kind: int, wanted: int) -> int:
    """Return the hard limit of this process, `wanted` at most."""
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


def _forget_before_boot(folder: Path) -> None:
    """Remove run-time state of an earlier boot, which the engine expects to lie on a tmpfs."""
    now = _BOOT_ID.read_text(encoding="ascii").strip()
    mark = folder / "boot_id"
    if mark.exists() and mark.read_text(encoding="ascii").strip() == now:
        return
    for name in ("run", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    _write(mark, now + "\n")


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, and only when its text differs: other processes read it at any time."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def main() -> int:
    """Print the settings as export lines: `eval "$(python -m lab.containers)"`, then podman as usual."""
    try:
        settings = environment()
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in settings.items():
        print(f"export {name}={value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
