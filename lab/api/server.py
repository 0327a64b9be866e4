"""The HTTP server of the API: moto's WSGI application behind one lock, with faults on request."""

import io
import json
import logging
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer

from lab.api.faults import Faults

log = logging.getLogger("lab.api")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

# Operations that only read; anything else may have changed something.
READING = re.compile(r"^(Describe|Get|List|Head|Lookup|Filter|Batch?Get|Search|Select|Simulate|Test)")
# Services that answer in XML.
XML_SERVICES = frozenset(
    {"ec2", "autoscaling", "elasticloadbalancing", "rds", "iam", "sts", "sns", "cloudformation", "s3", "route53"}
)


class Application:
    """WSGI application around moto's.

    The body is read before the lock is taken and the answer is sent after it is given back, so a slow client holds
    nobody up. `changed` is called after every request that may have changed something.
    """

    def __init__(self, lock: threading.RLock, faults: Faults, changed: Callable[[], None]) -> None:
        # moto warns about every error code that a service's model does not list, such as ValidationError.
        warnings.filterwarnings("ignore", message="Exception.* does not match an error shape")
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = lock
        self._faults = faults
        self._changed = changed

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        length = environ.get("CONTENT_LENGTH")
        if length:
            body = environ["wsgi.input"].read(int(length))
        elif environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read()
            environ["CONTENT_LENGTH"] = str(len(body))
        else:
            body = b""
        environ["wsgi.input"] = io.BytesIO(body)
        service, operation = call_of(environ, body)
        if failure := self._faults.failure(service, operation):
            return _refuse(environ, start_response, service, failure)
        answer: list[Any] = []

        def note(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            answer[:] = [status, headers]
            return lambda _data: None

        with self._lock:
            try:
                content = b"".join(self._moto(environ, note))
            except NotImplementedError as error:
                log.warning("%s %s is not implemented: %s", service, operation, error)
                message = f"The rehearsal cloud does not know {operation} of {service}."
                return _refuse(environ, start_response, service, (501, "NotImplemented", message))
            except Exception:
                log.exception("%s %s failed", service, operation)
                message = f"The rehearsal cloud failed on {operation} of {service}; see its log."
                return _refuse(environ, start_response, service, (500, "InternalFailure", message))
        log.debug("%s %s %s", service, operation, answer[0])
        if not reads_only(environ, operation):
            self._changed()
        start_response(*answer)
        return [content]


def call_of(environ: Environ, body: bytes) -> tuple[str, str]:
    """Return the service that a request was signed for and its operation; for REST APIs method and path."""
    rpc = re.fullmatch(r"/service/[^/]+/operation/(\w+)", environ.get("PATH_INFO", ""))
    match = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    service = match.group(1) if match else ""
    if rpc:
        return service, rpc.group(1)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return service, target.rsplit(".", maxsplit=1)[-1]
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode("utf-8", "replace")).get("Action")
        if action:
            return service, action[0]
    return service, f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '/')}"


def reads_only(environ: Environ, operation: str) -> bool:
    """Return whether a request cannot have changed anything."""
    if " " in operation:
        return environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS")
    return bool(READING.match(operation))


def _refuse(
    environ: Environ, start_response: StartResponse, service: str, failure: tuple[int, str, str]
) -> Iterable[bytes]:
    status, code, message = failure
    headers = [("x-amzn-ErrorType", code)]
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        kind, content = "application/cbor", _cbor({"__type": code, "message": message})
        headers += [("smithy-protocol", "rpc-v2-cbor"), ("x-amzn-query-error", f"{code};Sender")]
    elif service in XML_SERVICES:
        kind, content = "text/xml", _xml(service, code, message).encode()
    else:
        kind, content = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
    start_response(f"{status} {code}", [("Content-Type", kind), *headers])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else content]


def _xml(service: str, code: str, message: str) -> str:
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "ec2":
        return f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>lab</RequestID></Response>"
    if service == "s3":
        return f"<Error>{inner}</Error>"
    return f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>lab</RequestId></ErrorResponse>"


def _cbor(values: dict[str, str]) -> bytes:
    """Encode a small map of texts as CBOR (RFC 8949)."""

    def text(value: str) -> bytes:
        data = value.encode()
        return b"\x79" + len(data).to_bytes(2, "big") + data

    return bytes([0xA0 + len(values)]) + b"".join(text(key) + text(value) for key, value in values.items())


class _Handler(MotoRequestHandler):  # type: ignore[misc]
    """Keeps connections open, answers at once, and logs nothing by itself."""

    # Two small writes on one connection would otherwise wait for the other side's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    # Seconds that an idle connection keeps its thread.
    timeout = 60

    def run_wsgi(self) -> None:
        """Answer one request and leave the connection open, which werkzeug's own handler never does.

        That is safe here because the application reads every body to its end before it answers.
        """
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()

        length: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            code, _, reason = status.partition(" ")
            self.send_response(int(code), reason)
            for name, value in headers:
                if name.lower() == "content-length":
                    length.append(value)
                elif name.lower() != "connection":
                    self.send_header(name, value)

        content = b"".join(self.server.app(self.make_environ(), start_response))
        if self.command == "HEAD":
            # The length of what GET would answer.
            self.send_header("Content-Length", length[0] if length else "0")
            content = b""
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the log to the application."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Write werkzeug's own messages to our log."""
        log.debug(message, *args)


class _Server(ThreadedWSGIServer):
    request_queue_size = 128
    daemon_threads = True


class Server:
    """The API on a port of its own; `start` returns once it accepts connections."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on; raises RuntimeError when it does not."""
        if self._server is None:
            raise RuntimeError("the API is not being served; call start() first")
        return int(self._server.port)

    def start(self, host: str, port: int) -> None:
        """Serve on an address, port 0: any free one.

        Raises OSError when the port is in use.
        """
        # werkzeug would end the process on a port in use; a socket of our own raises OSError.
        with socket.create_server((host, port), backlog=_Server.request_queue_size) as listener:
            bound = listener.getsockname()[1]
            self._server = _Server(host, bound, self._application, handler=_Handler, fd=listener.fileno())
        self._thread = threading.Thread(target=self._server.serve_forever, name="lab-api", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and give the port back; no error when it does not serve."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._server = self._thread = None
