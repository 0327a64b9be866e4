"""Actions of listeners and rules."""

from typing import Any


def forwards(actions: list[Any]) -> set[str]:
    """Return the ARNs of the target groups that actions forward to, whatever their weight."""
    found = set()
    for action in actions:
        if arn := action.data.get("TargetGroupArn"):
            found.add(arn)
        found.update(group["TargetGroupArn"] for group in action.data.get("ForwardConfig", {}).get("TargetGroups", []))
    return found


def in_full(action: dict[str, Any]) -> dict[str, Any]:
    """Return an action as AWS tells it: a forward action has its ForwardConfig, and its one target group's ARN."""
    if action.get("Type") != "forward":
        return action
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    config = {"TargetGroupStickinessConfig": {"Enabled": False}, **action.get("ForwardConfig", {})}
    config["TargetGroups"] = [{"Weight": 1, **group} for group in groups]
    full = {**action, "ForwardConfig": config}
    if len(groups) == 1:
        full["TargetGroupArn"] = groups[0]["TargetGroupArn"]
    return full
