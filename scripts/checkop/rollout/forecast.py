"""How long a rollout will take, step by step, from what earlier ones took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from checkop.ledger import Entry
    from checkop.rollout.plan import Plan, Step
    from checkop.rollout.settings import Settings

# An instance of CentOS 7 boots, mounts ChOp-Temp and starts the application in about so long, when nothing was
# measured yet.
BOOT_SECONDS = 120
# Earlier releases that count.
LOOK_BACK = 3


@dataclass(frozen=True)
class Line:
    """A step of the forecast and how long it takes."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """All steps; `measured` says from how many earlier releases the step's time comes."""

    lines: tuple[Line, ...]
    measured: int

    @property
    def seconds(self) -> float:
        """The whole."""
        return sum(line.seconds for line in self.lines)

    def table(self) -> list[str]:
        """Return it as lines for a terminal."""
        releases = "release" if self.measured == 1 else "releases"
        source = (
            f"from {self.measured} earlier {releases}" if self.measured else "from defaults, nothing was measured yet"
        )
        lines = [f"{line.seconds:6.0f} s  {line.text}" for line in self.lines]
        return [*lines, f"{self.seconds:6.0f} s  in all ({source})"]


def make(
    plan: Plan, settings: Settings, entries: Sequence[Entry], *, fast: bool = False, first: bool = False
) -> Forecast:
    """Forecast a release.

    Parameters
    ----------
    plan:
        Its steps; those of a first rollout and of blue/green are not looked at.
    settings:
        Delays, percentages, strategy.
    entries:
        The ledger, the newest first.
    fast:
        A way back: no checkpoint is held, nothing soaks.
    first:
        The group is empty: nothing is replaced.
    """
    if settings.strategy == "blue_green" and not first and not fast:
        return _blue_green(settings, entries)
    step = _measure(entries, first=first, operation="rollback" if fast else "rollout")
    boot = BOOT_SECONDS + settings.warmup_seconds
    per_step = step.seconds or boot
    lines: list[Line] = []
    if first:
        lines.append(Line(f"{settings.desired_size} instances boot and get healthy", per_step))
    for count, each in enumerate(plan.steps if not first else (), start=1):
        noun = "instance" if each.instances == 1 else "instances"
        lines.append(Line(f"step {count}: {each.instances} {noun} replaced, {each.percent} % new", per_step))
        if _holds(each) and not fast:
            lines.append(Line(f"checkpoint at {each.percent} %: held", settings.checkpoint_delay_seconds))
    if not first:
        ending = step.ending if step.count else settings.deregistration_delay_seconds
        lines.append(Line("the last old instances finish open requests and end", ending))
    if step.checks:
        lines.append(Line("checks through the balancer", step.checks))
    if not fast:
        lines.append(Line("soak under real traffic", settings.soak_seconds))
    return Forecast(tuple(lines), step.count)


def planned_seconds(plan: Plan, settings: Settings, *, fast: bool = False, first: bool = False) -> float:
    """Return how long the settings themselves let a release rest.

    Parameters
    ----------
    plan, settings, fast, first:
        As for `make`.
    """
    if fast:
        return 0.0
    if settings.strategy == "blue_green" and not first:
        return settings.checkpoint_delay_seconds * (len(settings.weights) - 1) + settings.hold_seconds
    holds = 0 if first else sum(_holds(each) for each in plan.steps)
    return holds * settings.checkpoint_delay_seconds + settings.soak_seconds


def _holds(step: Step) -> bool:
    """Whether a refresh rests after a step; the rest after the last one is the soak."""
    return step.checkpoint and step.percent < 100  # noqa: PLR2004 - per cent


def _blue_green(settings: Settings, entries: Sequence[Entry]) -> Forecast:
    rolled = _measure(entries, first=False)
    boot = boot_seconds(settings, entries)
    drain = rolled.ending if rolled.count else settings.deregistration_delay_seconds
    lines = [Line("green boots and gets healthy", boot)]
    lines += [
        Line(f"green takes {share} %, checked and held", settings.checkpoint_delay_seconds)
        for share in settings.weights[:-1]
    ]
    lines += [
        Line("green has all traffic, held", settings.hold_seconds),
        Line("blue, without traffic, gets the image too", boot + drain),
        Line("green finishes open requests and goes", drain),
    ]
    alike = [each for each in entries if each.strategy == "blue_green" and "planned" in each.timings][:LOOK_BACK]
    if alike:
        # What earlier ones took beside the pauses, boots and drains above.
        work = median(each.timings["total"] - each.timings["planned"] for each in alike)
        lines.append(Line("checks through the balancer, and changes of shares", max(work - 2 * (boot + drain), 0.0)))
    return Forecast(tuple(lines), max(rolled.count, len(alike)))


def boot_seconds(settings: Settings, entries: Sequence[Entry]) -> float:
    """Return how long an instance takes from launch until it is healthy behind the balancer."""
    step = _measure(entries, first=False)
    return step.seconds or _measure(entries, first=True).seconds or BOOT_SECONDS + settings.warmup_seconds


@dataclass(frozen=True)
class _Measured:
    """Seconds a step took, 0 when nothing was measured, in how many releases; and what came beside the steps."""

    seconds: float = 0.0
    count: int = 0
    # From the last replacement's health to the end of the last old instance.
    ending: float = 0.0
    # All else but what the settings let it rest.
    checks: float = 0.0


def _measure(entries: Sequence[Entry], *, first: bool, operation: str = "rollout") -> _Measured:
    """Take the median step of the newest releases of the kind; for want of those, of any that replaced instances."""
    rolling = [each for each in entries if each.result == "succeeded" and each.strategy == "rolling"]
    measured = [each for each in rolling if each.first == first and each.step_seconds]
    alike = [each for each in measured if each.operation == operation] or measured
    seen = alike[:LOOK_BACK]
    if not seen:
        return _Measured()
    return _Measured(
        median(each.step_seconds for each in seen),
        len(seen),
        median(each.timings.get("ending", 0.0) for each in seen),
        median(_checks(each.timings) for each in seen),
    )


def _checks(timings: Mapping[str, float]) -> float:
    if "planned" not in timings:
        return 0.0
    named = sum(timings.get(name, 0.0) for name in ("planned", "replacing", "ending"))
    return max(timings["total"] - named, 0.0)
