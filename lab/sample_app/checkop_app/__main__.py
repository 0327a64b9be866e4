"""Start the sample application: `python2.7 -m checkop_app`, settings from the environment."""

import os
import signal
import sys
import threading
import time

from checkop_app import logs
from checkop_app.database import Database
from checkop_app.readiness import Readiness
from checkop_app.server import Server
from checkop_app.settings import Settings
from checkop_app.storage import Storage

# Less than the unit's TimeoutStopSec, so that open work is finished rather than killed.
_FINISH_SECONDS = 60


def main():
    """Serve until SIGTERM, then finish what is open; return the exit status."""
    try:
        settings = Settings(os.environ)
    except KeyError as error:
        sys.stderr.write("checkop: {0} is not set; it belongs in /etc/checkop/checkop.env\n".format(error.args[0]))
        return 1
    log = logs.configure(settings.log_dir)
    storage, database = Storage(settings.storage, settings.host), Database(settings)

    def prove_database():
        try:
            database.ping()
        except Exception:
            database.prepare()

    readiness = Readiness(
        {"database": prove_database, "storage": lambda: storage.probe(settings.host)}, settings.fault
    )
    readiness.start()
    server = Server(settings, storage, database, readiness)

    def stop(_signal, _frame):
        server.stopping = True
        # shutdown() waits for serve_forever(), which runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("version %s serves on %s:%s", settings.version, settings.bind, settings.port)
    server.serve_forever(poll_interval=0.1)
    began = time.time()
    left = server.finish(_FINISH_SECONDS)
    log.info("stopped after %.1f s with %d requests left", time.time() - began, left)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
