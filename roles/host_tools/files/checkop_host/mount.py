"""Is ChOp-Temp there? Asked in a child process, because a dead NFS server hangs whoever touches the mount."""

import logging
import os
import signal
import time

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.02
_KILL_SECONDS = 0.5


def is_mount_point(path, table):
    """Return whether a mount table (proc(5), /proc/self/mounts) has `path`; never touches the file system itself."""
    for line in table.splitlines():
        fields = line.split()
        # Space, tab, newline and backslash are written in octal.
        if len(fields) > 1 and _unescape(fields[1]) == path.rstrip("/"):
            return True
    return False


def _unescape(field):
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


def answers(path, timeout, probe=None):
    """Return whether a child process could use the file system within `timeout` seconds.

    A child that hangs in the kernel cannot be waited for, not even killed; it is left to end with the mount.

    Args:
        path: the mount point.
        timeout: seconds.
        probe: what the child does, given the path; raises if the file system fails. Default: list and look.
    """
    child = os.fork()
    if child == 0:
        try:
            (probe or _probe)(path)
            os._exit(0)
        except BaseException:  # The child ends here whatever happens.
            os._exit(1)
    status = _ended(child, timeout)
    if status is None:
        os.kill(child, signal.SIGKILL)
        _ended(child, _KILL_SECONDS)
    return status == 0


def _ended(child, seconds):
    """Return the exit status of a child that ends within so many seconds, or None."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(_POLL_SECONDS)
    return None


def check(path, timeout, table_path="/proc/self/mounts"):
    """Return None if `path` is mounted and answers, or what is wrong with it.

    Args:
        path: the mount point, absolute.
        timeout: seconds to wait for an answer.
        table_path: the mount table.
    """
    with open(table_path) as stream:
        table = stream.read()
    if not is_mount_point(path, table):
        return "%s is not mounted" % path
    if not answers(path, timeout):
        return "%s is mounted but does not answer within %s s" % (path, timeout)
    return None


def _probe(path):
    os.stat(path)
    os.statvfs(path)
    os.listdir(path)
