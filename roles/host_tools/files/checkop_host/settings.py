"""The program's settings: one JSON file of the host, and one of each role beside it."""

import io
import json
import os

from .errors import UsageError

HOST_FILE = "/etc/checkop/host.json"
ROLE_FOLDER = "/etc/checkop/conf.d"


def load(host_file=HOST_FILE, role_folder=ROLE_FOLDER):
    """Return the merged settings; the files of roles add top-level keys to those of the host.

    Raises:
        UsageError: the host's file is missing, or a file is not a JSON object; names it.
    """
    settings = _read(host_file)
    names = sorted(os.listdir(role_folder)) if os.path.isdir(role_folder) else []
    for name in names:
        if name.endswith(".json"):
            settings.update(_read(os.path.join(role_folder, name)))
    return settings


def section(settings, name):
    """Return one role's settings.

    Raises:
        UsageError: no role of this host brought that section.
    """
    try:
        return settings[name]
    except KeyError:
        raise UsageError(
            "no settings `%s` in %s/*.json: the role that brings them was not applied to this host" % (name, ROLE_FOLDER)
        )


def _read(path):
    try:
        with io.open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (IOError, OSError) as error:
        raise UsageError("cannot read settings: %s" % error)
    except ValueError as error:
        raise UsageError("%s is not JSON: %s" % (path, error))
    if not isinstance(value, dict):
        raise UsageError("%s holds a %s, an object is wanted" % (path, type(value).__name__))
    return value
