"""Requests through the balancer, zone by zone, as a user's browser would send them: TLS, server name and all."""

from __future__ import annotations

import http.client
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_SECONDS = 5
# A zone that fails so often is not asked any further: the rollout has to go on looking at AWS meanwhile.
ENOUGH_FAILURES = 3
HTTPS = 443
GOOD = range(200, 300)


@dataclass
class ZoneResult:
    """What one zone's node of the balancer answered.

    `versions` and `hosts` count answers by application version and by instance, where the answers name them.
    """

    zone: str
    address: str
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)


class _Connection(http.client.HTTPSConnection):
    """An HTTPS connection to a given address, with the host's own name in TLS and in the request."""

    def __init__(self, host: str, address: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS, context=context)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        """Connect to the address instead of resolving the host."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise


def ask(
    host: str, nodes: Mapping[str, str], paths: Sequence[str], requests: int, *, ca_file: str = "", port: int = HTTPS
) -> list[ZoneResult]:
    """Ask every zone's node of the balancer.

    Each request takes a new connection, so that the balancer chooses a target anew.

    Parameters
    ----------
    host:
        Server name for TLS and the Host header, for example ``checkop.co``.
    nodes:
        Zone to the address of the balancer's node there.
    paths:
        Paths to ask in turn.
    requests:
        Number of requests to each zone.
    ca_file:
        PEM file of the certificate authority to trust; empty: the system's.
    port:
        The balancer's port.

    Returns
    -------
    list[ZoneResult]
        One for each zone; a request that failed is in its `failures`, one sentence each.

    Raises
    ------
    CheckopError
        The certificate authority's file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise CheckopError(
            f"balancer_ca_file is {ca_file}, which holds no certificates in PEM ({error}). Give the authority's file, "
            "or leave it empty for the system's."
        ) from error

    def ask_zone(zone: str, address: str) -> ZoneResult:
        result = ZoneResult(zone, address)
        for count in range(requests):
            if len(result.failures) < ENOUGH_FAILURES:
                _one(_Connection(host, address, port, context), paths[count % len(paths)], result)
        return result

    with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
        return list(pool.map(ask_zone, *zip(*sorted(nodes.items()), strict=True))) if nodes else []


def _one(connection: http.client.HTTPSConnection, path: str, result: ZoneResult) -> None:
    try:
        connection.request("GET", path, headers={"User-Agent": "checkop-rollout-check"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        result.failures.append(f"{path} through {result.zone}: {error or type(error).__name__}")
        return
    finally:
        connection.close()
    if answer.status not in GOOD:
        result.failures.append(f"{path} through {result.zone}: HTTP {answer.status}")
        return
    result.answered += 1
    version, instance = answer.headers.get("X-CheckOP-Version", ""), answer.headers.get("X-CheckOP-Host", "")
    if version:
        result.versions[version] = result.versions.get(version, 0) + 1
    if instance:
        result.hosts[instance] = result.hosts.get(instance, 0) + 1


def complaint(results: Sequence[ZoneResult], wanted_version: str, *, all_new: bool) -> str:
    """Return why a check does not pass, or empty.

    Parameters
    ----------
    results:
        The zones' answers.
    wanted_version:
        Application version of the new image; empty: not known, and not looked at.
    all_new:
        Every answer must be of the new version, instead of at least one.
    """
    if not results:
        return "no zone of the balancer could be asked"
    failures = [failure for result in results for failure in result.failures]
    if failures:
        asked = sum(result.answered + len(result.failures) for result in results)
        return f"{len(failures)} of {asked} requests failed, the first: {failures[0]}"
    versions: dict[str, int] = {}
    for result in results:
        for version, count in result.versions.items():
            versions[version] = versions.get(version, 0) + count
    if not wanted_version or not versions:
        return ""
    if wanted_version not in versions:
        return f"no answer came from version {wanted_version}, only from {', '.join(sorted(versions))}"
    if all_new and len(versions) > 1:
        others = sorted(set(versions) - {wanted_version})
        return f"answers still come from version {', '.join(others)}"
    return ""


def sentence(results: Sequence[ZoneResult]) -> str:
    """Sum a check up for the operator."""
    parts = []
    for result in results:
        versions = ", ".join(f"{count} of {version}" for version, count in sorted(result.versions.items()))
        parts.append(f"{result.zone} {result.answered} answers{f' ({versions})' if versions else ''}")
    return "; ".join(parts)
