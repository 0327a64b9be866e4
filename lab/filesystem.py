"""EFS: a bindfs process for each file system and each access point, seen by every instance below /run/lab/efs.

The data lies on a tmpfs of its own, so that it can be made to be full. A separate process serves it, so that stopping
the process hangs every access as a dead NFS server does. An access point's process makes every file its user's, as EFS
does. What `mount.efs` must know lies beside it as JSON.
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
        # File system id: the processes by the name of the folder that they serve, the file system's own first.
        self._served: dict[str, dict[str, processes.Child]] = {}
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
        """End every process that serves; `lab.cleanup` takes their mounts away."""
        for children in self._served.values():
            for child in children.values():
                child.stop()

    def served(self) -> dict[str, str]:
        """Return file system id: `available`, `hung` or `dead`."""
        states = {}
        for file_system_id, children in sorted(self._served.items()):
            dead = any(child.exit_status() is not None for child in children.values())
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
            if not self._complete(view):
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
        for child in self._children(file_system_id).values():
            child.signal(signal.SIGSTOP if hung else signal.SIGCONT)
        (self._hung.add if hung else self._hung.discard)(file_system_id)

    def fill(self, file_system_id: str, *, full: bool) -> None:
        """Leave no space for another byte, or give all space back.

        Raises:
            LabError: there is no such file system.
        """
        self._children(file_system_id)
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

    def _children(self, file_system_id: str) -> dict[str, processes.Child]:
        children = self._served.get(file_system_id)
        if children is None:
            known = ", ".join(self._served) or "none"
            raise LabError(f"No file system {file_system_id}; these are served: {known}.")
        return children

    def _complete(self, view: FileSystem) -> bool:
        """Tell whether a living process serves the file system and each of its access points."""
        children = self._served.get(view.file_system_id, {})
        points = [point for point in view.access_points if not self._root(view, point).exists()]
        if any(point.creation_permissions is not None for point in points):
            return False
        names = {view.file_system_id, *(point.access_point_id for point in self._enforced(view))}
        return set(children) == names and all(child.exit_status() is None for child in children.values())

    def _serve(self, view: FileSystem) -> None:
        data = self._data / view.file_system_id
        data.mkdir(exist_ok=True)
        if not os.path.ismount(data):
            _run("mount", "-t", "tmpfs", "-o", "mode=0755", "checkop-lab-efs-data", str(data))
        children = self._served.setdefault(view.file_system_id, {})
        self._serve_folder(children, view.file_system_id, data, [])
        for point in view.access_points:
            self._make_root(view, point)
        points = self._enforced(view)
        for point in points:
            user, group = f"--force-user={point.uid}", f"--force-group={point.gid}"
            creation = [f"--create-for-user={point.uid}", f"--create-for-group={point.gid}"]
            options = [user, group, *creation, "--chown-ignore", "--chgrp-ignore"]
            self._serve_folder(children, point.access_point_id, self._root(view, point), options)
        for name in set(children) - {view.file_system_id, *(point.access_point_id for point in points)}:
            self._end(children, name)
        self._describe(view)

    def _serve_folder(self, children: dict[str, processes.Child], name: str, source: Path, options: list[str]) -> None:
        """Serve a folder of the data as `<shared>/<name>`, unless a living process does."""
        if name in children and children[name].exit_status() is None:
            return
        shared = self.shared / name
        shared.mkdir(exist_ok=True)
        if _is_mounted(shared):
            _run("umount", "--lazy", str(shared))
        command = [str(which("bindfs")), "-f", "-o", "allow_other", *options, str(source), str(shared)]
        child = children[name] = processes.spawn(self._records, f"efs-{name}", command)
        deadline = time.monotonic() + _START_SECONDS
        while not _is_mounted(shared):
            if child.exit_status() is not None or time.monotonic() > deadline:
                raise LabError(f"bindfs does not serve {name} (status {child.exit_status()}).")
            time.sleep(_POLL_SECONDS)

    def _end(self, children: dict[str, processes.Child], name: str) -> None:
        """Stop serving a folder. The unmount is lazy: an instance may still hold a file of it open."""
        children[name].signal(signal.SIGCONT)
        if _is_mounted(self.shared / name):
            _run("umount", "--lazy", str(self.shared / name))
        children.pop(name).stop()
        (self.shared / name).rmdir()

    def _describe(self, view: FileSystem) -> None:
        """Write what `mount.efs` asks of the EFS API."""
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

    def _root(self, view: FileSystem, point: AccessPoint) -> Path:
        return self._data / view.file_system_id / point.path.strip("/")

    def _enforced(self, view: FileSystem) -> list[AccessPoint]:
        """Return the access points that enforce a user and whose root folder exists, so that they can be mounted."""
        return [point for point in view.access_points if point.uid is not None and self._root(view, point).is_dir()]

    def _make_root(self, view: FileSystem, point: AccessPoint) -> None:
        """Make an access point's root folder when its CreationInfo says how; EFS does so at the first mount."""
        root = self._root(view, point)
        if root.exists() or point.creation_permissions is None:
            return
        root.mkdir(parents=True)
        os.chown(root, point.creation_uid or 0, point.creation_gid or 0)
        root.chmod(int(point.creation_permissions, 8))

    def _remove(self, file_system_id: str) -> None:
        (self.shared / _API_FOLDER / f"{file_system_id}.json").unlink(missing_ok=True)
        children = self._served[file_system_id]
        for name in list(children):
            self._end(children, name)
        _run("umount", "--lazy", str(self._data / file_system_id))
        shutil.rmtree(self._data / file_system_id)
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
