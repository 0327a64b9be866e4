"""Load balancers and target groups: health as the balancer measures it, and real draining."""

from dataclasses import dataclass
from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, FakeTargetGroup

from lab.api import context
from lab.api.base import LabBackend, Refusal
from lab.api.elbv2.actions import forwards, in_full
from lab.api.elbv2.attributes import BALANCER_ATTRIBUTES, TARGET_GROUP_ATTRIBUTES
from lab.api.hooks import TargetHealth
from lab.names import balancer_dns_name

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
        balancer.dns_name = balancer_dns_name(name, self.region_name)
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

    def create_listener(self, *args: Any, actions: list[dict[str, Any]], **kwargs: Any) -> Any:
        """Create a listener; its actions are told in full."""
        return super().create_listener(*args, actions=[in_full(action) for action in actions], **kwargs)

    def modify_listener(self, arn: str, *args: Any) -> Any:
        """Change a listener; its default actions, the last argument, are told in full."""
        *others, actions = args
        return super().modify_listener(arn, *others, [in_full(action) for action in actions or []])

    def create_rule(self, *args: Any, actions: list[dict[str, Any]], **kwargs: Any) -> Any:
        """Create a rule; its actions are told in full."""
        return super().create_rule(*args, actions=[in_full(action) for action in actions], **kwargs)

    def modify_rule(self, rule_arn: str, conditions: list[dict[str, Any]], actions: list[dict[str, Any]]) -> Any:
        """Change a rule; its actions are told in full."""
        return super().modify_rule(rule_arn, conditions, [in_full(action) for action in actions or []])

    # Targets.

    def registrations_of(self, arn: str) -> Registrations:
        """Return the targets of a target group; refused with TargetGroupNotFound."""
        if arn not in self.registrations:
            raise Refusal("TargetGroupNotFound", f"Target groups '{arn}' not found")
        return self.registrations[arn]

    def key(self, arn: str, target: dict[str, Any]) -> Key:
        """Return id and port of a target; without a port the group's."""
        return target["Id"], int(target.get("Port") or self.target_groups[arn].port)

    def register_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Register targets; one that drains serves again."""
        registrations = self.registrations_of(target_group_arn)
        for target in instances:
            instance = self.ec2_backend.get_instance_by_id(target["Id"])
            if target["Id"].startswith("i-") and instance is None:
                raise Refusal("InvalidTarget", f"The following targets are not valid: '{target['Id']}'")
            if instance is not None and instance.state != "running":
                message = f"The following targets are not in a running state and cannot be registered: '{target['Id']}'"
                raise Refusal("InvalidTarget", message)
            key = self.key(target_group_arn, target)
            known = registrations.by_key.get(key)
            if known is None or known.draining_until is not None:
                registrations.by_key[key] = Registration(*key, registered_at=context.now())

    def deregister_targets(self, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        """Begin to drain targets; without a port all of a target's."""
        registrations = self.registrations_of(target_group_arn)
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
        registration = self.registrations_of(arn).by_key.get(key)
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
