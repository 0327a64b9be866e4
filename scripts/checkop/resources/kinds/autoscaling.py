"""Amazon EC2 Auto Scaling: group, lifecycle hook, scaling policy, scheduled action (API Reference and user guide)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkop.resources.kind import Data, Kind, Part, Tags, pages

# Remembers from which sizes of the inventory the group's sizes came. Instances do not get it.
SIZES_TAG = "checkop:sizes"


def _find_group(client: Any, name: str, _desired: Data) -> Data | None:
    """Find the group; one that is being deleted does not count."""
    answer = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    found = [group for group in answer["AutoScalingGroups"] if not group.get("Status")]
    return dict(found[0]) if found else None


def _tag_list(name: str, tags: Mapping[str, str]) -> list[Data]:
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": key,
            "Value": value,
            "PropagateAtLaunch": key != SIZES_TAG,
        }
        for key, value in sorted(tags.items())
    ]


def _read_tags(_client: Any, group: Data) -> dict[str, str]:
    """Return the tags; one that instances wrongly get or miss counts as another value."""
    return {
        tag["Key"]: tag["Value"] if tag["PropagateAtLaunch"] == (tag["Key"] != SIZES_TAG) else "(wrongly propagated)"
        for tag in group.get("Tags", ())
    }


def _write_target_groups(client: Any, group: Data, before: list[str], after: list[str]) -> None:
    name, attach, detach = group["AutoScalingGroupName"], set(after) - set(before), set(before) - set(after)
    if attach:
        client.attach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=sorted(attach))
    if detach:
        client.detach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=sorted(detach))


def _write_metrics(client: Any, group: Data, before: list[str], after: list[str]) -> None:
    client.enable_metrics_collection(
        AutoScalingGroupName=group["AutoScalingGroupName"],
        Granularity="1Minute",
        Metrics=sorted(set(after) - set(before)),
    )


def _write_suspended(client: Any, group: Data, before: list[str], after: Mapping[str, bool]) -> None:
    name = group["AutoScalingGroupName"]
    for process, suspended in after.items():
        if suspended != (process in before):
            change = client.suspend_processes if suspended else client.resume_processes
            change(AutoScalingGroupName=name, ScalingProcesses=[process])


def _within(operation: str, listing: str, member: str) -> Any:
    """Return find for what exists within a group under a name."""

    def find(client: Any, name: str, desired: Data) -> Data | None:
        listed = _all(client, operation, listing, desired["AutoScalingGroupName"])
        return next((item for item in listed if item[member] == name), None)

    return find


def _all(client: Any, operation: str, listing: str, group: str) -> list[Data]:
    if client.can_paginate(operation):
        return pages(client, operation, listing, AutoScalingGroupName=group)
    return list(getattr(client, operation)(AutoScalingGroupName=group)[listing])


def _contained(label: str, *, put: str, delete: str, describe: str, listing: str, member: str) -> Kind:
    """Return the row of a kind that exists within a group, and belongs to whom the group belongs."""
    return Kind(
        label=label,
        service="autoscaling",
        find=_within(describe, listing, member),
        create=put,
        update=put,
        delete=delete,
        key=member,
        identifier=member,
        scope=("AutoScalingGroupName",),
        listed=lambda client, within: _all(client, describe, listing, within["AutoScalingGroupName"]),
        name_of=lambda found: str(found[member]),
    )


KINDS: Mapping[str, Kind] = {
    "autoscaling.group": Kind(
        label="Auto Scaling group",
        service="autoscaling",
        find=_find_group,
        create="create_auto_scaling_group",
        update="update_auto_scaling_group",
        delete="delete_auto_scaling_group",
        key="AutoScalingGroupName",
        identifier="AutoScalingGroupName",
        tags=Tags(
            create=lambda tags: {"Tags": [{**tag, "ResourceId": tags["Name"]} for tag in _tag_list("", tags)]},
            read=_read_tags,
            write=lambda client, group, tags: client.create_or_update_tags(
                Tags=_tag_list(group["AutoScalingGroupName"], tags)
            ),
        ),
        # The version that runs is the releases' business.
        initial=("LaunchTemplate",),
        reads={
            "VPCZoneIdentifier": lambda group: ",".join(sorted(group.get("VPCZoneIdentifier", "").split(","))),
        },
        ordered=("TerminationPolicies",),
        parts={
            "TargetGroupARNs": Part(
                lambda _client, group: group.get("TargetGroupARNs", []),
                _write_target_groups,
                "create_auto_scaling_group",
                "TargetGroupARNs",
                created=True,
            ),
            # Further metrics, which somebody switched on, are left on.
            "EnabledMetrics": Part(
                lambda _client, group: [entry["Metric"] for entry in group.get("EnabledMetrics", ())],
                _write_metrics,
                "enable_metrics_collection",
                "Metrics",
                sides=lambda before, after: (sorted(set(before) & set(after)), sorted(after)),
            ),
            # Process to whether it is suspended; a release suspends others for its time.
            "SuspendedProcesses": Part(
                lambda _client, group: [entry["ProcessName"] for entry in group.get("SuspendedProcesses", ())],
                _write_suspended,
                sides=lambda before, after: ({name: name in before for name in after}, dict(after)),
            ),
        },
        # A new instance profile takes some seconds to be known to Auto Scaling.
        retried=("ValidationError",),
        retried_about="instance profile",
    ),
    "autoscaling.lifecycle_hook": _contained(
        "Lifecycle hook",
        put="put_lifecycle_hook",
        delete="delete_lifecycle_hook",
        describe="describe_lifecycle_hooks",
        listing="LifecycleHooks",
        member="LifecycleHookName",
    ),
    "autoscaling.scaling_policy": _contained(
        "Scaling policy",
        put="put_scaling_policy",
        delete="delete_policy",
        describe="describe_policies",
        listing="ScalingPolicies",
        member="PolicyName",
    ),
    "autoscaling.scheduled_action": _contained(
        "Scheduled action",
        put="put_scheduled_update_group_action",
        delete="delete_scheduled_action",
        describe="describe_scheduled_actions",
        listing="ScheduledUpdateGroupActions",
        member="ScheduledActionName",
    ),
}
