"""Health checks: what results amount to, and a real server that passes, refuses, hangs."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

import pytest

from lab import health
from lab.api.hooks import TargetHealth
from lab.api.views import TargetGroup

ONE = health.Settings("HTTP", 80, "/health/ready", "200", 0.05, 0.5, healthy_count=3, unhealthy_count=2)
BAD = TargetHealth("unhealthy", "Target.Timeout", "Request timed out")


def states(results: str) -> list[str]:
    """Verdicts after each result: `+` passed, `-` failed."""
    verdict, seen = health.Verdict(), []
    for result in results:
        verdict.take(None if result == "+" else BAD, ONE)
        seen.append(verdict.health.state)
    return seen


@pytest.mark.parametrize(
    ("results", "last"),
    [
        ("+", "healthy"),
        ("-", "initial"),
        ("-+", "healthy"),
        ("--", "unhealthy"),
        ("--++", "unhealthy"),
        ("--+++", "healthy"),
        ("--++-++", "unhealthy"),
        ("+-", "healthy"),
        ("+-+-", "healthy"),
        ("+--", "unhealthy"),
    ],
)
def test_thresholds_count_results_in_a_row(results: str, last: str) -> None:
    assert states(results)[-1] == last


@pytest.mark.parametrize(
    ("matcher", "status", "fits"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("200-299,301", 301, True),
        ("200-299, 301", 250, True),
        ("200,202", 201, False),
    ],
)
def test_matcher(matcher: str, status: int, fits: bool) -> None:
    assert health.matches(matcher, status) is fits


def test_settings_follow_the_target_group(group: Callable[..., TargetGroup]) -> None:
    assert health.settings(group(), 8080).port == 8080
    assert health.settings(group(health_check_port="81"), 8080).port == 81


class Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    hang = threading.Event()
    agents: ClassVar[list[str]] = []
    times: ClassVar[list[float]] = []

    def do_GET(self) -> None:
        self.times.append(time.monotonic())
        self.agents.append(self.headers["User-Agent"])
        if self.hang.is_set():
            threading.Event().wait(2)
        self.send_response(type(self).status if self.path == "/health/ready" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    Handler.status = 200
    Handler.hang.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_real_target_through_its_life(port: int, until: Callable[..., None]) -> None:
    changes: list[int] = []
    checker = health.Checker("127.0.0.1", replace(ONE, port=port), lambda: changes.append(1))
    until(lambda: checker.health.state == "healthy")
    assert Handler.agents[0] == "ELB-HealthChecker/2.0"
    Handler.status = 503
    until(lambda: checker.health.reason == "Target.ResponseCodeMismatch")
    assert "[503]" in checker.health.description
    Handler.status = 200
    until(lambda: checker.health.state == "healthy")
    Handler.hang.set()
    until(lambda: checker.health.reason == "Target.Timeout")
    Handler.hang.clear()
    until(lambda: checker.health.state == "healthy")
    checker.reachable = False
    until(lambda: checker.health.reason == "Target.Timeout")
    checker.reachable = True
    checker.settings = replace(ONE, port=1)
    until(lambda: checker.health.reason == "Target.FailedHealthChecks")
    assert len(changes) >= 7
    checker.stop()


def test_checks_start_every_interval_however_long_they_take(port: int, until: Callable[..., None]) -> None:
    Handler.hang.set()
    Handler.times.clear()
    checker = health.Checker("127.0.0.1", replace(ONE, port=port, interval=0.4, timeout=0.3), lambda: None)
    until(lambda: len(Handler.times) >= 4, 5)
    checker.stop()
    # Three intervals of 0.4 s; counted from the end of checks that time out after 0.3 s it would be 2.1 s.
    assert 1.1 < Handler.times[3] - Handler.times[0] < 1.7
