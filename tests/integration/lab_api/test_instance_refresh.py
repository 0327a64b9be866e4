"""Instance refresh through the API, with real groups and draining beneath."""

import pytest
from botocore.exceptions import ClientError

from lab.api import TargetHealth

GROUP = {"AutoScalingGroupName": "AUTOChOp"}
CHECKPOINTS = {"CheckpointPercentages": [50, 100], "CheckpointDelay": 10}


def versions(world):
    return sorted(m["LaunchTemplate"]["Version"] for m in world.members() if not m["LifecycleState"].startswith("Term"))


def ended(world):
    return lambda: (
        world.refresh()["Status"] not in ("Pending", "InProgress", "RollbackInProgress", "Cancelling", "Baking")
    )


def test_a_rollout_keeps_two_instances_serving_and_then_changes_the_group(world):
    fleet = world.fleet()
    world.start_refresh(fleet.template, AutoRollback=True, SkipMatching=True, **CHECKPOINTS)
    lowest, seen = 2, set()
    while not ended(world)():
        world.tick(1)
        refresh = world.refresh()
        seen.add(refresh["PercentageComplete"])
        healthy = [state for state in world.health(fleet.balancer.target_group).values() if state == "healthy"]
        lowest = min(lowest, len(healthy))
        if refresh["Status"] == "InProgress":
            assert world.group()["LaunchTemplate"]["Version"] == "1"
    refresh = world.refresh()
    assert (refresh["Status"], refresh["InstancesToUpdate"], refresh["PercentageComplete"]) == ("Successful", 0, 100)
    assert refresh["EndTime"] > refresh["StartTime"]
    assert seen == {0, 50, 100}
    assert lowest == 2
    assert versions(world) == ["2", "2"]
    assert sorted(m["AvailabilityZone"] for m in world.members()) == ["us-east-1a", "us-east-1d"]
    assert world.group()["LaunchTemplate"]["Version"] == "2"
    assert {m["InstanceType"] for m in world.members()} == {"t3.large"}


def test_old_instances_drain_before_they_end(world):
    fleet = world.fleet()
    old = {m["InstanceId"] for m in world.members()}
    world.hooks.in_flight.update(dict.fromkeys(old, 1))
    world.start_refresh(fleet.template)
    world.until(lambda: world.members("Terminating"))
    begun = world.time
    first = world.members("Terminating")[0]["InstanceId"]
    world.until(lambda: first not in {m["InstanceId"] for m in world.members()})
    assert world.time - begun >= 20


def test_an_image_that_never_gets_healthy_rolls_back(world):
    fleet = world.fleet()
    old = {m["InstanceId"] for m in world.members()}
    world.start_refresh(fleet.template, AutoRollback=True, SkipMatching=True)

    def spoil():
        for member in world.members():
            if member["LaunchTemplate"]["Version"] == "2":
                world.hooks.health[member["InstanceId"]] = TargetHealth("unhealthy", "Target.Timeout")
        return ended(world)()

    world.until(spoil)
    refresh = world.refresh()
    assert refresh["Status"] == "RollbackSuccessful"
    assert refresh["RollbackDetails"]["RollbackReason"]
    assert {m["InstanceId"] for m in world.members("InService")} == old
    assert world.group()["LaunchTemplate"]["Version"] == "1"


def test_an_alarm_after_the_first_checkpoint_rolls_back(world):
    fleet = world.fleet()
    world.cloudwatch.put_metric_alarm(
        AlarmName="5xx",
        Namespace="AWS/ApplicationELB",
        MetricName="HTTPCode_Target_5XX_Count",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    alarms = {"AlarmSpecification": {"Alarms": ["5xx"]}}
    world.start_refresh(fleet.template, AutoRollback=True, **CHECKPOINTS, **alarms)
    world.until(lambda: world.refresh()["PercentageComplete"] == 50)
    world.cloud.set_alarm("5xx", "ALARM")
    world.until(ended(world))
    refresh = world.refresh()
    assert refresh["Status"] == "RollbackSuccessful"
    assert "5xx" in refresh["RollbackDetails"]["RollbackReason"]
    assert refresh["RollbackDetails"]["PercentageCompleteOnRollback"] == 50
    assert versions(world) == ["1", "1"]


def test_asked_to_roll_back_it_does_and_then_cannot_again(world):
    fleet = world.fleet()
    world.start_refresh(fleet.template, **CHECKPOINTS)
    world.until(lambda: world.refresh()["PercentageComplete"] == 50)
    world.autoscaling.rollback_instance_refresh(**GROUP)
    world.until(ended(world))
    assert world.refresh()["Status"] == "RollbackSuccessful"
    with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
        world.autoscaling.rollback_instance_refresh(**GROUP)


def cancelled_halfway(world):
    """Refresh a fleet up to its checkpoint, and cancel; return the fleet."""
    fleet = world.fleet()
    world.start_refresh(fleet.template, **CHECKPOINTS)
    world.until(lambda: world.refresh()["PercentageComplete"] == 50)
    world.autoscaling.cancel_instance_refresh(**GROUP)
    world.until(ended(world))
    return fleet


def test_cancelling_keeps_a_mixed_group_at_full_strength(world):
    cancelled_halfway(world)
    assert world.refresh()["Status"] == "Cancelled"
    assert versions(world) == ["1", "2"]
    assert world.group()["LaunchTemplate"]["Version"] == "1"
    with pytest.raises(ClientError, match="ActiveInstanceRefreshNotFound"):
        world.autoscaling.cancel_instance_refresh(**GROUP)


def test_back_to_what_the_group_names_needs_a_refresh_that_skips_nothing(world):
    fleet = cancelled_halfway(world)
    world.start_refresh(fleet.template, "1", SkipMatching=True)
    world.tick(1)
    assert (world.refresh()["Status"], world.refresh()["PercentageComplete"]) == ("Successful", 100)
    assert versions(world) == ["1", "2"]
    world.start_refresh(fleet.template, "1")
    world.until(ended(world))
    assert versions(world) == ["1", "1"]


def test_only_one_at_a_time_and_the_group_is_held_meanwhile(world):
    fleet = world.fleet()
    world.start_refresh(fleet.template, **CHECKPOINTS)
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        world.start_refresh(fleet.template)
    with pytest.raises(ClientError, match="InstanceRefreshInProgress"):
        world.autoscaling.update_auto_scaling_group(
            **GROUP, LaunchTemplate={"LaunchTemplateId": fleet.template, "Version": "2"}
        )
    world.autoscaling.update_auto_scaling_group(**GROUP, MaxSize=3)


@pytest.mark.parametrize(
    ("version", "preferences"),
    [
        ("$Latest", {"AutoRollback": True}),
        ("$Default", {"AutoRollback": True}),
        ("99", {}),
        ("2", {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 200}),
        ("2", {"CheckpointPercentages": [100, 50]}),
    ],
)
def test_what_aws_refuses_is_refused(world, version, preferences):
    fleet = world.fleet()
    with pytest.raises(ClientError, match="ValidationError"):
        world.start_refresh(fleet.template, version, **preferences)


def test_no_auto_rollback_without_a_desired_configuration(world):
    world.fleet()
    with pytest.raises(ClientError, match="no desired configuration"):
        world.autoscaling.start_instance_refresh(**GROUP, Preferences={"AutoRollback": True})
    world.autoscaling.start_instance_refresh(**GROUP, Preferences={"MinHealthyPercentage": 50})
    world.until(ended(world))
    assert world.refresh()["Status"] == "Successful"


def test_the_groups_own_latest_version_cannot_be_restored(world):
    fleet = world.fleet()
    world.autoscaling.update_auto_scaling_group(
        **GROUP, LaunchTemplate={"LaunchTemplateId": fleet.template, "Version": "$Latest"}
    )
    world.start_refresh(fleet.template, "1", **CHECKPOINTS)
    world.tick(1)
    with pytest.raises(ClientError, match="IrreversibleInstanceRefresh"):
        world.autoscaling.rollback_instance_refresh(**GROUP)


def test_a_killed_instance_during_a_roll_ends_at_full_strength(world):
    fleet = world.fleet()
    world.start_refresh(fleet.template, **CHECKPOINTS)
    world.until(lambda: world.refresh()["PercentageComplete"] == 50)
    fresh = next(m for m in world.members() if m["LaunchTemplate"]["Version"] == "2")
    world.hooks.conditions[fresh["InstanceId"]] = "gone"
    world.until(ended(world))
    world.tick(1, times=5)
    assert world.refresh()["Status"] == "Successful"
    assert versions(world) == ["2", "2"]
    assert sorted(m["AvailabilityZone"] for m in world.members()) == ["us-east-1a", "us-east-1d"]


def test_preferences_are_told_with_their_defaults(world):
    fleet = world.fleet()
    world.start_refresh(fleet.template, SkipMatching=True)
    preferences = world.refresh()["Preferences"]
    assert preferences == {
        "MinHealthyPercentage": 100,
        "MaxHealthyPercentage": 150,
        "InstanceWarmup": 0,
        "SkipMatching": True,
        "AutoRollback": False,
        "ScaleInProtectedInstances": "Wait",
        "StandbyInstances": "Wait",
    }


def test_two_hundred_instances_roll_and_are_told_page_by_page(world):
    fleet = world.fleet(MaxSize=220, DesiredCapacity=200)
    assert len(world.members("InService")) == 200
    world.start_refresh(fleet.template, MinHealthyPercentage=90, MaxHealthyPercentage=110)
    world.until(ended(world))
    assert world.refresh()["Status"] == "Successful"
    pages = list(
        world.autoscaling.get_paginator("describe_auto_scaling_instances").paginate(PaginationConfig={"PageSize": 50})
    )
    assert [len(p["AutoScalingInstances"]) for p in pages] == [50, 50, 50, 50]
