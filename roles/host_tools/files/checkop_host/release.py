"""Releases of the application: checked, unpacked beside the others, then taken into service by one rename."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zlib

try:
    import lzma

    _XZ = (lzma.LZMAError,)
except ImportError:  # Python 2 reads no xz.
    _XZ = ()

from . import command
from .errors import HostError, UsageError

_LOG = logging.getLogger(__name__)
_VERSION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_MARKER = ".checkop-release.json"
_CHUNK = 1024 * 1024
# Left free besides the release itself, so that logs and the database of packages still have room.
_SPARE_BYTES = 64 * 1024 * 1024
# More than any release of the application has; a bomb has more.
_MAX_MEMBERS = 200000
_MAX_BYTES = 4 * 1024 * 1024 * 1024
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
# What the readers of tar, gzip and bzip2 raise for content that is none of theirs.
_BROKEN = (tarfile.TarError, EOFError, zlib.error, struct.error, ValueError, OverflowError, IndexError) + _XZ


class Store(object):
    """The releases below one folder.

    Args:
        root: folder that has `releases/` and the link `current`.
        keep: number of releases that stay, the current one included.
    """

    def __init__(self, root, keep=3):
        root = _native(root)
        self.root = root
        self.releases = os.path.join(root, "releases")
        self.current = os.path.join(root, "current")
        self.keep = keep

    def state(self, version, sha256):
        """Return "current", "installed" or "absent" for a version.

        Raises:
            UsageError: the version or checksum is none, or this version was installed from another archive.
        """
        _check_names(version, sha256)
        marker = self._marker(version)
        if marker is None:
            return "absent"
        if marker.get("sha256") != sha256:
            raise UsageError(
                "release %s is already installed from an archive with sha256 %s, now %s is wanted: a release never"
                " changes, give the new archive a version of its own" % (version, marker.get("sha256"), sha256)
            )
        return "current" if os.path.realpath(self.current) == os.path.realpath(self._folder(version)) else "installed"

    def install(self, archive, version, sha256, start_command):
        """Unpack an archive unless it is there, take it into service, drop the oldest; return whether anything changed.

        Args:
            archive: path of a tar archive, plain or compressed by gzip or bzip2.
            version: name of the release.
            sha256: checksum of the archive, 64 lower-case hexadecimal digits.
            start_command: the command of checkop.service; the release must have what it starts.

        Raises:
            UsageError: the checksum differs, or the archive cannot be the application.
            HostError: no space, or the host refuses; in every case `current` and the releases are as before.
        """
        state = self.state(version, sha256)
        if state == "current":
            return False
        if state == "absent":
            self._unpack(archive, version, sha256, start_command)
        _flip(self.current, os.path.join("releases", version))
        _LOG.info("release %s is in service", version)
        self._prune(version)
        return True

    def _unpack(self, archive, version, sha256, start_command):
        fresh = os.path.join(self.releases, ".new-" + _native(version))
        try:
            if os.path.isdir(fresh):  # What an interrupted installation left.
                shutil.rmtree(fresh)
            os.makedirs(fresh, 0o755)
            # What is checked is what is unpacked: a file without a name, which nobody else can open or change.
            with tempfile.TemporaryFile(dir=self.releases) as bundle:
                found = _copy(archive, bundle)
                if found != sha256:
                    raise UsageError("%s has sha256 %s, %s is wanted: nothing was installed" % (archive, found, sha256))
                bundle.seek(0)
                _extract(archive, bundle, fresh, self.releases)
            problem = command.problem(start_command, fresh)
            if problem:
                raise UsageError("%s cannot be started: %s; nothing was installed" % (archive, problem))
            with open(os.path.join(fresh, _MARKER), "w") as stream:
                json.dump({"version": version, "sha256": sha256}, stream)
            os.rename(fresh, self._folder(version))
        except (IOError, OSError) as error:
            if error.errno == errno.ENOSPC:
                raise HostError("no space left below %s for release %s" % (self.releases, version))
            raise HostError("cannot install release %s: %s" % (version, error))
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _prune(self, version):
        """Remove the oldest releases beyond `keep`, never the current one."""
        names = [name for name in os.listdir(self.releases) if self._marker(name) is not None and name != version]
        names.sort(key=lambda name: os.stat(os.path.join(self._folder(name), _MARKER)).st_mtime, reverse=True)
        for name in names[max(self.keep - 1, 0) :]:
            shutil.rmtree(self._folder(name))
            _LOG.info("removed release %s: %d are kept", name, self.keep)

    def _folder(self, version):
        return os.path.join(self.releases, version)

    def _marker(self, version):
        try:
            with open(os.path.join(self._folder(version), _MARKER)) as stream:
                return json.load(stream)
        except (IOError, OSError, ValueError):
            return None


def _native(text):
    """Return text as the file system's names are: bytes on Python 2, where a mixture of both cannot be joined."""
    return text if isinstance(text, str) else text.encode("utf-8")


def _copy(path, target):
    """Copy a file and return the sha256 of what was copied, 64 hexadecimal digits.

    Raises:
        UsageError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        stream = open(path, "rb")
    except (IOError, OSError) as error:
        raise UsageError("cannot read the archive: %s" % error)
    with stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def _check_names(version, sha256):
    if not _VERSION.match(version):
        raise UsageError("%r is not a version: letters, digits, `.`, `_`, `+`, `-`, 64 at most are wanted" % version)
    if not _SHA256.match(sha256):
        raise UsageError("%r is not a sha256: 64 lower-case hexadecimal digits are wanted" % sha256)


def _extract(archive, stream, target, file_system):
    """Unpack regular files, folders and inner links of an archive, as root's and readable by all.

    Links come last, so that nothing is ever written through one; then each has to lead to a place in the release.

    Args:
        archive: its name, for messages.
        stream: its content.
        target: new folder.
        file_system: folder whose free space counts.

    Raises:
        UsageError: not a tar archive, or a member that would leave the release.
        HostError: not enough space.
    """
    try:
        with contextlib.closing(tarfile.open(fileobj=stream)) as bundle:
            members = _members(bundle, archive)
            needed = sum(member.size for member in members) + _SPARE_BYTES
            room = os.statvfs(file_system)
            if room.f_bavail * room.f_frsize < needed:
                raise HostError(
                    "no space left below %s: %d bytes are free, %d are wanted"
                    % (file_system, room.f_bavail * room.f_frsize, needed)
                )
            for member in members:
                executable = member.isdir() or member.mode & stat.S_IXUSR
                member.mode = 0o755 if executable else 0o644
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                if not member.issym():
                    bundle.extract(member, target)
    except _BROKEN as error:
        raise UsageError("%s is not a tar archive: %s" % (archive, error))
    except (IOError, OSError) as error:
        if error.errno is None:  # gzip and bzip2 say so of broken content; the system's errors have a number.
            raise UsageError("%s is not a tar archive: %s" % (archive, error))
        raise
    _link(archive, [member for member in members if member.issym()], target)


def _members(bundle, archive):
    """Return the members of an archive, each of which may lie in a release.

    Raises:
        UsageError: one may not; nothing was unpacked.
    """
    members, folders, others, size = [], set(), set(), 0
    for member in bundle:
        name = os.path.normpath(member.name)
        _check_member(member, archive)
        size += member.size
        if size > _MAX_BYTES or len(members) >= _MAX_MEMBERS:
            raise UsageError(
                "%s holds more than %d bytes or %d members: it is not the application"
                % (archive, _MAX_BYTES, _MAX_MEMBERS)
            )
        if name in others or (name in folders and not member.isdir()):
            raise UsageError("%s: %r is there twice" % (archive, member.name))
        (folders if member.isdir() else others).add(name)
        members.append(member)
    for member in members:
        parent = os.path.dirname(os.path.normpath(member.name))
        while parent:
            if parent in others:
                raise UsageError("%s: %r lies below what is no folder" % (archive, member.name))
            parent = os.path.dirname(parent)
    return members


def _check_member(member, archive):
    sparse = member.type == tarfile.GNUTYPE_SPARSE or getattr(member, "sparse", None)
    if sparse or not (member.isreg() or member.isdir() or member.issym()):
        raise UsageError("%s: %r is neither file, folder nor link" % (archive, member.name))
    for path in [member.name] + ([member.linkname] if member.issym() else []):
        if _UNSAFE.search(path) or not path:
            raise UsageError("%s: %r has control characters, or no name" % (archive, path))
    if os.path.isabs(member.name) or ".." in member.name.split("/") or os.path.isabs(member.linkname):
        raise UsageError("%s: %r leads out of the release" % (archive, member.name))


def _link(archive, links, target):
    """Make the links of a release, and prove where each really leads.

    Raises:
        UsageError: one leads out of the release.
    """
    for member in links:
        path = os.path.join(target, member.name)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path), 0o755)
        os.symlink(member.linkname, path)
    inside = os.path.realpath(target) + os.sep
    for member in links:
        if not (os.path.realpath(os.path.join(target, member.name)) + os.sep).startswith(inside):
            raise UsageError("%s: %r leads out of the release" % (archive, member.name))


def _flip(link, target):
    """Point a link at its target by one rename, so that there is no moment without it."""
    fresh = link + ".new"
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(target, fresh)
    os.rename(fresh, link)
