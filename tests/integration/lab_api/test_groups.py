"""Auto Scaling groups: zones, health, lifecycle hooks, capacity, termination, activities."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lab.api import TargetHealth

GROUP = {"AutoScalingGroupName": "AUTOChOp"}
HOST_PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "host_tools" / "files"
UNHEALTHY = TargetHealth("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")


def zones(world):
    return sorted(member["AvailabilityZone"] for member in world.members())


def test_instances_spread_over_the_zones_and_enter_service_with_all_of_their_template(world):
    fleet = world.fleet(Tags=[{"Key": "checkop:group", "Value": "autochop", "PropagateAtLaunch": True}])
    assert zones(world) == ["us-east-1a", "us-east-1d"]
    assert {m["LifecycleState"] for m in world.members()} == {"InService"}
    ids = [m["InstanceId"] for m in world.members()]
    reservations = world.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    for instance in (i for r in reservations for i in r["Instances"]):
        assert instance["State"]["Name"] == "running"
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
        assert instance["SecurityGroups"][0]["GroupId"] == fleet.network.security_group
        assert instance["PublicIpAddress"].startswith("127.99.")
        tags = {t["Key"]: t["Value"] for t in instance["Tags"]}
        assert tags["Name"] == "AUTOChOp"
        assert tags["checkop:group"] == "autochop"
        assert tags["aws:autoscaling:groupName"] == "AUTOChOp"
        volume = world.ec2.describe_volumes(VolumeIds=[instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])
        assert (volume["Volumes"][0]["Size"], volume["Volumes"][0]["Encrypted"]) == (50, True)
        assert len(instance["BlockDeviceMappings"]) == 1
    assert set(world.health(fleet.balancer.target_group).values()) == {"healthy"}


def test_an_instance_is_pending_until_the_runtime_runs_it(world):
    world.hooks.instance_condition = lambda _id: "pending"
    world.fleet()
    assert {m["LifecycleState"] for m in world.members()} == {"Pending"}
    assert {i.state for i in world.cloud.instances()} == {"pending"}
    del world.hooks.instance_condition
    world.tick()
    assert {m["LifecycleState"] for m in world.members()} == {"InService"}


def test_scaling_in_keeps_the_zones_even(world):
    world.fleet()
    world.autoscaling.set_desired_capacity(**GROUP, DesiredCapacity=4)
    world.tick(times=2)
    assert zones(world) == ["us-east-1a", "us-east-1a", "us-east-1d", "us-east-1d"]
    world.autoscaling.set_desired_capacity(**GROUP, DesiredCapacity=2)
    world.until(lambda: len(world.members()) == 2)
    assert zones(world) == ["us-east-1a", "us-east-1d"]


def test_launch_instances_launches_into_the_zone_named_and_counts_it(world):
    world.fleet()
    answer = world.autoscaling.launch_instances(
        **GROUP, RequestedCapacity=1, AvailabilityZones=["us-east-1d"], ClientToken="once"
    )
    again = world.autoscaling.launch_instances(
        **GROUP, RequestedCapacity=1, AvailabilityZones=["us-east-1d"], ClientToken="once"
    )
    assert answer["Instances"] == again["Instances"]
    world.tick(times=2)
    assert zones(world) == ["us-east-1a", "us-east-1d", "us-east-1d"]
    assert world.group()["DesiredCapacity"] == 3
    with pytest.raises(ClientError, match="Name one Availability Zone"):
        world.autoscaling.launch_instances(**GROUP, RequestedCapacity=1)
    with pytest.raises(ClientError, match="would exceed the max size"):
        world.autoscaling.launch_instances(**GROUP, RequestedCapacity=2, AvailabilityZones=["us-east-1d"])


def test_termination_policy_newest_instance_is_honoured(world):
    world.fleet(TerminationPolicies=["NewestInstance"])
    before = {m["InstanceId"] for m in world.members()}
    world.tick(10)
    world.autoscaling.set_desired_capacity(**GROUP, DesiredCapacity=4)
    world.tick(times=2)
    world.autoscaling.set_desired_capacity(**GROUP, DesiredCapacity=2)
    world.until(lambda: len(world.members()) == 2)
    assert {m["InstanceId"] for m in world.members()} == before


def test_a_dead_instance_is_replaced_in_its_zone_at_once(world):
    fleet = world.fleet()
    victim = world.members()[0]
    world.hooks.conditions[victim["InstanceId"]] = "gone"
    world.tick(1, times=3)
    assert len(world.members("InService")) == 2
    assert zones(world) == ["us-east-1a", "us-east-1d"]
    assert victim["InstanceId"] not in world.health(fleet.balancer.target_group)
    causes = [a["Cause"] for a in world.autoscaling.describe_scaling_activities(**GROUP)["Activities"]]
    assert any("EC2 health check indicating it has been terminated or stopped" in cause for cause in causes)


def test_an_unhealthy_target_is_replaced_after_the_grace_period_only(world):
    world.fleet()
    sick = world.members()[0]["InstanceId"]
    world.hooks.health[sick] = UNHEALTHY
    world.tick(1, times=25)
    assert sick in {m["InstanceId"] for m in world.members("InService")}
    world.until(lambda: sick not in {m["InstanceId"] for m in world.members()})
    world.until(lambda: len(world.members("InService")) == 2)
    causes = [a["Cause"] for a in world.autoscaling.describe_scaling_activities(**GROUP)["Activities"]]
    assert any("ELB system health check failure" in cause for cause in causes)


def test_health_check_type_ec2_ignores_the_balancer(world):
    world.fleet(HealthCheckType="EC2")
    sick = world.members()[0]["InstanceId"]
    world.hooks.health[sick] = UNHEALTHY
    world.tick(1, times=60)
    assert sick in {m["InstanceId"] for m in world.members("InService")}


def test_an_impaired_instance_is_reported_and_replaced(world):
    world.fleet()
    sick = world.members()[0]["InstanceId"]
    world.hooks.conditions[sick] = "impaired"
    status = world.ec2.describe_instance_status(InstanceIds=[sick])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "impaired"
    del world.hooks.conditions[sick]
    status = world.ec2.describe_instance_status(InstanceIds=[sick])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "ok"


def test_a_maintenance_policy_launches_before_an_impaired_instance_goes(world):
    world.fleet(InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150})
    sick = world.members()[0]["InstanceId"]
    world.hooks.health[sick] = UNHEALTHY
    world.until(lambda: len(world.members()) == 3)
    assert sick in {m["InstanceId"] for m in world.members("InService")}
    world.until(lambda: sick not in {m["InstanceId"] for m in world.members()})
    assert len(world.members("InService")) == 2


def test_a_fleet_that_is_unhealthy_as_a_whole_is_replaced_as_a_whole(world):
    world.fleet(InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150})
    world.tick(60)
    before = whole_fleet_is_unready_for_150_seconds(world)
    assert not set(before) & {m["InstanceId"] for m in world.members("InService")}


def ending_with_a_hook(world, heartbeat_seconds):
    """End an instance that has requests under way and a hook to complete; return its id."""
    world.autoscaling.put_lifecycle_hook(
        **GROUP,
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=heartbeat_seconds,
        DefaultResult="CONTINUE",
    )
    instance_id = world.members()[0]["InstanceId"]
    world.hooks.in_flight[instance_id] = 3
    world.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
    )
    return instance_id


def test_an_ending_instance_drains_then_waits_for_its_hook_then_ends(world):
    fleet = world.fleet()
    instance_id = ending_with_a_hook(world, 100)

    def state():
        return next((m["LifecycleState"] for m in world.members() if m["InstanceId"] == instance_id), "gone")

    world.tick(1)
    assert state() == "Terminating"
    assert world.health(fleet.balancer.target_group)[instance_id] == "draining"
    activity = world.autoscaling.describe_scaling_activities(**GROUP)["Activities"]
    assert "WaitingForELBConnectionDraining" in {a["StatusCode"] for a in activity}
    # The instance knows its end already, but no hook is open yet.
    view = next(i for i in world.cloud.instances() if i.instance_id == instance_id)
    assert view.target_lifecycle_state == "Terminated"
    message = f"No active Lifecycle Action found with instance ID {instance_id}"
    with pytest.raises(ClientError, match=message) as refused:
        world.autoscaling.complete_lifecycle_action(
            **GROUP, LifecycleHookName="drain", InstanceId=instance_id, LifecycleActionResult="CONTINUE"
        )
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    world.hooks.in_flight[instance_id] = 0
    world.tick(1)
    assert state() == "Terminating:Wait"
    view = next(i for i in world.cloud.instances() if i.instance_id == instance_id)
    assert (view.wanted, view.target_lifecycle_state) == ("running", "Terminated")
    world.tick(90)
    world.autoscaling.record_lifecycle_action_heartbeat(**GROUP, LifecycleHookName="drain", InstanceId=instance_id)
    world.tick(90)
    assert state() == "Terminating:Wait"
    world.autoscaling.complete_lifecycle_action(
        **GROUP, LifecycleHookName="drain", InstanceId=instance_id, LifecycleActionResult="CONTINUE"
    )
    world.tick(1)
    assert state() == "Terminating:Proceed"
    world.tick(1)
    assert state() == "gone"


def test_the_host_s_own_program_completes_the_action_once_the_balancer_has_drained_it(world, monkeypatch):
    monkeypatch.syspath_prepend(HOST_PROGRAM)
    from checkop_host import lifecycle  # noqa: PLC0415 - found only now

    world.fleet()
    instance_id = ending_with_a_hook(world, 900)
    began = world.time
    assert lifecycle.Hooks(world, instance_id).complete(clock=lambda: world.time, sleep=world.tick) == ["drain"]
    # The deregistration delay of 20 s, in steps of 5.
    assert world.time - began == 20
    world.tick(1, times=2)
    assert instance_id not in {m["InstanceId"] for m in world.members()}


def test_draining_ends_with_the_deregistration_delay(world):
    world.fleet()
    instance_id = world.members()[0]["InstanceId"]
    world.hooks.in_flight[instance_id] = 1
    world.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
    )
    world.tick(19)
    assert world.members("Terminating")
    world.tick(2)
    assert not world.members("Terminating")


def test_a_hook_that_nobody_completes_ends_with_its_default_result(world):
    world.fleet(
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": "boot",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": 60,
                "DefaultResult": "ABANDON",
            }
        ]
    )
    first = {m["InstanceId"] for m in world.members("Pending:Wait")}
    assert len(first) == 2
    world.tick(61, times=3)
    assert not first & {m["InstanceId"] for m in world.members()}
    world.tick(times=2)
    waiting = world.members("Pending:Wait")[0]["InstanceId"]
    world.autoscaling.complete_lifecycle_action(
        **GROUP, LifecycleHookName="boot", InstanceId=waiting, LifecycleActionResult="CONTINUE"
    )
    world.tick()
    assert waiting in {m["InstanceId"] for m in world.members("InService")}


def test_completing_an_action_that_is_not_there_is_refused(world):
    world.fleet()
    with pytest.raises(ClientError, match="No active Lifecycle Action found"):
        world.autoscaling.complete_lifecycle_action(
            **GROUP, LifecycleHookName="drain", InstanceId="i-0", LifecycleActionResult="CONTINUE"
        )


def test_capacity_stays_within_its_bounds(world):
    world.fleet()
    for desired in (1, 5):
        with pytest.raises(ClientError, match="ValidationError"):
            world.autoscaling.set_desired_capacity(**GROUP, DesiredCapacity=desired)
    with pytest.raises(ClientError, match="equals minSize"):
        world.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=world.members()[0]["InstanceId"], ShouldDecrementDesiredCapacity=True
        )
    world.autoscaling.update_auto_scaling_group(**GROUP, MinSize=3)
    assert world.group()["DesiredCapacity"] == 3


def test_suspended_processes_hold_still(world):
    world.fleet()
    world.autoscaling.suspend_processes(**GROUP, ScalingProcesses=["Launch", "HealthCheck"])
    world.autoscaling.set_desired_capacity(**GROUP, DesiredCapacity=4)
    sick = world.members()[0]["InstanceId"]
    world.hooks.health[sick] = UNHEALTHY
    world.tick(1, times=60)
    assert len(world.members("InService")) == 2
    world.autoscaling.resume_processes(**GROUP, ScalingProcesses=["Launch"])
    world.tick(1, times=3)
    assert len(world.members("InService")) == 4
    names = [p["ProcessName"] for p in world.group()["SuspendedProcesses"]]
    assert names == ["HealthCheck"]


def whole_fleet_is_unready_for_150_seconds(world):
    before = [m["InstanceId"] for m in world.members()]
    for each in before:
        world.hooks.health[each] = UNHEALTHY
    world.tick(1, times=150)
    return before


def serves_for_150_seconds_as(world, before):
    world.hooks.health.clear()
    world.autoscaling.resume_processes(**GROUP)
    world.tick(1, times=150)
    return {m["InstanceId"] for m in world.members("InService")} == set(before)


def test_a_dependency_is_away_while_health_is_held(world):
    world.fleet()
    world.tick(60)
    world.autoscaling.suspend_processes(**GROUP, ScalingProcesses=["HealthCheck", "ReplaceUnhealthy"])
    before = whole_fleet_is_unready_for_150_seconds(world)
    assert {m["HealthStatus"] for m in world.members()} == {"Healthy"}
    assert serves_for_150_seconds_as(world, before)


@pytest.mark.parametrize("told", [True, False])
def test_an_instance_once_unhealthy_goes_unless_somebody_says_it_is_healthy(world, told):
    world.fleet()
    world.tick(60)
    world.autoscaling.suspend_processes(**GROUP, ScalingProcesses=["ReplaceUnhealthy"])
    before = whole_fleet_is_unready_for_150_seconds(world)
    assert {m["HealthStatus"] for m in world.members()} == {"Unhealthy"}
    world.autoscaling.suspend_processes(**GROUP, ScalingProcesses=["HealthCheck"])
    for each in before if told else ():
        world.autoscaling.set_instance_health(InstanceId=each, HealthStatus="Healthy")
    assert serves_for_150_seconds_as(world, before) is told


def test_an_uneven_group_is_rebalanced_without_losing_an_instance(world):
    fleet = world.fleet()
    first = fleet.network.subnets["us-east-1a"]
    world.autoscaling.update_auto_scaling_group(**GROUP, VPCZoneIdentifier=first)
    lowest = 2
    for _ in range(10):
        world.tick(1)
        lowest = min(lowest, len(world.members("InService")))
    assert zones(world) == ["us-east-1a", "us-east-1a"]
    world.autoscaling.update_auto_scaling_group(**GROUP, VPCZoneIdentifier=",".join(fleet.network.subnets.values()))
    for _ in range(10):
        world.tick(1)
        lowest = min(lowest, len(world.members("InService")))
    assert zones(world) == ["us-east-1a", "us-east-1d"]
    assert lowest == 2


def test_a_launch_that_fails_is_told_and_tried_again(world):
    fleet = world.fleet()
    world.ec2.create_launch_template_version(
        LaunchTemplateId=fleet.template, SourceVersion="1", LaunchTemplateData={"ImageId": "ami-00000000"}
    )
    world.autoscaling.update_auto_scaling_group(
        **GROUP, LaunchTemplate={"LaunchTemplateId": fleet.template, "Version": "3"}, DesiredCapacity=3
    )
    world.tick(1, times=5)
    activities = world.autoscaling.describe_scaling_activities(**GROUP)["Activities"]
    failed = [a for a in activities if a["StatusCode"] == "Failed"]
    assert len(failed) == 1
    assert "ami-00000000" in failed[0]["StatusMessage"]
    world.autoscaling.update_auto_scaling_group(
        **GROUP, LaunchTemplate={"LaunchTemplateId": fleet.template, "Version": "1"}
    )
    world.tick(11)
    world.tick()
    assert len(world.members("InService")) == 3


def test_standby_and_back(world):
    fleet = world.fleet()
    instance_id = world.members()[0]["InstanceId"]
    world.autoscaling.update_auto_scaling_group(**GROUP, MinSize=1)
    world.autoscaling.enter_standby(**GROUP, InstanceIds=[instance_id], ShouldDecrementDesiredCapacity=True)
    world.tick()
    assert world.health(fleet.balancer.target_group)[instance_id] == "draining"
    assert {m["LifecycleState"] for m in world.members()} == {"Standby", "InService"}
    world.autoscaling.exit_standby(**GROUP, InstanceIds=[instance_id])
    world.tick()
    assert world.health(fleet.balancer.target_group)[instance_id] == "healthy"
    assert world.group()["DesiredCapacity"] == 2


def test_everything_given_is_returned(world):
    given = {
        "DefaultCooldown": 120,
        "HealthCheckGracePeriod": 45,
        "DefaultInstanceWarmup": 60,
        "InstanceMaintenancePolicy": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150},
        "TerminationPolicies": ["OldestLaunchTemplate", "OldestInstance"],
        "NewInstancesProtectedFromScaleIn": True,
        "MaxInstanceLifetime": 604800,
        "CapacityRebalance": True,
    }
    world.fleet(**given)
    found = world.group()
    assert {key: found[key] for key in given} == given
    assert all(m["ProtectedFromScaleIn"] for m in found["Instances"])
    assert {m["LaunchTemplate"]["Version"] for m in found["Instances"]} == {"1"}


def test_policies_and_schedules_are_kept_whole(world):
    world.fleet()
    tracking = {
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
        "TargetValue": 60.0,
    }
    world.autoscaling.put_scaling_policy(
        **GROUP, PolicyName="cpu", PolicyType="TargetTrackingScaling", TargetTrackingConfiguration=tracking
    )
    policy = world.autoscaling.describe_policies(**GROUP)["ScalingPolicies"][0]
    assert policy["TargetTrackingConfiguration"] == {**tracking, "DisableScaleIn": False}
    schedule = {
        "Recurrence": "0 6 28-31 * *",
        "TimeZone": "America/Bogota",
        "MinSize": 2,
        "MaxSize": 4,
        "DesiredCapacity": 4,
    }
    world.autoscaling.put_scheduled_update_group_action(**GROUP, ScheduledActionName="peak", **schedule)
    found = world.autoscaling.describe_scheduled_actions(**GROUP)["ScheduledUpdateGroupActions"][0]
    assert {key: found[key] for key in schedule} == schedule


def test_deleting_a_group_needs_force_while_it_has_instances(world):
    world.fleet()
    with pytest.raises(ClientError, match="ResourceInUse"):
        world.autoscaling.delete_auto_scaling_group(**GROUP)
    ids = [m["InstanceId"] for m in world.members()]
    world.autoscaling.delete_auto_scaling_group(**GROUP, ForceDelete=True)
    assert world.group()["Status"] == "Delete in progress"
    world.tick(1, times=3)
    assert world.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    states = {i.instance_id for i in world.cloud.instances()}
    assert not states & set(ids)
