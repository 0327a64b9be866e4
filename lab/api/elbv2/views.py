"""Load balancers and target groups as the runtime needs to see them."""

from typing import Any

from lab.api import views
from lab.api.elbv2.backend import LabELBv2Backend


def target_groups(backend: LabELBv2Backend) -> list[views.TargetGroup]:
    """Return the target groups of instances, as the runtime needs to see them."""
    return [_target_group(backend, group) for group in backend.target_groups.values()]


def _target_group(backend: LabELBv2Backend, group: Any) -> views.TargetGroup:
    return views.TargetGroup(
        arn=group.arn,
        name=group.name,
        protocol=group.protocol or "HTTP",
        port=int(group.port),
        health_check_protocol=group.health_check_protocol or "HTTP",
        health_check_port=str(group.health_check_port or "traffic-port"),
        health_check_path=group.health_check_path or "/",
        health_check_interval_seconds=int(group.health_check_interval_seconds),
        health_check_timeout_seconds=int(group.health_check_timeout_seconds),
        healthy_threshold_count=int(group.healthy_threshold_count),
        unhealthy_threshold_count=int(group.unhealthy_threshold_count),
        matcher=str((group.matcher or {}).get("HttpCode", "200")),
        attributes={key: str(value) for key, value in group.attributes.items()},
        targets=tuple(
            views.Target(r.target_id, r.port, r.draining_until, r.registered_at)
            for r in backend.registrations[group.arn].targets()
        ),
    )


def load_balancers(backend: LabELBv2Backend) -> list[views.LoadBalancer]:
    """Return the load balancers, as the runtime needs to see them."""
    return [
        views.LoadBalancer(
            arn=balancer.arn,
            name=balancer.name,
            dns_name=balancer.dns_name,
            state=balancer.state,
            zones=tuple(sorted(zone.zone_name for zone in balancer.availability_zones)),
            attributes=dict(balancer.attrs),
            listeners=tuple(_listener(listener) for listener in balancer.listeners.values()),
        )
        for balancer in backend.load_balancers.values()
    ]


def _listener(listener: Any) -> views.Listener:
    rules = sorted(
        listener.rules.values(),
        key=lambda rule: (rule.priority == "default", 0 if rule.priority == "default" else int(rule.priority)),
    )
    return views.Listener(
        arn=listener.arn,
        port=int(listener.port),
        protocol=listener.protocol,
        ssl_policy=listener.ssl_policy,
        certificate_arns=tuple(listener.certificates),
        rules=tuple(
            views.Rule(rule.arn, str(rule.priority), tuple(rule.conditions), tuple(a.data for a in rule.actions))
            for rule in rules
        ),
    )
