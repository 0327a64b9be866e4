"""Settings of the sample application, from the environment file of the host."""

import io
import json
import os
import socket


class Settings(object):
    """What the process was told when it started.

    Raises KeyError naming the first required variable that is missing.
    """

    def __init__(self, environment):
        self.bind = environment.get("CHECKOP_BIND", "127.0.0.1")
        self.port = int(environment.get("CHECKOP_PORT", "8000"))
        self.log_dir = environment.get("CHECKOP_LOG_DIR", "/var/log/checkop")
        self.storage = environment["CHECKOP_STORAGE"]
        self.database = {
            "host": environment["CHECKOP_DATABASE_HOST"],
            "port": int(environment.get("CHECKOP_DATABASE_PORT", "3306")),
            "database": environment["CHECKOP_DATABASE_SCHEMA"],
            "user": environment["CHECKOP_DATABASE_USERNAME"],
            "password": environment["CHECKOP_DATABASE_PASSWORD"],
        }
        self.ca_file = environment.get("CHECKOP_DATABASE_CA_FILE", "")
        self.version = _read("VERSION", environment.get("CHECKOP_VERSION", "unknown")).strip()
        self.host = socket.gethostname()
        # What a broken release does, for rehearsals of failure; an archive without the file is sound.
        self.fault = json.loads(_read("fault.json", "{}"))


def _read(name, default):
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), name)
    if not os.path.exists(path):
        return default
    with io.open(path, encoding="utf-8") as stream:
        return stream.read()
