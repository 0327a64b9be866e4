"""Files that are replaced whole or not at all."""

import errno
import grp
import io
import os

from .errors import HostError


def read_text(path):
    """Return the text of a file, or None where there is none."""
    try:
        with io.open(path, encoding="utf-8") as stream:
            return stream.read()
    except (IOError, OSError) as error:
        if error.errno == errno.ENOENT:
            return None
        raise HostError("cannot read %s: %s" % (path, error))


def replace_text(path, text, mode, group=None):
    """Make a file hold `text` by writing a new one beside it and renaming; return whether that was needed.

    The new file has its mode and group before its first byte, so that nobody else can read a secret meanwhile.

    Raises:
        HostError: the group is unknown, or the file cannot be written; the old one is as before.
    """
    if read_text(path) == text:
        return False
    fresh = "%s.new-%d" % (path, os.getpid())
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                if group is not None:
                    os.fchown(stream.fileno(), -1, grp.getgrnam(group).gr_gid)
                os.fchmod(stream.fileno(), mode)
                stream.write(text.encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
    except KeyError:
        raise HostError("cannot write %s: there is no group %s on this host" % (path, group))
    except (IOError, OSError) as error:
        raise HostError("cannot write %s: %s" % (path, error))
    return True
