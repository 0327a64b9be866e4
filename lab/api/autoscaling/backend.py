"""What the Auto Scaling API does to groups; the requests themselves are read in `responses`."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from moto.autoscaling.models import AutoScalingBackend

from lab.api import context
from lab.api.autoscaling.engine import Engine
from lab.api.autoscaling.model import KEPT, Activity, Group, Hook, Member
from lab.api.autoscaling.protocol import LaunchError
from lab.api.autoscaling.refreshes import RefreshMixin
from lab.api.autoscaling.surroundings import Backends
from lab.api.base import LabBackend, Refusal

POLICIES = (
    "Default",
    "OldestInstance",
    "NewestInstance",
    "OldestLaunchTemplate",
    "OldestLaunchConfiguration",
    "ClosestToNextInstanceHour",
    "AllocationStrategy",
)


class LabAutoScalingBackend(RefreshMixin, LabBackend, AutoScalingBackend):  # type: ignore[misc]
    """Auto Scaling of the rehearsal cloud: groups of our own in the place of moto's."""

    service = "autoscaling"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.groups: dict[str, Group] = {}
        self.deleted_activities: list[Activity] = []
        self.scaling_policies: dict[tuple[str, str], dict[str, Any]] = {}
        self.scheduled: dict[tuple[str, str], dict[str, Any]] = {}
        self.around = Backends()
        self.engine = Engine(self.around)

    def tick(self) -> bool:
        """Move every group on; return whether time alone may move one further."""
        self.engine.launch_retry = context.current().settings.launch_retry
        busy = False
        for group in list(self.groups.values()):
            busy = self.engine.tick(group, context.now()) or busy
            if group.status and not group.members:
                self._forget(group)
        return busy

    def _forget(self, group: Group) -> None:
        del self.groups[group.name]
        self.deleted_activities = group.activities + self.deleted_activities
        for store in (self.scaling_policies, self.scheduled):
            for key in [key for key in store if key[0] == group.name]:
                del store[key]

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Do nothing: the engine sees the state of its instances."""

    def iter_tagged_resources(self) -> Iterator[Any]:
        """Yield nothing, as the Resource Groups Tagging API does for groups."""
        return iter(())

    # Groups.

    def group(self, name: str | None) -> Group:
        """Return a group; refused with ValidationError when there is none."""
        if name is None or name not in self.groups:
            raise Refusal("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return self.groups[name]

    def create_group(self, params: Mapping[str, Any]) -> None:
        """Create a group (CreateAutoScalingGroup) and its hooks."""
        name = params["AutoScalingGroupName"]
        if name in self.groups:
            message = f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
            raise Refusal("AlreadyExists", message)
        if not params.get("LaunchTemplate"):
            message = "Valid requests must contain LaunchTemplate; the rehearsal knows no other source of instances."
            raise Refusal("ValidationError", message)
        desired = params.get("DesiredCapacity")
        group = Group(
            name=name,
            created_at=context.now(),
            min_size=params["MinSize"],
            max_size=params["MaxSize"],
            desired=params["MinSize"] if desired is None else desired,
            launch_template={},
            zones=[],
            subnet_ids=[],
        )
        self._apply(group, params)
        group.target_groups = list(params.get("TargetGroupARNs", []))
        group.put_tags(params.get("Tags", []))
        for hook in params.get("LifecycleHookSpecificationList", []):
            self.put_hook(group, hook)
        self.groups[name] = group
        self._note_capacity(group, 0, "user request created an AutoScalingGroup")

    def update_group(self, params: Mapping[str, Any]) -> None:
        """Change a group (UpdateAutoScalingGroup)."""
        group = self.group(params["AutoScalingGroupName"])
        underway = group.refresh
        if underway and underway.desired_configuration and params.get("LaunchTemplate"):
            message = (
                "An active instance refresh with a desired configuration exists. All configuration options derived "
                "from the desired configuration are not available for update while the instance refresh is active."
            )
            raise Refusal("InstanceRefreshInProgress", message)
        before = group.desired
        self._apply(group, params)
        if group.desired != before:
            self._note_capacity(group, before, "user request update of AutoScalingGroup constraints")

    def _apply(self, group: Group, params: Mapping[str, Any]) -> None:
        least, most = params.get("MinSize", group.min_size), params.get("MaxSize", group.max_size)
        if least > most:
            raise Refusal("ValidationError", f"Max bound, {most}, must be greater than or equal to min bound, {least}")
        desired = params.get("DesiredCapacity")
        if desired is None:
            desired = min(max(group.desired, least), most)
        if not least <= desired <= most:
            message = f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
            raise Refusal("ValidationError", message)
        for policy in params.get("TerminationPolicies", []):
            if policy not in POLICIES:
                message = f"Invalid termination policy: {policy}; allowed: {', '.join(POLICIES)}"
                raise Refusal("ValidationError", message)
        template = params.get("LaunchTemplate")
        numbered = self.resolve(template) if template else {}
        self._place(group, params)
        group.min_size, group.max_size, group.desired = least, most, desired
        if template:
            # A version is told only if one was given.
            group.launch_template = {**{k: v for k, v in numbered.items() if k != "Version"}, **template}
        group.default_cooldown = params.get("DefaultCooldown", group.default_cooldown)
        group.health_check_type = params.get("HealthCheckType", group.health_check_type)
        group.health_check_grace = params.get("HealthCheckGracePeriod", group.health_check_grace)
        group.termination_policies = params.get("TerminationPolicies") or group.termination_policies
        group.protect_new = params.get("NewInstancesProtectedFromScaleIn", group.protect_new)
        group.kept.update({key: params[key] for key in KEPT if key in params})
        self._drop_switched_off(group)

    def _place(self, group: Group, params: Mapping[str, Any]) -> None:
        """Set the subnets and with them the zones."""
        if params.get("VPCZoneIdentifier"):
            subnets = [subnet for subnet in params["VPCZoneIdentifier"].replace(" ", "").split(",") if subnet]
            zones = sorted({self.around.zone_of(subnet) for subnet in subnets})
            if params.get("AvailabilityZones") and set(params["AvailabilityZones"]) != set(zones):
                message = "The availability zones of the specified subnets and the Auto Scaling group do not match"
                raise Refusal("ValidationError", message)
            group.subnet_ids, group.zones = subnets, zones
        elif not group.subnet_ids:
            raise Refusal("ValidationError", "At least one Availability Zone or VPC Subnet is required.")

    def _drop_switched_off(self, group: Group) -> None:
        """Forget what a value of -1 (or 0 for the instances' lifetime) takes back."""
        if group.kept.get("DefaultInstanceWarmup") == -1:
            del group.kept["DefaultInstanceWarmup"]
        if group.kept.get("MaxInstanceLifetime") == 0:
            del group.kept["MaxInstanceLifetime"]
        if -1 in group.kept.get("InstanceMaintenancePolicy", {}).values():
            del group.kept["InstanceMaintenancePolicy"]

    def resolve(self, launch_template: dict[str, str]) -> dict[str, str]:
        """Return a launch template specification with a numbered version; refused with ValidationError."""
        try:
            return self.around.resolve(launch_template)
        except LaunchError as error:
            raise Refusal("ValidationError", f"You must use a valid fully-formed launch template. {error}") from error

    def _note_capacity(self, group: Group, before: int, who: str) -> None:
        group.capacity_cause = (
            f"a {who} to min: {group.min_size}, max: {group.max_size}, desired: {group.desired} "
            f"changing the desired capacity from {before} to {group.desired}.  "
        )

    def set_desired(self, group: Group, desired: int, *, honor_cooldown: bool) -> None:
        """Set the desired capacity (SetDesiredCapacity)."""
        if desired < group.min_size:
            message = (
                f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup."
            )
            raise Refusal("ValidationError", message)
        if desired > group.max_size:
            message = (
                f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup."
            )
            raise Refusal("ValidationError", message)
        last = group.last_scaling_at
        if honor_cooldown and last is not None and context.now() - last < group.default_cooldown:
            raise Refusal("ScalingActivityInProgress", "You cannot change the capacity: a cooldown is in progress.")
        before, group.desired = group.desired, desired
        self._note_capacity(group, before, "user request explicitly set group desired capacity")

    def launch_instances(self, group: Group, params: Mapping[str, Any]) -> dict[str, Any]:
        """Launch instances into one zone at once, and count them into the desired capacity (LaunchInstances).

        After the user guide's "Launch instances synchronously": a group of several zones needs the zone or a subnet
        named, one zone a call. That the maximum refuses is not written there; the case that is harder for us.
        """
        token = params.get("ClientToken") or uuid.uuid4().hex
        if token in group.launched:
            return group.launched[token]
        count, subnet_id = params["RequestedCapacity"], self._launch_subnet(group, params)
        if group.desired + count > group.max_size:
            message = f"Launching {count} would exceed the max size {group.max_size} of {group.name}."
            raise Refusal("ValidationError", message)
        ids: list[str] = []
        errors: list[dict[str, Any]] = []
        zone = self.around.zone_of(subnet_id)
        place = {"AvailabilityZone": zone, "SubnetId": subnet_id, "MarketType": "OnDemand"}
        for _ in range(count):
            before = group.desired
            cause = (
                "a user request launched an instance synchronously, "
                f"increasing the capacity from {before} to {before + 1}."
            )
            try:
                ids.append(self.engine.launch(group, subnet_id, context.now(), cause).instance_id)
            except LaunchError as error:
                errors.append({**place, "ErrorCode": "InsufficientInstanceCapacity", "ErrorMessage": str(error)})
                break
            group.desired += 1
        group.launched[token] = {
            "AutoScalingGroupName": group.name,
            "ClientToken": token,
            "Instances": [{**place, "InstanceIds": ids}] if ids else [],
            "Errors": errors,
        }
        return group.launched[token]

    def _launch_subnet(self, group: Group, params: Mapping[str, Any]) -> str:
        zones, subnets = params.get("AvailabilityZones") or [], params.get("SubnetIds") or []
        fitting = [
            subnet
            for subnet in group.subnet_ids
            if subnet in (subnets or group.subnet_ids) and self.around.zone_of(subnet) in (zones or group.zones)
        ]
        if len({self.around.zone_of(subnet) for subnet in fitting}) != 1:
            message = f"Name one Availability Zone of {group.name} or a subnet in it: {', '.join(group.zones)}."
            raise Refusal("ValidationError", message)
        return fitting[0]

    def delete_group(self, name: str, *, force: bool) -> None:
        """Delete a group; its instances end first."""
        group = self.group(name)
        protection = group.kept.get("DeletionProtection", "none")
        if protection == "prevent-all-deletion" or (force and protection == "prevent-force-deletion"):
            raise Refusal("ValidationError", f"AutoScalingGroup '{name}' is protected from deletion: {protection}.")
        if group.members and not force:
            message = (
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group."
            )
            raise Refusal("ResourceInUse", message)
        group.status, group.desired = "Delete in progress", 0
        if not group.members:
            self._forget(group)
            return
        group.hooks.clear()
        for member in group.members:
            if not member.leaving:
                self.engine.take_out(group, member, context.now(), "the group was deleted.")

    # Instances.

    def find(self, instance_id: str) -> tuple[Group, Member]:
        """Return an instance with its group; refused with ValidationError when it is in none."""
        for group in self.groups.values():
            member = group.member(instance_id)
            if member is not None:
                return group, member
        raise Refusal(
            "ValidationError", f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )

    def terminate(self, instance_id: str, *, decrement: bool) -> Activity:
        """End an instance of a group (TerminateInstanceInAutoScalingGroup)."""
        group, member = self.find(instance_id)
        if member.leaving:
            return member.activity
        self._decrement(group, decrement=decrement, verb="Terminating")
        cause = f"instance {instance_id} was taken out of service in response to a user request"
        change = f", shrinking the capacity from {group.desired + 1} to {group.desired}." if decrement else "."
        return self.engine.take_out(group, member, context.now(), cause + change)

    def detach(self, group: Group, instance_ids: list[str], *, decrement: bool) -> list[Activity]:
        """Take instances out of a group without ending them (DetachInstances)."""
        activities = []
        for instance_id in instance_ids:
            member = self._member(group, instance_id)
            self._decrement(group, decrement=decrement, verb="Detaching")
            cause = f"instance {instance_id} was detached in response to a user request."
            activities.append(self.engine.take_out(group, member, context.now(), cause, keep=True))
        return activities

    def enter_standby(self, group: Group, instance_ids: list[str], *, decrement: bool) -> list[Activity]:
        """Set instances aside (EnterStandby)."""
        activities = []
        for instance_id in instance_ids:
            member = self._member(group, instance_id)
            self._decrement(group, decrement=decrement, verb="Moving to standby")
            cause = f"instance {instance_id} was moved to standby in response to a user request."
            activity = self.engine.take_out(group, member, context.now(), cause, keep=True)
            activity.description = f"Moving EC2 instance to Standby: {instance_id}"
            member.lifecycle_state = "Standby"
            activity.end(context.now())
            activities.append(activity)
        return activities

    def exit_standby(self, group: Group, instance_ids: list[str]) -> list[Activity]:
        """Take instances back into service (ExitStandby)."""
        activities = []
        for instance_id in instance_ids:
            member = self._member(group, instance_id)
            if group.desired + 1 > group.max_size:
                message = f"Moving {instance_id} out of standby would exceed the max size {group.max_size}."
                raise Refusal("ValidationError", message)
            group.desired += 1
            activities.append(self.engine.bring_back(group, member, context.now()))
        return activities

    def _member(self, group: Group, instance_id: str) -> Member:
        member = group.member(instance_id)
        if member is None or member.leaving:
            raise Refusal(
                "ValidationError", f"The instance {instance_id} is not part of Auto Scaling group {group.name}."
            )
        return member

    def _decrement(self, group: Group, *, decrement: bool, verb: str) -> None:
        if not decrement:
            return
        if group.desired - 1 < group.min_size:
            message = (
                f"Currently, desiredSize equals minSize ({group.min_size}). {verb} instance without replacement will "
                "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
                "group's min size."
            )
            raise Refusal("ValidationError", message)
        group.desired -= 1

    def set_health(self, instance_id: str, status: str, *, respect_grace: bool) -> None:
        """Say that an instance is healthy or not (SetInstanceHealth)."""
        group, member = self.find(instance_id)
        if status not in ("Healthy", "Unhealthy"):
            raise Refusal("ValidationError", f"HealthStatus {status} must be Healthy or Unhealthy.")
        young = member.in_service_at is None or context.now() - member.in_service_at < group.health_check_grace
        if not (respect_grace and young and status == "Unhealthy"):
            member.health, member.unhealthy_because = status, "a user health-check"

    def attach(self, group: Group, arns: list[str]) -> None:
        """Attach target groups; instances in service are registered."""
        for arn in arns:
            if arn not in group.target_groups:
                group.target_groups.append(arn)
                for member in group.members:
                    if member.lifecycle_state == "InService":
                        self.around.register(arn, member.instance_id)

    def detach_target_groups(self, group: Group, arns: list[str]) -> None:
        """Detach target groups; instances are deregistered."""
        for arn in arns:
            if arn in group.target_groups:
                group.target_groups.remove(arn)
                for member in group.members:
                    self.around.deregister(arn, member.instance_id)

    # Lifecycle hooks.

    def put_hook(self, group: Group, params: Mapping[str, Any]) -> None:
        """Add or change a lifecycle hook (PutLifecycleHook)."""
        name = params["LifecycleHookName"]
        hook = group.hooks.get(name) or Hook(name, group.name, params.get("LifecycleTransition") or "")
        if not hook.transition:
            raise Refusal("ValidationError", "LifecycleTransition is required for a new lifecycle hook.")
        hook.transition = params.get("LifecycleTransition", hook.transition)
        hook.heartbeat_timeout = params.get("HeartbeatTimeout", hook.heartbeat_timeout)
        hook.default_result = params.get("DefaultResult", hook.default_result)
        if hook.default_result not in ("CONTINUE", "ABANDON"):
            raise Refusal("ValidationError", f"DefaultResult {hook.default_result} must be CONTINUE or ABANDON.")
        hook.notification_target = params.get("NotificationTargetARN", hook.notification_target)
        hook.role = params.get("RoleARN", hook.role)
        hook.metadata = params.get("NotificationMetadata", hook.metadata)
        group.hooks[name] = hook

    def lifecycle_action(self, params: Mapping[str, Any], *, result: str | None) -> None:
        """Complete a lifecycle action, or with no result record its heartbeat."""
        group = self.group(params["AutoScalingGroupName"])
        name, token, instance_id = (
            params["LifecycleHookName"],
            params.get("LifecycleActionToken"),
            params.get("InstanceId"),
        )
        for member in group.members:
            for wait in member.waits:
                fits = wait.token == token if token else member.instance_id == instance_id
                if fits and wait.hook.name == name and wait.result is None:
                    if result is None:
                        wait.heartbeat(context.now())
                    else:
                        wait.result = result
                    return
        message = f"No active Lifecycle Action found with {'token' if token else 'instance ID'} {token or instance_id}"
        raise Refusal("ValidationError", message)
