"""The preferences of an instance refresh (RefreshPreferences of the Amazon EC2 Auto Scaling API)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.rollout.watch import MANUAL_DELAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from checkop.rollout.model import Group
    from checkop.rollout.settings import Settings


def forward(settings: Settings, group: Group, version: int, checkpoints: Sequence[int]) -> dict[str, Any]:
    """Make the preferences of a rollout; every default of AWS that would surprise is written out.

    Parameters
    ----------
    settings:
        Percentages, delays, alarms.
    group:
        The group as it is.
    version:
        Number of the launch template version that is wanted.
    checkpoints:
        Percentages still to come, the last one 100; empty: all of them were passed.
    """
    chosen: dict[str, Any] = {
        "MinHealthyPercentage": settings.min_healthy_percent,
        "MaxHealthyPercentage": settings.max_healthy_percent,
        # AWS soaks, watches the alarms and rolls back by itself, also when the operator's machine is gone.
        "BakeTime": settings.soak_seconds,
        **_common(settings, group, version),
    }
    if checkpoints:
        # The leg that ends at 100 needs no continue at its end: the bake time follows.
        wait = settings.manual and len(checkpoints) > 1
        chosen["CheckpointPercentages"] = list(checkpoints)
        chosen["CheckpointDelay"] = MANUAL_DELAY_SECONDS if wait else settings.checkpoint_delay_seconds
    if settings.alarms:
        chosen["AlarmSpecification"] = {"Alarms": list(settings.alarms)}
    return chosen


def back(settings: Settings, group: Group, version: int) -> dict[str, Any]:
    """Make the preferences of a way back: nothing is held, and as many at once as launching first allows.

    Alarms are not watched: they may well be ringing because of what is being taken back.
    """
    common = _common(settings, group, version)
    return {"MinHealthyPercentage": 100, "MaxHealthyPercentage": fast_maximum(group), **common}


def without_traffic(settings: Settings, group: Group, version: int) -> dict[str, Any]:
    """Make the preferences for a group that serves nobody: everything at once."""
    return {"MinHealthyPercentage": 0, "MaxHealthyPercentage": 100, **_common(settings, group, version)}


def _common(settings: Settings, group: Group, version: int) -> dict[str, Any]:
    # With skip matching, a refresh to what the group names already succeeds at once and replaces nothing ("Use an
    # instance refresh with skip matching"), whatever runs: after a cancelled or failed one that is the new image.
    # `$Default` and `$Latest` may mean the same version.
    changes = group.template_version.isdigit() and group.template_version != str(version)
    return {
        "InstanceWarmup": settings.warmup_seconds,
        # Going on from a checkpoint starts a refresh anew: what was replaced before it must not be replaced again.
        "SkipMatching": changes and (settings.skip_matching or settings.manual),
        "AutoRollback": settings.auto_rollback,
        "ScaleInProtectedInstances": "Ignore",
        "StandbyInstances": "Ignore",
    }


def fast_maximum(group: Group) -> int:
    """Return the MaxHealthyPercentage that fills the group's maximum size, and leaves room for one more at least.

    More than the maximum size is not asked for: addresses and quotas are laid out for it.
    """
    desired = max(group.desired, 1)
    one_more = 100 + -(-100 // desired)
    return min(200, max(one_more, 100 * group.max_size // desired))
