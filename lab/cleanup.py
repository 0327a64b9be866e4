"""Removes what a lab made, also when its daemon died without doing so."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from lab import containers, filesystem, processes
from lab.engine import Engine, EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from lab.state import State

log = logging.getLogger(__name__)

# The log is read after a failure, the port keeps a shell's exports right, the lock's file is never a risk.
_KEPT = frozenset({"lab.log", "last_port", "daemon.lock"})


def leftovers(state: State) -> bool:
    """Tell whether an earlier lab of this folder left something behind."""
    return state.root.exists() and any(entry.name not in _KEPT for entry in state.root.iterdir())


def remove_all(state: State, moved_to: Path | None = None) -> list[str]:
    """End processes, remove containers, images and mounts, and empty the state folder.

    Args:
        state: the lab's folder, whose name its containers carry.
        moved_to: where that folder lies now, if somebody moved it away below a running lab.

    Returns:
        What was found and removed, a few words each.

    Raises:
        LabError: something resists; the sentence names it.
    """
    removed: list[str] = []
    root = moved_to or state.root
    if not root.exists() and moved_to is None:
        return removed
    # File systems first: a container that waits for one that hangs could not be ended.
    removed += [f"process {name}" for name in processes.end_recorded(root / state.processes.name)]
    engine = Engine(containers.environment(), state.lab_id)
    names = engine.containers()
    engine.remove(names)
    removed += [f"container {name}" for name in names]
    mounts = filesystem.mounts_below(root)
    filesystem.unmount_all(root)
    removed += [f"mount {point}" for point in mounts]
    images = engine.images()
    try:
        engine.remove_images(images)
        removed += [f"image {name}" for name in images]
    except EngineError as error:
        # Another lab of this checkout may run from a copy; its own `down` removes it then.
        log.warning("images stay: %s", error)
    for entry in root.iterdir() if root.exists() else ():
        if entry.name in _KEPT:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return removed
