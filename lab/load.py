"""Traffic as users make it: an open-loop load on the balancer that counts every request and names every failure.

Requests are sent at a fixed rate whatever the answers do, and latency counts from the moment a request was due, so
that a stalled server cannot hide its own delay. Most requests share kept-alive connections, some open their own,
some upload a spreadsheet, and a few download a file that is too big for the buffers on its way, slowly, so that some
are always under way while an instance drains.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import socket
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

TIMEOUT_SECONDS = 15.0
LONG_DOWNLOAD_SECONDS = 4.0
LONG_DOWNLOAD_CHUNK = 64 * 1024
MOST_FAILURES_KEPT = 10_000


def spreadsheet(paddings: int) -> bytes:
    """Return a spreadsheet of sixteen bytes a padding and a little more."""
    head = b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">'
    return head + b"<!-- padding -->" * paddings + b"</Workbook>"


UPLOAD = spreadsheet(256)
LONG_DOWNLOAD = spreadsheet(512 * 1024)


@dataclass
class Tally:
    """What was sent, and what became of it.

    Latencies are in milliseconds, from the moment a request was due to the last byte of its answer.
    """

    requests: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def succeed(self, due: float, version: str, host: str) -> None:
        """Count an answer that came whole."""
        self.requests += 1
        self.latencies.append((time.monotonic() - due) * 1000)
        self.versions[version] += 1
        self.hosts[host] += 1

    def fail(self, due: float, kind: str, detail: str) -> None:
        """Count an answer that did not come, came in part, or came with an error."""
        self.requests += 1
        self.failed += 1
        if len(self.failures) < MOST_FAILURES_KEPT:
            waited = round(time.monotonic() - due, 3)
            self.failures.append({"at": time.time(), "waited_seconds": waited, "kind": kind, "detail": detail})

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return the figures of a run that took `seconds`."""
        ordered = sorted(self.latencies)

        def percentile(share: float) -> float:
            return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0

        return {
            "requests": self.requests,
            "failed": self.failed,
            "seconds": round(seconds, 1),
            "rate_per_second": round(self.requests / seconds, 1) if seconds else 0.0,
            "p50_ms": percentile(0.50),
            "p99_ms": percentile(0.99),
            "versions": dict(self.versions),
            "hosts": dict(self.hosts),
            "failures": self.failures,
        }


class Nodes(AbstractResolver):
    """Answers every name with all nodes of the balancer, in turning order, as its DNS name does.

    Whoever cannot connect to the first takes the next.
    """

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses
        self._turn = itertools.cycle(range(len(addresses)))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the nodes (aiohttp's resolver interface)."""
        first = next(self._turn)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses[first:] + self._addresses[:first]
        ]

    async def close(self) -> None:
        """Nothing is held open."""


class Load:
    """A running load.

    Parameters
    ----------
    url:
        Where to send, for example ``https://checkop.co``.
    addresses:
        The balancer's nodes.
    ca_file:
        Certificate authority of the balancer's certificate.
    rate:
        Requests a second.
    """

    def __init__(self, url: str, addresses: list[str], ca_file: Path, rate: float) -> None:
        self.tally = Tally()
        self._url = url.rstrip("/")
        self._addresses = addresses
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._rate = rate
        self._long_download = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop, then wait for what is under way."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_SECONDS, sock_read=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(resolver=Nodes(self._addresses), use_dns_cache=False, limit=0, ssl=self._tls)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await self._prepare(session)
            open_work: set[asyncio.Task[None]] = set()
            began = time.monotonic()
            for number in itertools.count():
                due = began + number / self._rate
                delay = due - time.monotonic()
                if delay > 0:
                    await asyncio.sleep(delay)
                if stop.is_set():
                    break
                task = asyncio.create_task(self._one(session, number, due))
                open_work.add(task)
                task.add_done_callback(open_work.discard)
            if open_work:
                await asyncio.wait(open_work, timeout=TIMEOUT_SECONDS)

    async def _prepare(self, session: aiohttp.ClientSession) -> None:
        """Upload what the long downloads ask for."""
        async with session.post(f"{self._url}/api/uploads", data=LONG_DOWNLOAD) as answer:
            answer.raise_for_status()
            self._long_download = str((await answer.json(content_type=None))["id"])

    async def wait_ready(self, stop: asyncio.Event) -> None:
        """Ask until every node of the balancer has answered well once."""
        for address in self._addresses:
            connector = aiohttp.TCPConnector(resolver=Nodes([address]), use_dns_cache=False, ssl=self._tls)
            async with aiohttp.ClientSession(connector=connector) as session:
                while not stop.is_set():
                    try:
                        async with session.get(f"{self._url}/health/ready") as answer:
                            if answer.ok:
                                break
                    except (aiohttp.ClientError, OSError):
                        pass
                    await asyncio.sleep(0.2)

    async def _one(self, session: aiohttp.ClientSession, number: int, due: float) -> None:
        try:
            if number % 100 == 50:  # noqa: PLR2004 - the mix: 1 % uploads
                await self._upload(session, due)
            elif number % 400 == 150:  # noqa: PLR2004 - 0.25 % long downloads
                await self._download(session, due)
            else:
                headers = {"Connection": "close"} if number % 20 == 0 else {}
                async with session.get(f"{self._url}/", headers=headers) as answer:
                    await answer.read()
                    self._judge(answer, due)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            self.tally.fail(due, type(error).__name__, str(error))

    async def _upload(self, session: aiohttp.ClientSession, due: float) -> None:
        async with session.post(f"{self._url}/api/uploads", data=UPLOAD) as answer:
            await answer.read()
            self._judge(answer, due)

    async def _download(self, session: aiohttp.ClientSession, due: float) -> None:
        async with session.get(f"{self._url}/api/uploads/{self._long_download}") as answer:
            began, received = time.monotonic(), 0
            while chunk := await answer.content.read(LONG_DOWNLOAD_CHUNK):
                received += len(chunk)
                ahead = received / len(LONG_DOWNLOAD) * LONG_DOWNLOAD_SECONDS - (time.monotonic() - began)
                await asyncio.sleep(max(ahead, 0))
            if answer.ok and received != len(LONG_DOWNLOAD):
                self.tally.fail(due, "short body", f"{received} of {len(LONG_DOWNLOAD)} bytes")
                return
            # The reader's own pauses are no latency of the service.
            self._judge(answer, time.monotonic())

    def _judge(self, answer: aiohttp.ClientResponse, due: float) -> None:
        if answer.ok:
            self.tally.succeed(
                due, answer.headers.get("X-CheckOP-Version", "?"), answer.headers.get("X-CheckOP-Host", "?")
            )
        else:
            self.tally.fail(due, f"status {answer.status}", answer.headers.get("X-CheckOP-Host", "balancer"))


async def _main(args: argparse.Namespace) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if args.seconds:
        loop.call_later(args.seconds, stop.set)
    load = Load(args.url, args.address, args.ca_file, args.rate)
    if args.wait_ready:
        await load.wait_ready(stop)
    began = time.monotonic()
    await load.run(stop)
    return load.tally.summary(time.monotonic() - began)


def main(argv: list[str] | None = None) -> int:
    """Send traffic until SIGTERM or for the given time, then print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Send traffic through the balancer and count what fails.")
    parser.add_argument("--url", default="https://checkop.co")
    parser.add_argument("--address", action="append", required=True, help="a node of the balancer; repeatable")
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=0.0, help="0: until SIGTERM")
    parser.add_argument("--wait-ready", action="store_true", help="count from the first sound answer on")
    parser.add_argument("--output", type=Path, help="file for the figures; by default standard output")
    args = parser.parse_args(argv)
    text = json.dumps(asyncio.run(_main(args)), indent=2) + "\n"
    if args.output:
        args.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
