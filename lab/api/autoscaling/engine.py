"""What keeps a group true: level-triggered, one `tick` compares and closes the difference.

Order of an instance's end, as with Amazon EC2 Auto Scaling behind a load balancer: deregistered and drained first, then
the lifecycle hooks, then terminated.
"""

import math

from lab.api.autoscaling import placement, refresh
from lab.api.autoscaling.model import Activity, Group, Member, Wait
from lab.api.autoscaling.protocol import LaunchError, Surroundings
from lab.api.context import moment

# Far more passes than one tick ever needs; it stops when a pass changes nothing.
MAX_PASSES = 20
DEAD = ("shutting-down", "terminated", "stopping", "stopped")


class Engine:
    """Moves groups on. `launch_retry` is how many seconds it waits after a launch that failed."""

    def __init__(self, surroundings: Surroundings, launch_retry: float = 10) -> None:
        self.around = surroundings
        self.launch_retry = launch_retry
        self._moved = False

    def tick(self, group: Group, now: float) -> bool:
        """Move a group on as far as it goes now; return whether time alone may move it further."""
        for _ in range(MAX_PASSES):
            self._moved = False
            for member in list(group.members):
                self._advance(group, member, now)
            if group.status is None:
                self._judge(group, now)
                self._step_refresh(group, now)
                self._replace_unhealthy(group, now)
                self._scale(group, now)
            if not self._moved:
                break
        return self._busy(group)

    def _busy(self, group: Group) -> bool:
        steady = all(m.lifecycle_state in ("InService", "Standby") and m.health == "Healthy" for m in group.members)
        return (
            not steady
            or group.refresh is not None
            or len(group.counted) != group.desired
            or any(self._in_grace(group, member) for member in group.members)
        )

    # One instance.

    def _advance(self, group: Group, member: Member, now: float) -> None:
        state = member.lifecycle_state
        if state.startswith("Pending"):
            self._advance_launch(group, member, now)
        elif state == "Terminating":
            if self._drained(group, member):
                self._wait_or(group, member, now, "TERMINATING", "Terminating:Wait")
        elif state == "Terminating:Wait":
            if self._waits_over(member, now):
                self._proceed(member)
        elif state == "Terminating:Proceed":
            if self.around.instance_state(member.instance_id) == "terminated":
                self._remove(group, member, now)
        elif state == "Detaching" and self._drained(group, member):
            self._remove(group, member, now)

    def _advance_launch(self, group: Group, member: Member, now: float) -> None:
        state = self.around.instance_state(member.instance_id)
        if state in DEAD:
            message = "Instance became unhealthy while waiting for instance to be in InService state."
            member.activity.end(now, "Failed", message)
            self.take_out(group, member, now, "an instance was taken out of service because its launch failed.")
        elif member.lifecycle_state == "Pending" and state == "running":
            self._wait_or(group, member, now, "LAUNCHING", "Pending:Wait")
        elif member.lifecycle_state == "Pending:Wait" and self._waits_over(member, now):
            if any(wait.result == "ABANDON" for wait in member.waits):
                member.activity.end(now, "Cancelled", "Lifecycle action was abandoned.")
                self.take_out(group, member, now, "an instance was taken out of service: lifecycle action abandoned.")
            else:
                self._enter_service(group, member, now)

    def _wait_or(self, group: Group, member: Member, now: float, transition: str, waiting: str) -> None:
        hooks = group.hooks_for(transition)
        gone = self.around.instance_state(member.instance_id) in DEAD
        if hooks and not gone:
            member.waits = [Wait(hook, now, now + hook.heartbeat_timeout) for hook in hooks]
            member.activity.status, member.activity.progress = "MidLifecycleAction", 50
            self._set_state(member, waiting)
        elif transition == "LAUNCHING":
            self._enter_service(group, member, now)
        else:
            self._proceed(member)

    def _waits_over(self, member: Member, now: float) -> bool:
        for wait in member.waits:
            if wait.result is None and now >= wait.deadline:
                wait.result = wait.hook.default_result
        # One ABANDON ends the others; so does the death of the instance.
        if any(wait.result == "ABANDON" for wait in member.waits):
            return True
        return all(wait.result for wait in member.waits) or self.around.instance_state(member.instance_id) in DEAD

    def _enter_service(self, group: Group, member: Member, now: float) -> None:
        if group.runs("AddToLoadBalancer"):
            for arn in group.target_groups:
                self.around.register(arn, member.instance_id)
        member.waits, member.in_service_at = [], now
        member.activity.end(now)
        self._set_state(member, "InService")

    def _drained(self, group: Group, member: Member) -> bool:
        if self.around.instance_state(member.instance_id) in ("shutting-down", "terminated"):
            return True
        draining = any(self.around.draining(arn, member.instance_id) for arn in group.target_groups)
        member.activity.status = "WaitingForELBConnectionDraining" if draining else "InProgress"
        return not draining

    def _proceed(self, member: Member) -> None:
        member.activity.status = "InProgress"
        self.around.terminate(member.instance_id)
        self._set_state(member, "Terminating:Proceed")

    def _remove(self, group: Group, member: Member, now: float) -> None:
        group.members.remove(member)
        member.activity.end(now)
        self._moved = True

    def _set_state(self, member: Member, state: str) -> None:
        member.lifecycle_state = state
        self._moved = True

    def take_out(self, group: Group, member: Member, now: float, cause: str, *, keep: bool = False) -> Activity:
        """Begin an instance's way out: deregister it, then terminate it; with `keep` detach it instead.

        `cause` continues the sentence "At <time> ...". Returns the activity.
        """
        verb = "Detaching EC2 instance" if keep else "Terminating EC2 instance"
        member.activity = self._activity(group, member, now, f"{verb}: {member.instance_id}", cause)
        for arn in group.target_groups:
            self.around.deregister(arn, member.instance_id)
        self._set_state(member, "Detaching" if keep else "Terminating")
        return member.activity

    def bring_back(self, group: Group, member: Member, now: float) -> Activity:
        """Take an instance out of standby."""
        cause = f"instance {member.instance_id} was moved out of standby in response to a user request."
        description = f"Moving EC2 instance out of Standby: {member.instance_id}"
        member.activity = activity = self._activity(group, member, now, description, cause)
        self._enter_service(group, member, now)
        return activity

    def _activity(self, group: Group, member: Member, now: float, description: str, cause: str) -> Activity:
        activity = Activity(
            group.name,
            description,
            f"At {moment(now):%Y-%m-%dT%H:%M:%SZ} {cause}",
            now,
            zone=member.zone,
            subnet_id=member.subnet_id,
        )
        group.activities.insert(0, activity)
        return activity

    # Health.

    def _in_grace(self, group: Group, member: Member) -> bool:
        return bool(member.lifecycle_state == "InService" and self._trouble(group, member))

    def _judge(self, group: Group, now: float) -> None:
        if not group.runs("HealthCheck"):
            return
        for member in group.members:
            if member.lifecycle_state != "InService" or member.health != "Healthy":
                continue
            trouble = self._trouble(group, member)
            dead = self.around.instance_state(member.instance_id) in DEAD
            if trouble and (dead or now - (member.in_service_at or 0) >= group.health_check_grace):
                member.health, member.unhealthy_because = "Unhealthy", trouble
                self._moved = True

    def _trouble(self, group: Group, member: Member) -> str:
        """Return which health check fails, in the words of the activity that will replace the instance."""
        state = self.around.instance_state(member.instance_id)
        if state in DEAD:
            return "an EC2 health check indicating it has been terminated or stopped"
        if self.around.impaired(member.instance_id):
            return "an EC2 instance status checks failure"
        if "ELB" in group.health_check_type and any(
            self.around.target_state(arn, member.instance_id) == "unhealthy" for arn in group.target_groups
        ):
            return "an ELB system health check failure"
        return ""

    def serving(self, group: Group, member: Member) -> bool:
        """Return whether an instance is in service and passes every health check that the group uses."""
        if member.lifecycle_state != "InService" or member.health != "Healthy":
            return False
        if self.around.instance_state(member.instance_id) != "running" or self.around.impaired(member.instance_id):
            return False
        return "ELB" not in group.health_check_type or all(
            self.around.target_state(arn, member.instance_id) == "healthy" for arn in group.target_groups
        )

    def _unhealthy(self, group: Group) -> list[Member]:
        return [m for m in group.members if m.lifecycle_state == "InService" and m.health == "Unhealthy"]

    def _replace_unhealthy(self, group: Group, now: float) -> None:
        if not group.runs("ReplaceUnhealthy") or not group.runs("Terminate"):
            return
        policy = group.kept.get("InstanceMaintenancePolicy", {})
        for member in self._unhealthy(group):
            alive = self.around.instance_state(member.instance_id) not in DEAD
            if alive and _launches_first(policy):
                # One for one: it goes once the others are as many as the policy keeps. A replacement is one of them
                # when it is in service and warm, whatever the balancer thinks of it: its grace period runs.
                others = [m for m in self._warm(group, now) if m is not member]
                if len(others) < math.ceil(group.desired * policy["MinHealthyPercentage"] / 100):
                    continue
            because = member.unhealthy_because or "a user health-check"
            cause = f"an instance was taken out of service in response to {because}."
            self.take_out(group, member, now, cause)

    def _warm(self, group: Group, now: float) -> list[Member]:
        """Return what is in service for longer than the group's default instance warm-up."""
        warmup = group.kept.get("DefaultInstanceWarmup", 0)
        in_service = [m for m in group.members if m.lifecycle_state == "InService"]
        return [m for m in in_service if now - (m.in_service_at or 0) >= warmup]

    def _held(self, group: Group) -> int:
        """Return how many replacements a maintenance policy launches before unhealthy instances go.

        Its upper limit counts what is healthy or pending (API reference, InstanceMaintenancePolicy), so that a fleet
        that is unhealthy as a whole is replaced as a whole.
        """
        if not _launches_first(group.kept.get("InstanceMaintenancePolicy", {})):
            return 0
        return min(len(self._unhealthy(group)), group.desired)

    # Capacity.

    def _scale(self, group: Group, now: float) -> None:
        if len(group.counted) == group.desired:
            group.capacity_cause = ""
        wanted = group.desired + group.surplus + self._held(group) + self._rebalance(group)
        while len(group.counted) < wanted and group.runs("Launch") and now >= group.launch_again_at:
            if not self._launch(group, now, wanted):
                break
        waiting = group.rebalancing and not all(self.serving(group, member) for member in group.counted)
        while len(group.counted) > wanted and group.runs("Terminate") and not waiting:
            if not self._scale_in(group, now, wanted):
                break

    def _rebalance(self, group: Group) -> int:
        """Return 1 when an instance is to be launched in another zone before one leaves the fullest."""
        steady = all(self.serving(group, member) for member in group.counted)
        group.rebalancing = group.rebalancing and len(group.counted) > group.desired
        if group.refresh or not group.runs("AZRebalance") or not steady or len(group.counted) != group.desired:
            return 0
        if not placement.imbalance(group.zones, group.counted):
            return 0
        group.rebalancing = True
        return 1

    def _launch(self, group: Group, now: float, wanted: int) -> bool:
        counted = len(group.counted)
        underway = group.refresh
        zone = placement.next_zone(group.zones, group.members, underway.outdated if underway else ())
        subnet_id = next(subnet for subnet in group.subnet_ids if self.around.zone_of(subnet) == zone)
        why = "an instance refresh" if underway else "a difference between desired and actual capacity"
        cause = (
            f"{group.capacity_cause}an instance was started in response to {why}, "
            f"increasing the capacity from {counted} to {counted + 1}."
        )
        try:
            self.launch(group, subnet_id, now, cause)
        except LaunchError as error:
            group.launch_error, group.launch_again_at = str(error), now + self.launch_retry
            return False
        group.launch_error = None
        return True

    def launch(self, group: Group, subnet_id: str, now: float, cause: str) -> Member:
        """Launch an instance into a subnet; raises LaunchError, and either way an activity tells it.

        `cause` continues the sentence "At <time> ...".
        """
        underway = group.refresh
        try:
            launch_template = self.around.resolve(
                _specification(underway.configuration) if underway else group.launch_template
            )
            member = self.around.launch(group, launch_template, subnet_id)
        except LaunchError as error:
            activity = Activity(
                group.name, "Launching a new EC2 instance.", f"At {moment(now):%Y-%m-%dT%H:%M:%SZ} {cause}", now
            )
            activity.zone, activity.subnet_id = self.around.zone_of(subnet_id), subnet_id
            activity.end(now, "Failed", f"{error} Launching EC2 instance failed.")
            group.activities.insert(0, activity)
            raise
        group.last_scaling_at = now
        member.activity = self._activity(
            group, member, now, f"Launching a new EC2 instance: {member.instance_id}", cause
        )
        member.activity.status, member.activity.progress = "PreInService", 30
        group.members.append(member)
        self._moved = True
        return member

    def _scale_in(self, group: Group, now: float, wanted: int) -> bool:
        underway = group.refresh
        configuration = underway.configuration if underway else self._own_configuration(group)
        member = placement.leaves_first(
            group.counted,
            group.zones,
            group.termination_policies,
            configuration,
            preferred=underway.outdated if underway else (),
        )
        if member is None:
            return False
        cause = (
            f"{group.capacity_cause}an instance was taken out of service in response to a difference between desired "
            f"and actual capacity, shrinking the capacity from {len(group.counted)} to {wanted}. "
            f"Instance {member.instance_id} was selected for termination."
        )
        group.last_scaling_at = now
        self.take_out(group, member, now, cause)
        return True

    def _own_configuration(self, group: Group) -> str:
        try:
            specification = self.around.resolve(group.launch_template)
        except LaunchError:
            return ""
        return f"{specification['LaunchTemplateId']}:{specification['Version']}"

    # Instance refresh.

    def view(self, group: Group) -> refresh.View:
        """Return the group as an instance refresh needs to see it."""
        return refresh.View(
            desired=group.desired,
            members=tuple(
                refresh.Member(
                    member.instance_id,
                    member.zone,
                    member.configuration,
                    self.serving(group, member),
                    member.in_service_at,
                    member.leaving,
                    member.lifecycle_state == "Standby",
                    member.protected,
                )
                for member in group.members
            ),
            alarms=self.around.alarms(),
            launch_error=group.launch_error,
        )

    def _step_refresh(self, group: Group, now: float) -> None:
        underway = group.refresh
        if underway is None:
            group.surplus = 0
            return
        if not group.runs("InstanceRefresh"):
            return
        for action in underway.step(now, self.view(group)):
            match action:
                case refresh.Terminate(instance_id) if group.runs("Terminate"):
                    member = group.member(instance_id)
                    if member and not member.leaving:
                        cause = "an instance was taken out of service in response to an instance refresh."
                        self.take_out(group, member, now, cause)
                case refresh.Surplus(count):
                    group.surplus = count
                case refresh.Adopt() if underway.desired_configuration:
                    group.launch_template = dict(underway.desired_configuration["LaunchTemplate"])
                case _:
                    pass
        if not underway.active:
            group.surplus = 0
            self._moved = True


def _launches_first(policy: dict[str, int]) -> bool:
    """Return whether a maintenance policy lets a replacement run beside the instance that it replaces."""
    return policy.get("MaxHealthyPercentage", 0) > 100  # noqa: PLR2004 - percent


def _specification(configuration: str) -> dict[str, str]:
    launch_template_id, version = configuration.split(":")
    return {"LaunchTemplateId": launch_template_id, "Version": version}
