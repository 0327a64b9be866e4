"""How long a rollout will take, step by step, from what earlier ones took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checkop.ledger import Entry
    from checkop.rollout.plan import Plan
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


def make(
    plan: Plan, settings: Settings, entries: Sequence[Entry], *, fast: bool = False, first: bool = False
) -> Forecast:
    """Forecast a release.

    Parameters
    ----------
    plan:
        Its steps; those of a first rollout are not looked at.
    settings:
        Delays and percentages.
    entries:
        The ledger, the newest first.
    fast:
        A way back: no checkpoint is held, nothing soaks.
    first:
        The group is empty: nothing is replaced.
    """
    per_step, measured = _step_seconds(settings, entries, first=first)
    lines: list[Line] = []
    if first:
        lines.append(Line(f"{settings.desired_size} instances boot and get healthy", per_step))
    for count, step in enumerate(plan.steps if not first else (), start=1):
        noun = "instance" if step.instances == 1 else "instances"
        lines.append(Line(f"step {count}: {step.instances} {noun} replaced, {step.percent} % new", per_step))
        if step.checkpoint and not fast and step.percent < 100:  # noqa: PLR2004 - the end is the soak's
            lines.append(Line(f"checkpoint at {step.percent} %: checks, then held", settings.checkpoint_delay_seconds))
    if not fast:
        lines.append(Line("soak under real traffic", settings.soak_seconds))
    return Forecast(tuple(lines), measured)


def _step_seconds(settings: Settings, entries: Sequence[Entry], *, first: bool) -> tuple[float, int]:
    seen = [
        entry.timings["replacing"] / max(entry.steps, 1)
        for entry in entries
        if entry.result == "succeeded" and entry.first == first and entry.timings.get("replacing")
    ][:LOOK_BACK]
    if seen:
        return median(seen), len(seen)
    boot = BOOT_SECONDS + settings.warmup_seconds
    return (boot if first else boot + settings.deregistration_delay_seconds), 0


def table(forecast: Forecast) -> list[str]:
    """Return the forecast as lines for a terminal."""
    source = (
        f"from {forecast.measured} earlier release{'s' if forecast.measured > 1 else ''}"
        if forecast.measured
        else "from defaults, nothing was measured yet"
    )
    lines = [f"{line.seconds:6.0f} s  {line.text}" for line in forecast.lines]
    return [*lines, f"{forecast.seconds:6.0f} s  in all ({source})"]
