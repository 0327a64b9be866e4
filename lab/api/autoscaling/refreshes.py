"""Instance refreshes of groups: starting them with AWS's checks and defaults, turning them round."""

import math
import uuid
from collections.abc import Mapping
from typing import Any

from lab.api import context
from lab.api.autoscaling.engine import Engine
from lab.api.autoscaling.model import Group, configuration_key
from lab.api.autoscaling.refresh import Preferences, Refresh
from lab.api.base import Refusal


class RefreshMixin:
    """The part of the Auto Scaling backend that deals with instance refreshes."""

    engine: Engine

    def resolve(self, launch_template: dict[str, str]) -> dict[str, str]:
        """Return a launch template specification with a numbered version; refused with ValidationError."""
        raise NotImplementedError

    def start_refresh(self, group: Group, params: Mapping[str, Any]) -> str:
        """Start an instance refresh (StartInstanceRefresh)."""
        if group.refresh:
            message = "An instance refresh is already in progress and blocks the execution of this instance refresh."
            raise Refusal("InstanceRefreshInProgress", message)
        wanted = params.get("DesiredConfiguration")
        if wanted and not wanted.get("LaunchTemplate"):
            raise Refusal("ValidationError", "DesiredConfiguration must contain a LaunchTemplate.")
        preferences = read_preferences(params.get("Preferences", {}), group)
        original = configuration_key(self.resolve(group.launch_template))
        target = configuration_key(self.resolve(wanted["LaunchTemplate"])) if wanted else original
        if preferences.auto_rollback and (problem := irreversible(group, wanted)):
            raise Refusal("ValidationError", f"AutoRollback cannot be used: {problem}")
        refresh = Refresh(
            refresh_id=str(uuid.uuid4()),
            preferences=preferences,
            target=target,
            original=original,
            started_at=context.now(),
            patience=context.current().settings.refresh_patience,
            asked_preferences=describe_preferences(preferences),
            desired_configuration=wanted,
        )
        group.launch_error = None
        group.refreshes.insert(0, refresh)
        return refresh.refresh_id

    def active_refresh(self, group: Group) -> Refresh:
        """Return the refresh under way; refused when there is none."""
        if group.refresh is None:
            message = f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}"
            raise Refusal("ActiveInstanceRefreshNotFound", message)
        return group.refresh

    def roll_back(self, group: Group) -> str:
        """Turn the refresh under way round (RollbackInstanceRefresh)."""
        refresh = self.active_refresh(group)
        if refresh.status == "RollbackInProgress":
            raise Refusal("ActiveInstanceRefreshNotFound", "The instance refresh is already being rolled back.")
        if problem := irreversible(group, refresh.desired_configuration):
            raise Refusal("IrreversibleInstanceRefresh", problem)
        refresh.start_rollback(context.now(), "Rollback was initiated by a user request.", self.engine.view(group))
        return refresh.refresh_id


def irreversible(group: Group, wanted: Mapping[str, Any] | None) -> str:
    """Return why a refresh could not be rolled back, or nothing."""
    if not wanted:
        return "the instance refresh has no desired configuration."
    for owner, template in (("desired configuration", wanted["LaunchTemplate"]), ("group", group.launch_template)):
        version = template.get("Version", "$Default")
        if not str(version).isdigit():
            return f"the launch template of the {owner} has version {version}; only a numbered version can be restored."
    return ""


def read_preferences(given: Mapping[str, Any], group: Group) -> Preferences:
    """Return the preferences of a refresh with AWS's defaults; refused with ValidationError when they contradict."""
    policy = group.kept.get("InstanceMaintenancePolicy", {})
    most = given.get("MaxHealthyPercentage", policy.get("MaxHealthyPercentage", 100))
    least = given.get("MinHealthyPercentage", policy.get("MinHealthyPercentage", 90))
    if "MaxHealthyPercentage" in given and "MinHealthyPercentage" not in given:
        raise Refusal("ValidationError", "MaxHealthyPercentage needs MinHealthyPercentage beside it.")
    if not 0 <= least <= 100 <= most <= 200 or most - least > 100:  # noqa: PLR2004 - percent
        message = (
            f"MinHealthyPercentage {least} must be 0-100 and MaxHealthyPercentage {most} 100-200, "
            "with at most 100 between them."
        )
        raise Refusal("ValidationError", message)
    points = tuple(given.get("CheckpointPercentages", ()))
    if list(points) != sorted(set(points)) or any(not 1 <= point <= 100 for point in points):  # noqa: PLR2004 - percent
        raise Refusal("ValidationError", f"CheckpointPercentages {list(points)} must be unique, ascending and 1-100.")
    if "CheckpointDelay" in given and not points:
        raise Refusal("ValidationError", "CheckpointDelay needs CheckpointPercentages beside it.")
    warmup = given.get("InstanceWarmup", group.kept.get("DefaultInstanceWarmup", group.health_check_grace))
    return Preferences(
        min_healthy=least,
        max_healthy=most,
        warmup=warmup,
        checkpoints=points,
        checkpoint_delay=given.get("CheckpointDelay", 3600),
        bake=given.get("BakeTime", 0),
        skip_matching=given.get("SkipMatching", False),
        auto_rollback=given.get("AutoRollback", False),
        protected=given.get("ScaleInProtectedInstances", "Wait"),
        standby=given.get("StandbyInstances", "Wait"),
        alarms=tuple(given.get("AlarmSpecification", {}).get("Alarms", ())),
    )


def describe_preferences(preferences: Preferences) -> dict[str, Any]:
    """Return the RefreshPreferences structure of the API."""
    answer: dict[str, Any] = {
        "MinHealthyPercentage": preferences.min_healthy,
        "MaxHealthyPercentage": preferences.max_healthy,
        "InstanceWarmup": math.ceil(preferences.warmup),
        "SkipMatching": preferences.skip_matching,
        "AutoRollback": preferences.auto_rollback,
        "ScaleInProtectedInstances": preferences.protected,
        "StandbyInstances": preferences.standby,
    }
    if preferences.checkpoints:
        answer["CheckpointPercentages"] = list(preferences.checkpoints)
        answer["CheckpointDelay"] = math.ceil(preferences.checkpoint_delay)
    if preferences.alarms:
        answer["AlarmSpecification"] = {"Alarms": list(preferences.alarms)}
    if preferences.bake:
        answer["BakeTime"] = math.ceil(preferences.bake)
    return answer
