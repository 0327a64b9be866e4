"""Health checks of targets, as Elastic Load Balancing makes them.

Follows "Health checks for your target groups" of the user guide: a check starts every interval; a new target is
`initial` until one check passes or the unhealthy threshold is reached; after that the two thresholds count results in
a row. HAProxy's own checks are not used: they count their interval from the end of a check and know no `initial`.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.api.hooks import TargetHealth

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.api.views import TargetGroup

INITIAL = TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = TargetHealth("healthy")


@dataclass(frozen=True)
class Settings:
    """How a target is checked; seconds and counts as in the target group."""

    protocol: str
    port: int
    path: str
    matcher: str
    interval: float
    timeout: float
    healthy_count: int
    unhealthy_count: int


def settings(group: TargetGroup, traffic_port: int) -> Settings:
    """Return the health check of a target group for a target that takes traffic on a port."""
    named = group.health_check_port
    return Settings(
        protocol=group.health_check_protocol,
        port=traffic_port if named == "traffic-port" else int(named),
        path=group.health_check_path,
        matcher=group.matcher,
        interval=group.health_check_interval_seconds,
        timeout=group.health_check_timeout_seconds,
        healthy_count=group.healthy_threshold_count,
        unhealthy_count=group.unhealthy_threshold_count,
    )


def matches(matcher: str, status: int) -> bool:
    """Tell whether a status code is one of a matcher such as `200` or `200-299,301`."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


class Verdict:
    """What consecutive results amount to."""

    def __init__(self) -> None:
        self.health = INITIAL
        self._passed = 0
        self._failed = 0

    def take(self, failure: TargetHealth | None, one: Settings) -> bool:
        """Count a result (None: passed) and return whether the verdict changed."""
        before = self.health
        if failure is None:
            self._passed, self._failed = self._passed + 1, 0
            needed = 1 if before.state == "initial" else one.healthy_count
            if before.state != "healthy" and self._passed >= needed:
                self.health = HEALTHY
        else:
            self._passed, self._failed = 0, self._failed + 1
            if before.state == "unhealthy" or self._failed >= one.unhealthy_count:
                self.health = failure
        return self.health != before


class Checker:
    """Checks one target in a thread of its own until it is stopped.

    Args:
        address: where it is.
        one: how it is checked; may be replaced at any time.
        changed: called when the verdict has changed.
    """

    def __init__(self, address: str, one: Settings, changed: Callable[[], None]) -> None:
        self._address = address
        self._changed = changed
        self._verdict = Verdict()
        self._ended = threading.Event()
        self.settings = one
        # False: cut off, every check times out.
        self.reachable = True
        threading.Thread(target=self._loop, name=f"health-{address}", daemon=True).start()

    @property
    def health(self) -> TargetHealth:
        """The present verdict."""
        return self._verdict.health

    def stop(self) -> None:
        """End after the check under way."""
        self._ended.set()

    def _loop(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(timeout=max(0.0, due - time.monotonic())):
            one = self.settings
            due = max(due + one.interval, time.monotonic())
            if self._verdict.take(self._check(one), one) and not self._ended.is_set():
                self._changed()

    def _check(self, one: Settings) -> TargetHealth | None:
        """Return None when a check passes, else what DescribeTargetHealth says of such a failure."""
        timed_out = TargetHealth("unhealthy", "Target.Timeout", "Request timed out")
        if not self.reachable:
            self._ended.wait(timeout=one.timeout)
            return timed_out
        connection = self._connection(one)
        try:
            connection.request("GET", one.path, headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"})
            status = connection.getresponse().status
        except TimeoutError:
            return timed_out
        except (OSError, http.client.HTTPException):
            return TargetHealth("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
        finally:
            connection.close()
        if matches(one.matcher, status):
            return None
        description = f"Health checks failed with these codes: [{status}]"
        return TargetHealth("unhealthy", "Target.ResponseCodeMismatch", description)

    def _connection(self, one: Settings) -> http.client.HTTPConnection:
        if one.protocol != "HTTPS":
            return http.client.HTTPConnection(self._address, one.port, timeout=one.timeout)
        # Elastic Load Balancing does not verify a target's certificate either.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(self._address, one.port, timeout=one.timeout, context=context)
