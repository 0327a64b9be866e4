"""What an operator may set of a rollout, checked once."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """The inventory's `rollout_settings`, named as the variables without their concern; times in seconds.

    Percentages are of the desired capacity and mean what StartInstanceRefresh means by them (Amazon EC2 Auto Scaling
    API, RefreshPreferences).
    """

    fleet: str
    balancer: str
    target_group: str
    ssm_prefix: str
    min_size: int = 2
    desired_size: int = 2
    max_size: int = 4
    min_healthy_percent: int = 100
    max_healthy_percent: int = 150
    checkpoints: tuple[int, ...] = (50, 100)
    checkpoint_delay_seconds: int = 300
    soak_seconds: int = 300
    warmup_seconds: int = 60
    timeout_seconds: int = 7200
    step_timeout_seconds: int = 1800
    poll_seconds: float = 15
    auto_rollback: bool = True
    skip_matching: bool = True
    pause: Literal["automatic", "manual"] = "automatic"
    pause_limit_seconds: int = 14400
    strategy: Literal["rolling", "blue_green"] = "rolling"
    weights: tuple[int, ...] = (10, 50, 100)
    hold_seconds: int = 900
    alarms: tuple[str, ...] = ()
    freeze: dict[str, str] = field(default_factory=dict)
    check_host: str = ""
    check_paths: tuple[str, ...] = ("/health/ready",)
    check_requests: int = 20
    check_timeout_seconds: int = 120
    resolve: dict[str, str] = field(default_factory=dict)
    ca_file: str = ""
    deregistration_delay_seconds: int = 300
    instance_hour_usd: float = 0.1664

    @property
    def manual(self) -> bool:
        """Whether each checkpoint waits for the operator's word."""
        return self.pause == "manual"


def from_options(options: Mapping[str, Any]) -> Settings:
    """Make settings of the inventory's `rollout_settings`.

    Raises
    ------
    CheckopError
        An option is unknown or missing, or a value is one that AWS or common sense does not allow; the message names
        the
        inventory variable and what is allowed.
    """
    known = {item.name: item for item in fields(Settings)}
    unknown = sorted(set(options) - set(known))
    missing = sorted(
        name
        for name, item in known.items()
        if name not in options and item.default is MISSING and item.default_factory is MISSING
    )
    if unknown or missing:
        raise CheckopError(
            f"rollout_settings: unknown {', '.join(unknown) or 'none'}, missing {', '.join(missing) or 'none'}; known "
            f"are {', '.join(known)}."
        )
    settings = Settings(**{name: _typed(name, str(known[name].type), value) for name, value in options.items()})
    _check(settings)
    return settings


def _typed(name: str, kind: str, value: Any) -> Any:  # noqa: PLR0911 - a return for each type
    """Return a value in its field's type; Ansible templates numbers and truth values to text now and then."""
    try:
        if kind == "int":
            return int(value)
        if kind == "float":
            return float(value)
        if kind == "bool":
            return {"true": True, "yes": True, "false": False, "no": False}[str(value).lower()]
        if kind.startswith("tuple[int"):
            return tuple(int(item) for item in value)
        if kind.startswith("tuple[str"):
            return tuple(str(item) for item in value)
        if kind.startswith("dict"):
            return {str(key): str(item) for key, item in dict(value).items()}
        if kind.startswith("Literal"):
            allowed = re.findall(r'"(\w+)"', kind.replace("'", '"'))
            if value not in allowed:
                raise CheckopError(f"{name} is {value!r}; it may be {' or '.join(allowed)}.")
        return str(value)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckopError(f"{name} of rollout_settings is {value!r}, which is no {kind}.") from error


def _check(settings: Settings) -> None:
    mends: list[str] = []
    low, high = settings.min_healthy_percent, settings.max_healthy_percent
    if not 0 <= low <= 100:  # noqa: PLR2004 - a percentage
        mends.append(f"rollout_min_healthy_percent is {low}; AWS allows 0 to 100")
    if not 100 <= high <= 200:  # noqa: PLR2004 - the range of MaxHealthyPercentage
        mends.append(f"rollout_max_healthy_percent is {high}; AWS allows 100 to 200")
    if high - low > 100:  # noqa: PLR2004 - the widest range AWS takes
        mends.append(
            f"rollout_max_healthy_percent {high} is more than 100 above rollout_min_healthy_percent {low}, which AWS "
            "refuses; bring them nearer"
        )
    mends += _check_ladder("rollout_checkpoints", settings.checkpoints)
    mends += _check_ladder("rollout_weights", settings.weights)
    if not 0 <= settings.checkpoint_delay_seconds <= 172800:  # noqa: PLR2004 - 48 hours
        mends.append(f"rollout_checkpoint_delay_seconds is {settings.checkpoint_delay_seconds}; AWS allows 0 to 172800")
    if not 0 <= settings.soak_seconds <= 172800:  # noqa: PLR2004 - 48 hours
        mends.append(f"rollout_soak_seconds is {settings.soak_seconds}; AWS allows 0 to 172800 (BakeTime)")
    if not settings.min_size <= settings.desired_size <= settings.max_size:
        mends.append(
            f"fleet_min_size {settings.min_size}, fleet_desired_size {settings.desired_size} and fleet_max_size "
            f"{settings.max_size} must not fall"
        )
    if settings.poll_seconds <= 0:
        mends.append(f"rollout_poll_seconds is {settings.poll_seconds}; give a number above 0")
    if mends:
        raise CheckopError("; ".join(mends) + ".")


def _check_ladder(name: str, values: tuple[int, ...]) -> list[str]:
    if not values or values[-1] != 100:  # noqa: PLR2004 - all of the group
        return [
            f"{name} is {list(values)}, which does not end at 100: part of the fleet would stay behind; end it with 100"
        ]
    if list(values) != sorted(set(values)) or values[0] < 1:
        return [f"{name} is {list(values)}; give rising percentages from 1 to 100, each once"]
    return []
