"""The instance metadata service, version 2, of every instance.

Follows the EC2 User Guide, "Use IMDS": a token by PUT /latest/api/token, then GET with it. Instances differ by the port
on which they ask, because all of them come from the same loopback address.
"""

from __future__ import annotations

import datetime
import json
import logging
import secrets
import selectors
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.api.views import Instance

log = logging.getLogger(__name__)

_MAX_TOKEN_SECONDS = 21600
_CREDENTIAL_HOURS = 6
_DOCUMENT_VERSION = "2017-09-30"
_REQUEST_TIMEOUT_SECONDS = 10
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 (the name of a header)


def tree(instance: Instance, *, account: str, region: str, credentials: tuple[str, str]) -> dict[str, Any]:
    """Return what an instance can read below /latest/, as nested dictionaries with text at the leaves.

    Args:
        instance: its view.
        account: account id, twelve digits.
        region: region name.
        credentials: access key id and secret of its role.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    meta: dict[str, Any] = {
        "ami-id": instance.image_id,
        "hostname": instance.private_dns_name,
        "instance-id": instance.instance_id,
        "instance-type": instance.instance_type,
        "local-hostname": instance.private_dns_name,
        "local-ipv4": instance.private_ip,
        "placement": {"availability-zone": instance.zone, "region": region},
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if instance.public_ip:
        meta["public-ipv4"] = instance.public_ip
    if instance.public_key:
        meta["public-keys"] = {"0": {"openssh-key": instance.public_key + "\n"}}
    if instance.target_lifecycle_state:
        meta["autoscaling"] = {"target-lifecycle-state": instance.target_lifecycle_state}
    if instance.metadata_options.get("InstanceMetadataTags") == "enabled":
        meta["tags"] = {"instance": dict(instance.tags)}
    if instance.instance_profile_arn:
        meta["iam"] = _iam(instance.instance_profile_arn, credentials, now)
    document = {
        "accountId": account,
        "architecture": "x86_64",
        "availabilityZone": instance.zone,
        "imageId": instance.image_id,
        "instanceId": instance.instance_id,
        "instanceType": instance.instance_type,
        "pendingTime": _timestamp(instance.launch_time),
        "privateIp": instance.private_ip,
        "region": region,
        "version": _DOCUMENT_VERSION,
    }
    latest: dict[str, Any] = {
        "meta-data": meta,
        "dynamic": {"instance-identity": {"document": json.dumps(document, indent=2)}},
    }
    if instance.user_data:
        latest["user-data"] = instance.user_data.decode("utf-8", errors="surrogateescape")
    return latest


def lookup(latest: dict[str, Any], path: str) -> str | None:
    """Return the text at a path below /latest/, a listing for a folder, or None where there is nothing."""
    node: Any = latest
    for part in (part for part in path.split("/") if part):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    if isinstance(node, dict):
        # A folder is marked with a slash; a role's name is a leaf although it has content.
        return "\n".join(f"{name}/" if isinstance(value, dict) else name for name, value in node.items())
    return str(node)


def _iam(profile_arn: str, credentials: tuple[str, str], now: datetime.datetime) -> dict[str, Any]:
    role = profile_arn.rpartition("/")[2]
    answer = {
        "Code": "Success",
        "LastUpdated": _timestamp(now),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials[0],
        "SecretAccessKey": credentials[1],
        "Token": "rehearsal",
        "Expiration": _timestamp(now + datetime.timedelta(hours=_CREDENTIAL_HOURS)),
    }
    info = {"Code": "Success", "LastUpdated": _timestamp(now), "InstanceProfileArn": profile_arn}
    return {"info": json.dumps(info), "security-credentials": {role: json.dumps(answer, indent=2)}}


def _timestamp(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class MetadataService:
    """One thread that listens for all instances and answers each connection in a thread of its own.

    Args:
        latest: returns an instance's tree (see `tree`) by its id, or None when it is unknown or cut off.
    """

    def __init__(self, latest: Callable[[str], dict[str, Any] | None]) -> None:
        self._latest = latest
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[str, socket.socket] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, name="metadata", daemon=True)
        self._thread.start()

    def listen(self, instance_id: str) -> int:
        """Open an instance's service and return its port on 127.0.0.1."""
        with self._lock:
            if instance_id in self._sockets:
                return int(self._sockets[instance_id].getsockname()[1])
            listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            self._sockets[instance_id] = listener
            self._selector.register(listener, selectors.EVENT_READ, instance_id)
        self._wake_writer.send(b"+")
        return int(listener.getsockname()[1])

    def close(self, instance_id: str) -> None:
        """Close an instance's service; no error when it has none."""
        with self._lock:
            listener = self._sockets.pop(instance_id, None)
            if listener is not None:
                self._selector.unregister(listener)
                listener.close()

    def stop(self) -> None:
        """Close every service and end the thread."""
        for instance_id in list(self._sockets):
            self.close(instance_id)
        self._wake_writer.close()
        self._thread.join(timeout=5)

    def token(self, instance_id: str, seconds: int) -> str:
        """Hand out a session token that is good for so many seconds on this instance."""
        token = secrets.token_urlsafe(40)
        now = time.monotonic()
        with self._lock:
            self._tokens = {known: entry for known, entry in self._tokens.items() if entry[1] > now}
            self._tokens[token] = (instance_id, now + seconds)
        return token

    def token_valid(self, instance_id: str, token: str) -> bool:
        """Tell whether a token was handed out to this instance and is still good."""
        entry = self._tokens.get(token)
        return entry is not None and entry[0] == instance_id and entry[1] > time.monotonic()

    def answer(self, instance_id: str, path: str) -> str | None:
        """Return the text at a full path such as /latest/meta-data/instance-id, or None where there is nothing."""
        latest = self._latest(instance_id)
        version, _, rest = path.strip("/").partition("/")
        if latest is None or version != "latest":
            return None
        return lookup(latest, rest)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._wake_reader.recv(1024):
                        return
                    continue
                listener = key.fileobj
                if not isinstance(listener, socket.socket):
                    continue
                try:
                    connection, address = listener.accept()
                except OSError:  # closed meanwhile
                    continue
                connection.settimeout(_REQUEST_TIMEOUT_SECONDS)
                threading.Thread(target=self._handle, args=(connection, address, str(key.data)), daemon=True).start()

    def _handle(self, connection: socket.socket, address: object, instance_id: str) -> None:
        with connection:
            try:
                _Handler(connection, address, _Context(self, instance_id))  # type: ignore[arg-type]
            except OSError as error:
                log.debug("metadata request of %s broke off: %s", instance_id, error)


class _Context:
    """What a handler knows besides its connection; stands where http.server expects its server."""

    def __init__(self, service: MetadataService, instance_id: str) -> None:
        self.service = service
        self.instance_id = instance_id


class _Handler(BaseHTTPRequestHandler):
    """Requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    server: _Context  # type: ignore[assignment]

    def do_PUT(self) -> None:
        """Hand out a session token."""
        if self.path.rstrip("/") != "/latest/api/token":
            self._reply(HTTPStatus.NOT_FOUND)
            return
        seconds = self.headers.get(_TTL_HEADER, "")
        if not seconds.isdigit() or not 1 <= int(seconds) <= _MAX_TOKEN_SECONDS:
            self._reply(HTTPStatus.BAD_REQUEST)
            return
        token = self.server.service.token(self.server.instance_id, int(seconds))
        self._reply(HTTPStatus.OK, token, {_TTL_HEADER: seconds})

    def do_GET(self) -> None:
        """Answer metadata to who shows a token; version 1 of the service is off, as in production."""
        token = self.headers.get(_TOKEN_HEADER, "")
        if not self.server.service.token_valid(self.server.instance_id, token):
            self._reply(HTTPStatus.UNAUTHORIZED)
            return
        text = self.server.service.answer(self.server.instance_id, self.path)
        if text is None:
            self._reply(HTTPStatus.NOT_FOUND)
        else:
            self._reply(HTTPStatus.OK, text)

    def _reply(self, status: HTTPStatus, text: str = "", headers: dict[str, str] | None = None) -> None:
        body = text.encode("utf-8", errors="surrogateescape")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Keep requests out of the lab's log."""
