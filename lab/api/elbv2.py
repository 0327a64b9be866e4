"""Elastic Load Balancing v2: health as the balancer measures it, real draining, complete attributes, AWS's names."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.elb import urls
from moto.elb.models import ELBBackend
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response
from moto.moto_api._internal import mock_random

from lab.api import context, views
from lab.api.base import LabBackend, Refusal
from lab.api.hooks import TargetHealth
from lab.api.paging import page

# Attributes of an application load balancer and of a target group of instances, with AWS's defaults.
BALANCER_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
TARGET_GROUP_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
    "stickiness.app_cookie.cookie_name": "",
    "stickiness.app_cookie.duration_seconds": "86400",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
# Route 53's hosted zone of application load balancers in us-east-1.
HOSTED_ZONE = "Z35SXDOTRQ7X7K"

Key = tuple[str, int]
Health = tuple[str, str, str]


@dataclass
class Registration:
    """A target of a group, registered or draining."""

    target_id: str
    port: int
    registered_at: float
    draining_until: float | None = None


class Registrations:
    """The targets of one target group."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Registration] = {}

    def targets(self) -> list[Registration]:
        """Return registered and draining targets."""
        return list(self.by_key.values())


class LabELBv2Backend(LabBackend, ELBv2Backend):  # type: ignore[misc]
    """Load balancers of the rehearsal cloud."""

    service = "elbv2"
    target_groups: dict[str, FakeTargetGroup]
    load_balancers: dict[str, FakeLoadBalancer]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.registrations: dict[str, Registrations] = {}

    # What moto makes, with what it lacks.

    def create_load_balancer(self, name: str, *args: Any, **kwargs: Any) -> FakeLoadBalancer:
        """Create a load balancer whose DNS name has AWS's form."""
        if any(balancer.name == name for balancer in self.load_balancers.values()):
            message = f"A load balancer with the same name '{name}' exists, but with different settings"
            raise Refusal("DuplicateLoadBalancerName", message)
        balancer = super().create_load_balancer(name, *args, **kwargs)
        number = 100_000_000 + mock_random.randint(0, 899_999_999)
        balancer.dns_name = f"{name}-{number}.{self.region_name}.elb.amazonaws.com"
        balancer.scheme = balancer.scheme or "internet-facing"
        balancer.canonical_hosted_zone_id = HOSTED_ZONE
        balancer.attrs = dict(BALANCER_ATTRIBUTES)
        return balancer

    def delete_load_balancer(self, arn: str) -> None:
        """Delete a load balancer with its listeners; refused under deletion protection."""
        balancer = self.load_balancers.get(arn)
        if balancer is not None and balancer.attrs.get("deletion_protection.enabled") == "true":
            message = f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
            raise Refusal("OperationNotPermitted", message)
        super().delete_load_balancer(arn)
        for group in self.target_groups.values():
            group.load_balancer_arns = [other for other in group.load_balancer_arns if other != arn]

    def create_target_group(self, name: str, **kwargs: Any) -> FakeTargetGroup:
        """Create a target group with AWS's defaults."""
        group = super().create_target_group(name, **kwargs)
        if group.target_type != "lambda" and group.protocol in ("HTTP", "HTTPS"):
            group.attributes = dict(TARGET_GROUP_ATTRIBUTES)
            group.health_check_path = group.health_check_path or "/"
            group.health_check_timeout_seconds = kwargs.get("healthcheck_timeout_seconds") or 5
            group.protocol_version = group.protocol_version or "HTTP1"
        self.registrations[group.arn] = Registrations()
        return group

    def delete_target_group(self, target_group_arn: str) -> FakeTargetGroup:
        """Delete a target group that no listener or rule uses."""
        group = super().delete_target_group(target_group_arn)
        self.registrations.pop(target_group_arn, None)
        return group

    # Targets.

    def _registrations(self, arn: str) -> Registrations:
        if arn not in self.registrations:
            raise Refusal("TargetGroupNotFound", f"Target groups '{arn}' not found")
        return self.registrations[arn]

    def _key(self, arn: str, target: dict[str, Any]) -> Key:
        return target["Id"], int(target.get("Port") or self.target_groups[arn].port)

    def register_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Register targets; one that drains serves again."""
        registrations = self._registrations(target_group_arn)
        for target in instances:
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            if target["Id"].startswith("i-") and instance is None:
                raise Refusal("InvalidTarget", f"The following targets are not valid: '{target['Id']}'")
            if instance is not None and instance.state != "running":
                message = f"The following targets are not in a running state and cannot be registered: '{target['Id']}'"
                raise Refusal("InvalidTarget", message)
            key = self._key(target_group_arn, target)
            known = registrations.by_key.get(key)
            if known is None or known.draining_until is not None:
                registrations.by_key[key] = Registration(*key, registered_at=context.now())

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Begin to drain targets; without a port all of a target's."""
        registrations = self._registrations(target_group_arn)
        delay = int(self.target_groups[target_group_arn].attributes["deregistration_delay.timeout_seconds"])
        for target in instances:
            found = [
                registration
                for registration in registrations.targets()
                if registration.target_id == target["Id"]
                and (not target.get("Port") or registration.port == int(target["Port"]))
                and registration.draining_until is None
            ]
            for registration in found:
                registration.draining_until = context.now() + delay

    def draining(self, target_group_arn: str, target_id: str) -> bool:
        """Return whether a target still drains: until the delay is over or it answers no more requests."""
        registrations = self.registrations.get(target_group_arn)
        if registrations is None:
            return False
        hooks, now = context.current().hooks, context.now()
        return any(
            registration.target_id == target_id
            and registration.draining_until is not None
            and now < registration.draining_until
            and hooks.target_in_flight(target_group_arn, target_id, registration.port) != 0
            for registration in registrations.targets()
        )

    def tick(self) -> bool:
        """Forget targets whose draining is over or whose instance has ended; return whether one still drains."""
        now, left = context.now(), False
        for registrations in self.registrations.values():
            for key, registration in list(registrations.by_key.items()):
                until = registration.draining_until
                instance = self.ec2_backend.get_instance_by_id(key[0]) if key[0].startswith("i-") else None
                ended = key[0].startswith("i-") and (instance is None or instance.state == "terminated")
                if ended or (until is not None and now >= until):
                    del registrations.by_key[key]
                else:
                    left = left or until is not None
        return left

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Do nothing: targets leave when their instance has ended."""

    def health(self, arn: str, key: Key) -> Health:
        """Return state, reason and description of a target."""
        registration = self._registrations(arn).by_key.get(key)
        if registration is None:
            return "unused", "Target.NotRegistered", "Target is not registered to the target group"
        if registration.draining_until is not None:
            return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
        return self._unused(arn, key) or _measured(context.current().hooks.target_health(arn).get(key))

    def _unused(self, arn: str, key: Key) -> Health | None:
        """Return why the balancer does not send requests to a registered target, or None when it does."""
        balancers = [self.load_balancers[balancer] for balancer in self.balancers_of(arn)]
        if not balancers:
            message = "Target group is not configured to receive traffic from the load balancer"
            return "unused", "Target.NotInUse", message
        instance = self.ec2_backend.get_instance_by_id(key[0])
        if instance is None:
            return None
        if instance.state in ("stopping", "stopped", "shutting-down", "terminated"):
            return "unused", "Target.InvalidState", f"Target is in the {instance.state} state"
        zones = {zone.zone_name for balancer in balancers for zone in balancer.availability_zones}
        if instance.availability_zone not in zones:
            message = "Target is in an Availability Zone that is not enabled for the load balancer"
            return "unused", "Target.NotInUse", message
        return None

    def state_of(self, arn: str, target_id: str) -> str:
        """Return the worst state among the ports of a target."""
        if arn not in self.registrations:
            return "unused"
        keys = [key for key in self.registrations[arn].by_key if key[0] == target_id]
        states = [self.health(arn, key)[0] for key in keys] or ["unused"]
        order = ("unhealthy", "unused", "draining", "initial", "healthy")
        return min(states, key=order.index)

    def balancers_of(self, arn: str) -> list[str]:
        """Return the ARNs of the load balancers whose listeners or rules forward to a target group."""
        return [
            balancer.arn
            for balancer in self.load_balancers.values()
            if any(
                arn in forwards(rule.actions)
                for listener in balancer.listeners.values()
                for rule in listener.rules.values()
            )
        ]

    # Views.

    def view_target_groups(self) -> list[views.TargetGroup]:
        """Return the target groups of instances, as the runtime needs to see them."""
        return [self._view_target_group(group) for group in self.target_groups.values()]

    def _view_target_group(self, group: FakeTargetGroup) -> views.TargetGroup:
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
                for r in self.registrations[group.arn].targets()
            ),
        )

    def view_load_balancers(self) -> list[views.LoadBalancer]:
        """Return the load balancers, as the runtime needs to see them."""
        return [
            views.LoadBalancer(
                arn=balancer.arn,
                name=balancer.name,
                dns_name=balancer.dns_name,
                state=balancer.state,
                zones=tuple(sorted(zone.zone_name for zone in balancer.availability_zones)),
                attributes=dict(balancer.attrs),
                listeners=tuple(_view_listener(listener) for listener in balancer.listeners.values()),
            )
            for balancer in self.load_balancers.values()
        ]


def _measured(health: TargetHealth | None) -> Health:
    """Return what the balancer measures, with AWS's words where it says nothing more."""
    if health is None:
        return "initial", "Elb.RegistrationInProgress", "Target registration is in progress"
    if health.state == "healthy":
        return "healthy", "", ""
    if health.state == "initial":
        reason, description = "Elb.InitialHealthChecking", "Initial health checks in progress"
    else:
        reason, description = "Target.FailedHealthChecks", "Health checks failed"
    return health.state, health.reason or reason, health.description or description


def forwards(actions: list[Any]) -> set[str]:
    """Return the ARNs of the target groups that actions forward to, whatever their weight."""
    found = set()
    for action in actions:
        if arn := action.data.get("TargetGroupArn"):
            found.add(arn)
        found.update(group["TargetGroupArn"] for group in action.data.get("ForwardConfig", {}).get("TargetGroups", []))
    return found


def _view_listener(listener: Any) -> views.Listener:
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


class LabELBv2Response(ELBV2Response):  # type: ignore[misc]
    """Requests of Elastic Load Balancing v2."""

    @property
    def backend(self) -> LabELBv2Backend:
        """The backend of the request's account and region."""
        backend: LabELBv2Backend = elbv2_backends[self.current_account][self.region]
        return backend

    def describe_target_health(self) -> ActionResult:
        """Tell what the balancer measures, and who drains or is not used."""
        arn = self._get_param("TargetGroupArn")
        registrations = self.backend._registrations(arn)
        wanted = [self.backend._key(arn, t) for t in self._get_param("Targets", [])]
        port = self.backend.target_groups[arn].health_check_port
        answers = []
        for key in wanted or list(registrations.by_key):
            state, reason, description = self.backend.health(arn, key)
            health = {"State": state, "Reason": reason or None, "Description": description or None}
            check_port = str(key[1]) if port in (None, "traffic-port") else str(port)
            answers.append(
                {"Target": {"Id": key[0], "Port": key[1]}, "HealthCheckPort": check_port, "TargetHealth": health}
            )
        return ActionResult({"TargetHealthDescriptions": answers})

    def describe_target_groups(self) -> ActionResult:
        """Tell target groups, with the balancers that use them now."""
        groups = self.backend.describe_target_groups(
            self._get_param("LoadBalancerArn"), self._get_param("TargetGroupArns", []), self._get_param("Names", [])
        )
        for group in groups:
            group.load_balancer_arns = self.backend.balancers_of(group.arn)
        found, token = page(list(groups), self._get_param("Marker"), self._get_int_param("PageSize"))
        return ActionResult({"TargetGroups": found, "NextMarker": token})


class LabELBBackend(ELBBackend):  # type: ignore[misc]
    """The host name's first owner in moto, Classic Load Balancers: hands everything to the handler above."""

    @property
    def _url_module(self) -> Any:
        return SimpleNamespace(url_bases=urls.url_bases, url_paths={"{0}/$": LabELBv2Response.dispatch})
