"""Expiry of ChOp-Temp: files that nobody will fetch any more go, folder by folder."""

import errno
import logging
import os
import stat

from .errors import HostError

_LOG = logging.getLogger(__name__)
_DAY_SECONDS = 86400


class Freed(object):
    """What one folder gave back: number of files, and bytes."""

    def __init__(self, folder):
        self.folder = folder
        self.files = 0
        self.bytes = 0
        self.errors = 0

    def as_dict(self):
        """Return the counts for JSON."""
        return {"folder": self.folder, "files": self.files, "bytes": self.bytes, "errors": self.errors}


def expire(mount_path, folders, now, dry_run=False):
    """Remove files older than their folder's days; return what each folder gave back, in the given order.

    Age is that of the last change of content. Links are neither followed nor removed, mount points are not entered,
    and every step goes down by a directory handle (open(2), O_NOFOLLOW), so that a folder that is swapped for a link
    meanwhile cannot lead out of ChOp-Temp. Emptied folders go too, those of ChOp-Temp itself stay.

    Args:
        mount_path: where ChOp-Temp is mounted.
        folders: list of `name` (one path component) and `keep_days` (at least 1).
        now: the time, seconds since the epoch.
        dry_run: only say what would go.

    Raises:
        HostError: a folder's name or days are not allowed, or ChOp-Temp cannot be entered.
    """
    for folder in folders:
        _check(folder)
    back = os.open(".", os.O_RDONLY)
    try:
        device = _enter(mount_path, follow=True)
        top = os.open(".", os.O_RDONLY)
        try:
            results = []
            for folder in folders:
                freed = Freed(folder["name"])
                limit = now - folder["keep_days"] * _DAY_SECONDS
                # JSON's text: below it all names are as the file system gives them, which Python 2 does not mix.
                _descend(str(folder["name"]), top, device, limit, dry_run, freed, "")
                _LOG.info(
                    "%s %s: %d files, %d bytes older than %s days%s",
                    "would free" if dry_run else "freed",
                    freed.folder,
                    freed.files,
                    freed.bytes,
                    folder["keep_days"],
                    ", %d errors" % freed.errors if freed.errors else "",
                )
                results.append(freed)
            return results
        finally:
            os.close(top)
    finally:
        os.fchdir(back)
        os.close(back)


def _check(folder):
    name, days = folder["name"], folder["keep_days"]
    if name in ("", ".", "..") or "/" in name:
        raise HostError("folder %r is not allowed: one name directly below ChOp-Temp is wanted" % name)
    if isinstance(days, bool) or not isinstance(days, (int, float)) or days < 1:
        raise HostError("folder %s: keep_days is %r, a number of at least 1 is wanted" % (name, days))


def _enter(path, follow=False):
    """Make a folder the working directory without following a link; return its device."""
    flags = os.O_RDONLY | os.O_DIRECTORY | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        raise HostError("cannot enter %s: %s" % (path, error))
    try:
        os.fchdir(handle)
        return os.fstat(handle).st_dev
    finally:
        os.close(handle)


def _descend(name, parent, device, limit, dry_run, freed, shown):
    """Expire what lies below `name` of the working directory, and come back to `parent`."""
    shown = shown + "/" + name if shown else name
    try:
        if _enter(name) != device:
            _LOG.warning("%s is another file system: left alone", shown)
            return
        here = os.open(".", os.O_RDONLY)
        try:
            for entry in sorted(os.listdir(".")):
                _one(entry, here, device, limit, dry_run, freed, shown)
        finally:
            os.close(here)
    except (HostError, OSError) as error:
        freed.errors += 1
        _LOG.error("%s: %s", shown, error)
    finally:
        os.fchdir(parent)


def _one(entry, here, device, limit, dry_run, freed, shown):
    try:
        status = os.lstat(entry)
        if stat.S_ISDIR(status.st_mode):
            _descend(entry, here, device, limit, dry_run, freed, shown)
            if status.st_mtime < limit and not dry_run:
                _remove_if_empty(entry)
        elif stat.S_ISREG(status.st_mode) and status.st_mtime < limit:
            if not dry_run:
                os.unlink(entry)
            freed.files += 1
            # A file with a second name frees nothing yet.
            freed.bytes += status.st_size if status.st_nlink == 1 else 0
            _LOG.debug("%s/%s: %d bytes", shown, entry, status.st_size)
    except OSError as error:
        if error.errno != errno.ENOENT:  # Another instance expires the same files.
            freed.errors += 1
            _LOG.error("%s/%s: %s", shown, entry, error)


def _remove_if_empty(entry):
    try:
        os.rmdir(entry)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
