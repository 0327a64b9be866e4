"""Faults of the API on request: throttled calls and failing ones, for `lab fault` and the fault matrix."""

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

# What services answer when they throttle; Auto Scaling, RDS and others say Throttling, EC2 RequestLimitExceeded.
THROTTLING = "ThrottlingException"
THROTTLING_OF = {
    "ec2": "RequestLimitExceeded",
    "s3": "SlowDown",
    "autoscaling": "Throttling",
    "elasticloadbalancing": "Throttling",
    "rds": "Throttling",
    "cloudwatch": "Throttling",
    "monitoring": "Throttling",
    "iam": "Throttling",
    "sns": "Throttling",
    "sts": "Throttling",
    "route53": "Throttling",
}
MESSAGE = {"Throttling": "Rate exceeded", "RequestLimitExceeded": "Request limit exceeded."}


@dataclass
class Rule:
    """Every n-th call that fits fails with a code."""

    every: int
    # Code of the answer, for example InternalError; `Throttling` becomes the service's own word for it.
    code: str
    # HTTP status of the answer.
    status: int
    # Name of the service as clients sign for it (`ec2`, `autoscaling`, ...), or None: all of them.
    service: str | None = None
    # Name of the operation (`DescribeImages`), or None: all of them.
    operation: str | None = None
    # How many calls it lets fail, or None: no end.
    times: int | None = None
    seen: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)

    def fails(self, service: str, operation: str) -> bool:
        """Count a call and return whether it shall fail."""
        if self.service not in (None, service) or self.operation not in (None, operation):
            return False
        if self.times is not None and self.failed >= self.times:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.failed += 1
        return True


class Faults:
    """The faults that are switched on; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def api(
        self,
        *,
        every: int,
        code: str = "Throttling",
        status: int | None = None,
        service: str | None = None,
        operation: str | None = None,
        times: int | None = None,
    ) -> Rule:
        """Let every n-th call fail (1: each), until `clear` or for so many `times`.

        `status` is the HTTP status; None: 400 for throttling (503 from EC2 and S3), else 500. Returns the rule, which
        counts. Raises ValueError when `every` is below 1.
        """
        if every < 1:
            raise ValueError(f"every is {every}; it must be at least 1 (1: every call fails)")
        default = 400 if code == "Throttling" else 500
        rule = Rule(every, code, status or default, service, operation, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._rules.clear()

    def describe(self) -> list[dict[str, Any]]:
        """Return the faults that are on, with their counts."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def failure(self, service: str, operation: str) -> tuple[int, str, str] | None:
        """Count a call; return HTTP status, code and message when it shall fail."""
        with self._lock:
            for rule in self._rules:
                if rule.fails(service, operation):
                    code = THROTTLING_OF.get(service, THROTTLING) if rule.code == "Throttling" else rule.code
                    status = 503 if code in ("RequestLimitExceeded", "SlowDown") else rule.status
                    return status, code, MESSAGE.get(code, "The rehearsal was asked to let this call fail.")
        return None
