"""HTTP of the sample application: JSON in and out, files streamed, open work finished before the process ends."""

import json
import logging
import os
import shutil
import socket
import threading
import time
import uuid

from checkop_app import storage as files

try:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from socketserver import ThreadingMixIn
except ImportError:  # Python 2
    from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
    from SocketServer import ThreadingMixIn

LOG = logging.getLogger("checkop")
_IDLE_SECONDS = 75
_LARGEST_BODY = 64 * 1024 * 1024


class Server(ThreadingMixIn, HTTPServer):
    """One thread a connection; `finish` waits for requests under way and hangs up on idle connections."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, settings, storage, database, readiness):
        HTTPServer.__init__(self, (settings.bind, settings.port), Handler)
        self.settings, self.storage, self.database, self.readiness = settings, storage, database, readiness
        self.stopping = False
        self._lock = threading.Condition()
        self._busy = 0
        self._idle = set()

    def enter(self, connection):
        """Count a request that has begun."""
        with self._lock:
            self._busy += 1
            self._idle.discard(connection)

    def leave(self, connection):
        """Count it as done; the connection waits for its next request."""
        with self._lock:
            self._busy -= 1
            self._idle.add(connection)
            self._lock.notify_all()

    def forget(self, connection):
        """The connection is gone."""
        with self._lock:
            self._idle.discard(connection)

    def finish(self, seconds):
        """Wait at most `seconds` for open requests; return how many were left."""
        deadline = time.time() + seconds
        with self._lock:
            for connection in list(self._idle):
                try:
                    connection.shutdown(socket.SHUT_RD)
                except (OSError, socket.error):
                    LOG.debug("an idle connection was gone already")
            while self._busy and time.time() < deadline:
                self._lock.wait(0.2)
            return self._busy


class Handler(BaseHTTPRequestHandler):
    """Routes of the sample application."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # One segment an answer: without it Nagle's algorithm and delayed acknowledgements cost 40 ms a request.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):  # noqa: N802 - the name is the base class's
        self._serve({"health": self._health, "api": self._read, "": self._home})

    def do_POST(self):  # noqa: N802
        self._serve({"api": self._write})

    def _serve(self, routes):
        connection = self.connection
        self.server.enter(connection)
        try:
            if self.server.readiness.hanging():
                threading.Event().wait()
            parts = self.path.split("?")[0].strip("/").split("/")
            route = routes.get(parts[0])
            if route is None:
                self._answer(404, {"error": "no such address"})
            else:
                route(parts[1:])
        except files.Refused as error:
            self.close_connection = True
            LOG.warning("refused %s %s: %s", self.command, self.path, error)
            self._answer(422, {"error": str(error)})
        except (socket.error, OSError, ValueError, KeyError) as error:
            self.close_connection = True
            LOG.error("failed %s %s: %r", self.command, self.path, error)
            self._answer(500, {"error": repr(error)})
        finally:
            if self.server.stopping:
                self.close_connection = True
            self.server.leave(connection)

    def finish(self):
        self.server.forget(self.connection)
        BaseHTTPRequestHandler.finish(self)

    def _answer(self, status, body):
        payload = json.dumps(body, sort_keys=True).encode("utf-8") + b"\n"
        self._head(status, "application/json", len(payload))
        self.wfile.write(payload)
        self.wfile.flush()

    def _head(self, status, content_type, length):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        self.send_header("X-CheckOP-Version", self.server.settings.version)
        self.send_header("X-CheckOP-Host", self.server.settings.host)
        if self.server.stopping or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _home(self, _parts):
        self._answer(200, {"application": "checkop", "version": self.server.settings.version})

    def _health(self, parts):
        if parts == ["live"]:
            self._answer(200, {"live": True})
        elif parts == ["ready"]:
            ready, details = self.server.readiness.report()
            self._answer(200 if ready else 503, dict(details, ready=ready))
        else:
            self._answer(404, {"error": "health is /health/live or /health/ready"})

    def _read(self, parts):
        if parts == ["jobs"]:
            self._answer(200, self.server.database.counts())
            return
        if len(parts) != 2 or parts[0] not in files.SUFFIX:
            raise files.Refused("files are /api/{uploads,reports,archives}/<identifier>")
        path = self.server.storage.existing(parts[0], parts[1])
        self._head(200, "application/octet-stream", os.path.getsize(path))
        with open(path, "rb") as stream:
            shutil.copyfileobj(stream, self.wfile, 64 * 1024)
        self.wfile.flush()

    def _write(self, parts):
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 < length <= _LARGEST_BODY:
            raise files.Refused("the body has {0} bytes; 1 to {1} are taken".format(length, _LARGEST_BODY))
        server = self.server
        if parts == ["uploads"]:
            identifier = server.storage.upload(self.rfile, length)
        else:
            asked = json.loads(self.rfile.read(length).decode("utf-8"))
            if parts == ["reports"]:
                facts = {"host": server.settings.host, "version": server.settings.version}
                identifier = server.storage.report(asked["upload"], facts)
            elif parts == ["photos"]:
                identifier = server.storage.photos(asked["urls"])
            elif parts == ["archives"]:
                identifier = server.storage.archive(asked["photos"])
            else:
                raise files.Refused("work is posted to /api/{uploads,reports,photos,archives}")
        server.database.record(uuid.uuid4().hex, parts[0], server.settings.host, server.settings.version)
        LOG.info("%s %s kept", parts[0], identifier)
        self._answer(201, {"id": identifier})

    def log_message(self, format, *args):  # noqa: A002 - the base class's name
        LOG.debug(format, *args)
