"""The listeners: port 80 redirects to 443, and 443 ends TLS and forwards to the target group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import ListenerTypeDef

    from checkop.reconcile import Plan

HTTP_PORT = 80
HTTPS_PORT = 443


def wanted(certificate_arn: str, ssl_policy: str, target_group_arn: str) -> dict[int, dict[str, Any]]:
    """Port to the parameters of CreateListener and ModifyListener."""
    return {
        HTTP_PORT: {
            "Protocol": "HTTP",
            "DefaultActions": [
                {
                    "Type": "redirect",
                    "RedirectConfig": {
                        "Protocol": "HTTPS",
                        "Port": str(HTTPS_PORT),
                        "Host": "#{host}",
                        "Path": "/#{path}",
                        "Query": "#{query}",
                        "StatusCode": "HTTP_301",
                    },
                }
            ],
        },
        HTTPS_PORT: {
            "Protocol": "HTTPS",
            "SslPolicy": ssl_policy,
            "Certificates": [{"CertificateArn": certificate_arn}],
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": target_group_arn}],
        },
    }


def describe(listener: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a listener, as wanted or as DescribeListeners gives it, to one comparable shape."""
    actions = []
    for action in listener["DefaultActions"]:
        groups = [group["TargetGroupArn"] for group in action.get("ForwardConfig", {}).get("TargetGroups", [])]
        redirect = action.get("RedirectConfig", {})
        actions.append(
            {
                "type": action["Type"],
                # AWS answers a plain forward in both spellings.
                "target_groups": groups or [action[name] for name in ("TargetGroupArn",) if name in action],
                "redirect": {name: redirect.get(name) for name in ("Protocol", "Port", "Path", "StatusCode")},
            }
        )
    return {
        "protocol": listener["Protocol"],
        "ssl_policy": listener.get("SslPolicy") if listener["Protocol"] == "HTTPS" else None,
        "certificates": [certificate["CertificateArn"] for certificate in listener.get("Certificates") or []],
        "actions": actions,
    }


def reconcile(
    elbv2: ElasticLoadBalancingv2Client,
    plan: Plan,
    balancer: tuple[str, str | None],
    listeners: Mapping[int, Mapping[str, Any]],
    tags: Mapping[str, str],
) -> None:
    """Make exactly the given listeners, with no rules beside their default actions.

    Parameters
    ----------
    elbv2:
        The ELBv2 client.
    plan:
        Records and applies.
    balancer:
        Name and ARN of the load balancer; no ARN where a check found none.
    listeners:
        As `wanted` gives them.
    tags:
        Tags of ownership.
    """
    name, arn = balancer
    existing: dict[int, ListenerTypeDef] = {}
    if arn:
        pages = elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=arn)
        existing = {listener["Port"]: listener for page in pages for listener in page["Listeners"]}
    for port, parameters in listeners.items():
        resource = f"Listener {port} of {name}"
        current = existing.pop(port, None)
        if current is None:
            plan.step(
                resource,
                None,
                describe(parameters),
                lambda port=port, parameters=parameters: elbv2.create_listener(  # type: ignore[misc]
                    LoadBalancerArn=str(arn),
                    Port=port,
                    Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                    **parameters,
                ),
            )
            continue
        listener_arn = current["ListenerArn"]
        plan.step(
            resource,
            describe(current),
            describe(parameters),
            lambda listener_arn=listener_arn, parameters=parameters: elbv2.modify_listener(  # type: ignore[misc]
                ListenerArn=listener_arn, **parameters
            ),
        )
        _no_rules(elbv2, plan, resource, listener_arn)
    for port, listener in existing.items():
        plan.step(
            f"Listener {port} of {name}",
            describe(listener),
            None,
            lambda listener=listener: elbv2.delete_listener(ListenerArn=listener["ListenerArn"]),  # type: ignore[misc]
        )


def _no_rules(elbv2: ElasticLoadBalancingv2Client, plan: Plan, resource: str, listener_arn: str) -> None:
    """Remove rules that somebody added: they would send requests past the target group of the inventory."""
    for page in elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener_arn):
        for rule in page["Rules"]:
            if not rule["IsDefault"]:
                plan.step(
                    f"{resource}: rule {rule['Priority']}",
                    {"conditions": rule["Conditions"], "actions": [action["Type"] for action in rule["Actions"]]},
                    None,
                    lambda rule=rule: elbv2.delete_rule(RuleArn=rule["RuleArn"]),  # type: ignore[misc]
                )
