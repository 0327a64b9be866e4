"""EFS: one bindfs process for each file system, seen by every instance below /run/lab/efs.

The data lies on a tmpfs of its own, so that it can be made to be full. A separate process serves it, so that stopping
the process hangs every access as a dead NFS server does. What `mount.efs` must know lies beside it as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab import processes
from lab.errors import LabError
from lab.preflight import which

if TYPE_CHECKING:
    from lab.api.views import AccessPoint, FileSystem
    from lab.jobs import Jobs

log = logging.getLogger(__name__)

_API_FOLDER = ".api"
_START_SECONDS = 10.0
_POLL_SECONDS = 0.02
_PAGE_BYTES = 4096


class FileSystems:
    """Closes the difference between the EFS file systems that exist in the API and what is served.

    Args:
        folder: `<folder>/shared` is what instances see, `<folder>/data` what lies behind it.
        process_records: see `lab.processes`.
        jobs: runs the work.
    """

    def __init__(self, folder: Path, process_records: Path, jobs: Jobs) -> None:
        self.shared = folder / "shared"
        self._data = folder / "data"
        self._records = process_records
        self._jobs = jobs
        self._served: dict[str, processes.Child] = {}
        self._hung: set[str] = set()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Make the folder that instances share: mounts that appear in it later reach them all (rslave)."""
        self.shared.mkdir(parents=True, exist_ok=True)
        self._data.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "checkop-lab-efs", str(self.shared))
        _run("mount", "--make-shared", str(self.shared))
        (self.shared / _API_FOLDER).mkdir()

    def close(self) -> None:
        """Stop serving everything."""
        for file_system_id in sorted(self._served):
            self._remove(file_system_id)

    def served(self) -> dict[str, str]:
        """Return file system id: `available`, `hung` or `dead`."""
        states = {}
        for file_system_id, child in sorted(self._served.items()):
            dead = child.exit_status() is not None
            states[file_system_id] = "dead" if dead else "hung" if file_system_id in self._hung else "available"
        return states

    def metered_bytes(self, file_system_id: str) -> int:
        """Return how much data a file system holds; 0 for one that is not served."""
        if file_system_id not in self._served:
            return 0
        try:
            figures = os.statvfs(self._data / file_system_id)
        except OSError:
            return 0
        return (figures.f_blocks - figures.f_bfree) * figures.f_frsize

    def reconcile(self, wanted: list[FileSystem]) -> None:
        """Start the work that serves what is wanted and removes what is deleted."""
        for view in wanted:
            child = self._served.get(view.file_system_id)
            if child is None or child.exit_status() is not None:
                self._jobs.submit(f"file-system/{view.file_system_id}", lambda view=view: self._serve(view))  # type: ignore[misc]
            else:
                self._describe(view)
        listed = {view.file_system_id for view in wanted}
        for file_system_id in sorted(set(self._served) - listed):
            self._jobs.submit(f"file-system/{file_system_id}", lambda gone=file_system_id: self._remove(gone))  # type: ignore[misc]

    def hang(self, file_system_id: str, *, hung: bool) -> None:
        """Let every access to a file system wait, or go on.

        Raises:
            LabError: there is no such file system.
        """
        self._child(file_system_id).signal(signal.SIGSTOP if hung else signal.SIGCONT)
        (self._hung.add if hung else self._hung.discard)(file_system_id)

    def fill(self, file_system_id: str, *, full: bool) -> None:
        """Leave no space for another byte, or give all space back.

        Raises:
            LabError: there is no such file system.
        """
        self._child(file_system_id)
        size = f"{max(self.metered_bytes(file_system_id), _PAGE_BYTES)}" if full else "50%"
        _run("mount", "-o", f"remount,size={size}", str(self._data / file_system_id))

    def only(self) -> str:
        """Return the id of the one file system there is.

        Raises:
            LabError: there is none, or more than one, so that the id must be given.
        """
        ids = sorted(self._served)
        if len(ids) != 1:
            raise LabError(f"Name the file system; these are served: {', '.join(ids) or 'none'}.")
        return ids[0]

    def _child(self, file_system_id: str) -> processes.Child:
        child = self._served.get(file_system_id)
        if child is None:
            raise LabError(f"No file system {file_system_id}; these are served: {', '.join(self._served) or 'none'}.")
        return child

    def _serve(self, view: FileSystem) -> None:
        data, shared = self._data / view.file_system_id, self.shared / view.file_system_id
        data.mkdir(exist_ok=True)
        shared.mkdir(exist_ok=True)
        if not os.path.ismount(data):
            _run("mount", "-t", "tmpfs", "-o", "mode=0755", "checkop-lab-efs-data", str(data))
        if _is_mounted(shared):
            _run("umount", "--lazy", str(shared))
        command = [str(which("bindfs")), "-f", "--no-allow-other" if os.geteuid() else "-o", "allow_other"]
        child = processes.spawn(self._records, f"efs-{view.file_system_id}", [*command, str(data), str(shared)])
        self._served[view.file_system_id] = child
        deadline = time.monotonic() + _START_SECONDS
        while not _is_mounted(shared):
            if child.exit_status() is not None or time.monotonic() > deadline:
                raise LabError(f"bindfs does not serve {view.file_system_id} (status {child.exit_status()}).")
            time.sleep(_POLL_SECONDS)
        self._describe(view)

    def _describe(self, view: FileSystem) -> None:
        """Write what `mount.efs` asks of the EFS API, and make the root folders of access points as EFS does."""
        for point in view.access_points:
            self._make_root(view.file_system_id, point)
        facts = {
            "file_system_id": view.file_system_id,
            "mount_targets": [
                {"id": target.mount_target_id, "zone": target.zone, "ip_address": target.ip_address}
                for target in view.mount_targets
            ],
            "access_points": {
                point.access_point_id: {"path": point.path, "uid": point.uid, "gid": point.gid}
                for point in view.access_points
            },
        }
        text = json.dumps(facts, indent=2) + "\n"
        path = self.shared / _API_FOLDER / f"{view.file_system_id}.json"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            draft = path.with_suffix(".draft")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)

    def _make_root(self, file_system_id: str, point: AccessPoint) -> None:
        root = self._data / file_system_id / point.path.strip("/")
        if root.exists() or point.creation_permissions is None:
            return
        root.mkdir(parents=True)
        os.chown(root, point.creation_uid or 0, point.creation_gid or 0)
        root.chmod(int(point.creation_permissions, 8))

    def _remove(self, file_system_id: str) -> None:
        child = self._served[file_system_id]
        (self.shared / _API_FOLDER / f"{file_system_id}.json").unlink(missing_ok=True)
        child.signal(signal.SIGCONT)
        # A lazy unmount: an instance may still hold a file of it open.
        if _is_mounted(self.shared / file_system_id):
            _run("umount", "--lazy", str(self.shared / file_system_id))
        child.stop()
        _run("umount", "--lazy", str(self._data / file_system_id))
        shutil.rmtree(self._data / file_system_id)
        (self.shared / file_system_id).rmdir()
        self._served.pop(file_system_id)
        self._hung.discard(file_system_id)


def mounts_below(folder: Path) -> list[str]:
    """Return the mount points below a folder, the deepest first (proc(5), mountinfo)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if Path(point).is_relative_to(folder):
            found.append(point)
    return sorted(found, key=len, reverse=True)


def unmount_all(folder: Path) -> None:
    """Unmount everything below a folder, whoever mounted it."""
    for point in mounts_below(folder):
        _run("umount", "--lazy", point)


def _is_mounted(path: Path) -> bool:
    """Tell whether a path is a mount point without touching it: a hung file system would not answer."""
    return str(path) in mounts_below(path)


def _run(*command: str) -> None:
    done = subprocess.run([str(which(command[0])), *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
