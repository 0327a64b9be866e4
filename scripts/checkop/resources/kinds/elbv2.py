"""Elastic Load Balancing v2: balancer, target group, listener, rule (ELB API Reference 2015-12-01)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkop.reconcile import tag_list, tag_map
from checkop.resources.kind import Data, Kind, Part, Tags, described, key_values, pages


def _tags(arn: str) -> Tags:
    return Tags(
        create=lambda tags: {"Tags": tag_list(tags)},
        read=lambda client, found: tag_map(
            client.describe_tags(ResourceArns=[found[arn]])["TagDescriptions"][0].get("Tags")
        ),
        write=lambda client, found, tags: client.add_tags(ResourceArns=[found[arn]], Tags=tag_list(tags)),
    )


def _ready(balancer: Data) -> tuple[bool, str]:
    state = balancer.get("State", {})
    code = state.get("Code", "absent")
    return code in ("active", "active_impaired"), f"{code} {state.get('Reason', '')}".strip()


def _subnets(_client: Any, balancer: Data) -> list[str]:
    return [zone["SubnetId"] for zone in balancer["AvailabilityZones"]]


def _set_subnets(client: Any, balancer: Data, _before: Any, after: list[str]) -> None:
    client.set_subnets(LoadBalancerArn=balancer["LoadBalancerArn"], Subnets=after)


def _set_security_groups(client: Any, balancer: Data, _before: Any, after: list[str]) -> None:
    client.set_security_groups(LoadBalancerArn=balancer["LoadBalancerArn"], SecurityGroups=after)


def _listeners(client: Any, within: Data) -> list[Data]:
    return pages(client, "describe_listeners", "Listeners", LoadBalancerArn=within["LoadBalancerArn"])


def _find_listener(client: Any, _name: str, desired: Data) -> Data | None:
    return next((item for item in _listeners(client, desired) if item["Port"] == desired["Port"]), None)


def _rules(client: Any, within: Data) -> list[Data]:
    listed = pages(client, "describe_rules", "Rules", ListenerArn=within["ListenerArn"])
    return [rule for rule in listed if not rule["IsDefault"]]


def _find_rule(client: Any, _name: str, desired: Data) -> Data | None:
    return next((rule for rule in _rules(client, desired) if rule["Priority"] == str(desired["Priority"])), None)


def _actions(listener: Data) -> list[Data]:
    """Return a listener's actions with a forward to one group in the short spelling; AWS answers in both."""
    actions = []
    for action in listener["DefaultActions"]:
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        short = {"TargetGroupArn": groups[0]["TargetGroupArn"]} if len(groups) == 1 else {}
        # A forward to several groups has no short spelling, so that it differs from a forward to one.
        kept = {key: value for key, value in action.items() if key != "TargetGroupArn" or len(groups) < 2}  # noqa: PLR2004
        actions.append({**kept, **short})
    return actions


KINDS: Mapping[str, Kind] = {
    "elbv2.target_group": Kind(
        label="Target group",
        service="elbv2",
        find=described(
            "describe_target_groups",
            "TargetGroups",
            "Names",
            "TargetGroupNotFound",
            "TargetGroupNotFoundException",
            many=True,
        ),
        create="create_target_group",
        update="modify_target_group",
        delete="delete_target_group",
        key="Name",
        identifier="TargetGroupArn",
        tags=_tags("TargetGroupArn"),
        parts={"Attributes": key_values("target_group_attributes", "TargetGroupArn")},
        remedy="Give it another name: a new group is made, and the listener moves to it.",
    ),
    "elbv2.load_balancer": Kind(
        label="Load balancer",
        service="elbv2",
        find=described(
            "describe_load_balancers",
            "LoadBalancers",
            "Names",
            "LoadBalancerNotFound",
            "LoadBalancerNotFoundException",
            many=True,
        ),
        create="create_load_balancer",
        delete="delete_load_balancer",
        key="Name",
        identifier="LoadBalancerArn",
        tags=_tags("LoadBalancerArn"),
        parts={
            "Subnets": Part(_subnets, _set_subnets, "create_load_balancer", "Subnets", created=True),
            "SecurityGroups": Part(
                lambda _client, found: found.get("SecurityGroups"),
                _set_security_groups,
                "create_load_balancer",
                "SecurityGroups",
                created=True,
            ),
            "Attributes": key_values("load_balancer_attributes", "LoadBalancerArn"),
        },
        # Elastic Load Balancing writes a test log at once, and S3 may not know the bucket's new policy yet.
        retried=("InvalidConfigurationRequest",),
        ready=_ready,
        remedy="Give it another name: a new one is made, and the records move to it.",
    ),
    "elbv2.listener": Kind(
        label="Listener",
        service="elbv2",
        find=_find_listener,
        create="create_listener",
        update="modify_listener",
        delete="delete_listener",
        identifier="ListenerArn",
        name_tag=False,
        scope=("LoadBalancerArn",),
        tags=_tags("ListenerArn"),
        reads={"DefaultActions": _actions},
        ordered=("DefaultActions",),
        listed=_listeners,
        name_of=lambda listener: str(listener["Port"]),
    ),
    "elbv2.rule": Kind(
        label="Listener rule",
        service="elbv2",
        find=_find_rule,
        create="create_rule",
        update="modify_rule",
        delete="delete_rule",
        identifier="RuleArn",
        name_tag=False,
        scope=("ListenerArn",),
        tags=_tags("RuleArn"),
        ordered=("Actions",),
        listed=_rules,
        name_of=lambda rule: str(rule["Priority"]),
    ),
}
