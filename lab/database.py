"""RDS: one MariaDB server for each DB instance, with TLS of the lab's authority.

The server is small on purpose (no performance schema, small buffers). Parameters that MariaDB knows under the same name
are passed on; the others have no counterpart here and are listed by `lab status`.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pymysql

from lab import processes
from lab.api.hooks import Endpoint
from lab.errors import LabError
from lab.preflight import which

if TYPE_CHECKING:
    from pathlib import Path

    from lab.api.views import Database
    from lab.certificates import Authority
    from lab.jobs import Jobs

log = logging.getLogger(__name__)

_START_SECONDS = 30.0
_POLL_SECONDS = 0.05
_PASSED_ON = frozenset(
    {
        "character_set_server",
        "collation_server",
        "long_query_time",
        "max_allowed_packet",
        "max_connections",
        "require_secure_transport",
        "slow_query_log",
        "wait_timeout",
    }
)

_CONFIGURATION = """\
[mariadbd]
datadir = {folder}/data
socket = {socket}
pid_file = {folder}/mariadbd.pid
log_error = {folder}/error.log
slow_query_log_file = {folder}/slow.log
bind_address = 127.0.0.1
port = {port}
user = root
skip_name_resolve = 1
performance_schema = 0
innodb_buffer_pool_size = 16M
innodb_log_buffer_size = 2M
innodb_log_file_size = 8M
innodb_flush_log_at_trx_commit = 2
key_buffer_size = 1M
aria_pagecache_buffer_size = 1M
table_open_cache = 64
thread_cache_size = 4
max_connections = 200
ssl_ca = {ca}
ssl_cert = {certificate}
ssl_key = {key}
{parameters}"""


@dataclass
class Server:
    """One running MariaDB."""

    identifier: str
    folder: Path
    port: int
    child: processes.Child | None = None
    ready: bool = False
    # Monotonic time until which a fault keeps it away.
    away_until: float = 0.0
    master: tuple[str, str] = ("", "")
    not_emulated: list[str] = field(default_factory=list)


class Databases:
    """Closes the difference between the DB instances of the API and the servers that run.

    Args:
        folder: below it every server has its own.
        process_records: see `lab.processes`.
        authority: issues the servers' certificates.
        jobs: runs the work.
        region: part of the endpoint's name.
    """

    def __init__(self, folder: Path, process_records: Path, authority: Authority, jobs: Jobs, region: str) -> None:
        self._folder = folder
        self._records = process_records
        self._authority = authority
        self._jobs = jobs
        self._region = region
        self._servers: dict[str, Server] = {}
        self._lock = threading.Lock()

    def host(self, identifier: str) -> str:
        """Return the DNS name of a DB instance's endpoint."""
        return f"{identifier}.rehearsal.{self._region}.rds.amazonaws.com"

    def endpoint(self, identifier: str) -> Endpoint | None:
        """Return where a DB instance answers, or None while it has never answered."""
        server = self._servers.get(identifier)
        return Endpoint(self.host(identifier), server.port) if server and server.ready else None

    def hosts(self) -> list[str]:
        """Return the endpoint names of all servers."""
        return [self.host(identifier) for identifier in sorted(self._servers)]

    def servers(self) -> list[Server]:
        """Return all servers, sorted by identifier."""
        return [self._servers[identifier] for identifier in sorted(self._servers)]

    def only(self) -> str:
        """Return the identifier of the one DB instance there is.

        Raises:
            LabError: there is none, or more than one, so that it must be named.
        """
        if len(self._servers) != 1:
            raise LabError(f"Name the DB instance; these run: {', '.join(sorted(self._servers)) or 'none'}.")
        return next(iter(self._servers))

    def stop_for(self, identifier: str, seconds: float) -> None:
        """Take a server away for a while, as a failover or a reboot does; it returns by itself.

        Raises:
            LabError: there is no such DB instance.
        """
        server = self._servers.get(identifier)
        if server is None:
            raise LabError(f"No DB instance {identifier}; these run: {', '.join(sorted(self._servers)) or 'none'}.")
        server.away_until = time.monotonic() + seconds
        if server.child is not None:
            server.child.stop()

    def reconcile(self, wanted: list[Database]) -> None:
        """Start the work that makes servers run as wanted; those that died are started again."""
        for view in wanted:
            server = self._servers.get(view.identifier)
            runs = server is not None and server.child is not None and server.child.exit_status() is None
            if server is not None and time.monotonic() < server.away_until:
                continue
            if not runs or (server and server.master != (view.username, view.password)):
                self._jobs.submit(f"database/{view.identifier}", lambda view=view: self._serve(view))  # type: ignore[misc]
        listed = {view.identifier for view in wanted}
        for identifier in sorted(set(self._servers) - listed):
            self._jobs.submit(f"database/{identifier}", lambda gone=identifier: self._remove(gone))  # type: ignore[misc]

    def next_deadline(self) -> float | None:
        """Return the seconds until a server that a fault keeps away may return, or None."""
        away = [server.away_until - time.monotonic() for server in self._servers.values()]
        return min((seconds for seconds in away if seconds > 0), default=None)

    def close(self) -> None:
        """Stop all servers."""
        for server in self.servers():
            if server.child is not None:
                server.child.stop()

    def _serve(self, view: Database) -> None:
        server = self._servers.get(view.identifier)
        if server is None:
            server = Server(view.identifier, self._folder / view.identifier, _free_port())
            shutil.rmtree(server.folder, ignore_errors=True)
            server.folder.mkdir(parents=True)
            self._install(server)
            self._configure(server, view)
            self._servers[view.identifier] = server
        if server.child is None or server.child.exit_status() is not None:
            self._start(server)
        self._set_master(server, view)
        server.ready = True

    def _install(self, server: Server) -> None:
        command = [str(which("mariadb-install-db")), "--no-defaults", f"--datadir={server.folder / 'data'}"]
        command += ["--user=root", "--skip-test-db", "--auth-root-authentication-method=socket"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"mariadb-install-db failed for {server.identifier}: {done.stderr.strip()[-500:]}")

    def _configure(self, server: Server, view: Database) -> None:
        files = self._authority.issue(f"database-{view.identifier}", [self.host(view.identifier), "127.0.0.1"])
        passed = {name: value for name, value in view.parameters.items() if name in _PASSED_ON}
        server.not_emulated = sorted(set(view.parameters) - set(passed))
        text = _CONFIGURATION.format(
            folder=server.folder,
            socket=_SOCKET_NAME,
            port=server.port,
            ca=self._authority.file,
            certificate=files.certificate,
            key=files.key,
            parameters="".join(f"{name} = {value}\n" for name, value in sorted(passed.items())),
        )
        (server.folder / "my.cnf").write_text(text, encoding="utf-8")

    def _start(self, server: Server) -> None:
        command = [str(which("mariadbd")), f"--defaults-file={server.folder / 'my.cnf'}"]
        server.child = processes.spawn(self._records, f"database-{server.identifier}", command, cwd=server.folder)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                _administer(server, [])
            except pymysql.err.OperationalError as error:
                if server.child.exit_status() is not None or time.monotonic() > deadline:
                    raise LabError(f"MariaDB of {server.identifier} does not start: {_last_error(server)}") from error
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _set_master(self, server: Server, view: Database) -> None:
        """Make the master user, its password and the first schema be as the API says."""
        if server.master == (view.username, view.password):
            return
        user, password = view.username, view.password
        statements: list[tuple[str, tuple[str, ...]]] = [
            ("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (user, password)),
            ("ALTER USER %s@'%%' IDENTIFIED BY %s", (user, password)),
            ("GRANT ALL PRIVILEGES ON *.* TO %s@'%%' WITH GRANT OPTION", (user,)),
        ]
        if view.schema:
            quoted = view.schema.replace("`", "``")
            statements.insert(0, (f"CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4", ()))
        _administer(server, statements)
        server.master = (user, password)

    def _remove(self, identifier: str) -> None:
        server = self._servers[identifier]
        if server.child is not None:
            server.child.stop()
        shutil.rmtree(server.folder)
        self._servers.pop(identifier)


# Relative to the data folder, where mariadbd works: in a deep checkout the whole path may exceed 107 characters.
_SOCKET_NAME = "mariadbd.sock"


def _administer(server: Server, statements: list[tuple[str, tuple[str, ...]]]) -> None:
    """Run statements as root over the server's socket, which only this machine's root can reach."""
    descriptor = _open_folder(server.folder / "data")
    try:
        connection = pymysql.connect(
            unix_socket=f"/proc/self/fd/{descriptor}/{_SOCKET_NAME}", user="root", autocommit=True, connect_timeout=5
        )
        with closing(connection), connection.cursor() as cursor:
            for text, values in statements:
                cursor.execute(text, values or None)
    finally:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _last_error(server: Server) -> str:
    try:
        lines = (server.folder / "error.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "it wrote no log"
    return next((line for line in reversed(lines) if "ERROR" in line), lines[-1] if lines else "its log is empty")
