"""Load balancers, target groups and the health of targets."""

import re

import pytest
from botocore.exceptions import ClientError

from lab.api import TargetHealth


def attributes(answer):
    return {a["Key"]: a["Value"] for a in answer["Attributes"]}


def reasons(world, target_group):
    answer = world.elbv2.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
    return {t["Target"]["Id"]: (t["TargetHealth"]["State"], t["TargetHealth"].get("Reason")) for t in answer}


def test_names_zones_and_attributes_are_aws_s(world):
    balancer = world.balancer(world.network())
    found = world.elbv2.describe_load_balancers(Names=["Progresus-ELB"])["LoadBalancers"][0]
    assert re.fullmatch(r"Progresus-ELB-\d{9}\.us-east-1\.elb\.amazonaws\.com", found["DNSName"])
    assert sorted(z["ZoneName"] for z in found["AvailabilityZones"]) == ["us-east-1a", "us-east-1d"]
    assert (found["Scheme"], found["State"]["Code"]) == ("internet-facing", "active")
    given = attributes(world.elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer.arn))
    assert given["idle_timeout.timeout_seconds"] == "60"
    assert given["routing.http2.enabled"] == "true"
    given = attributes(world.elbv2.describe_target_group_attributes(TargetGroupArn=balancer.target_group))
    assert given["deregistration_delay.timeout_seconds"] == "20"
    assert given["slow_start.duration_seconds"] == "0"
    world.elbv2.modify_target_group_attributes(
        TargetGroupArn=balancer.target_group, Attributes=[{"Key": "slow_start.duration_seconds", "Value": "30"}]
    )
    view = world.cloud.target_groups()[0]
    assert view.attributes["slow_start.duration_seconds"] == "30"
    assert (view.health_check_path, view.matcher, view.health_check_port) == ("/", "200", "traffic-port")


def test_health_is_what_the_balancer_measures(world):
    fleet = world.fleet()
    first, second = (m["InstanceId"] for m in world.members())
    arn = fleet.balancer.target_group
    world.hooks.health[first] = None
    world.hooks.health[second] = TargetHealth("unhealthy", "Target.Timeout", "Request timed out")
    assert reasons(world, arn) == {
        first: ("initial", "Elb.RegistrationInProgress"),
        second: ("unhealthy", "Target.Timeout"),
    }
    world.hooks.health.clear()
    assert reasons(world, arn) == {first: ("healthy", None), second: ("healthy", None)}
    asked = world.elbv2.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": "i-0"}])
    assert asked["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered"


def test_targets_outside_of_the_zones_or_without_listener_are_unused(world):
    fleet = world.fleet()
    other = world.ec2.create_subnet(VpcId=fleet.network.vpc, CidrBlock="10.20.2.0/24", AvailabilityZone="us-east-1b")
    subnets = [fleet.network.subnets["us-east-1a"], other["Subnet"]["SubnetId"]]
    world.elbv2.set_subnets(LoadBalancerArn=fleet.balancer.arn, Subnets=subnets)
    states = {m["InstanceId"]: m["AvailabilityZone"] for m in world.members()}
    for instance_id, (state, _) in reasons(world, fleet.balancer.target_group).items():
        assert state == ("healthy" if states[instance_id] == "us-east-1a" else "unused")
    world.elbv2.delete_listener(ListenerArn=fleet.balancer.listener)
    assert {state for state, _ in reasons(world, fleet.balancer.target_group).values()} == {"unused"}


def test_deregistering_drains_until_the_delay_is_over(world):
    fleet = world.fleet()
    arn, instance_id = fleet.balancer.target_group, world.members()[0]["InstanceId"]
    world.hooks.in_flight[instance_id] = 2
    world.elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": instance_id}])
    assert reasons(world, arn)[instance_id][0] == "draining"
    target = next(t for t in world.cloud.target_groups()[0].targets if t.target_id == instance_id)
    assert target.draining_until == world.time + 20
    world.tick(19)
    assert reasons(world, arn)[instance_id][0] == "draining"
    world.tick(2)
    assert instance_id not in reasons(world, arn)
    world.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance_id}])
    assert reasons(world, arn)[instance_id][0] == "healthy"


def test_an_instance_that_does_not_run_cannot_be_registered(world):
    fleet = world.fleet()
    with pytest.raises(ClientError, match="InvalidTarget"):
        world.elbv2.register_targets(TargetGroupArn=fleet.balancer.target_group, Targets=[{"Id": "i-0"}])


def test_weighted_forwards_are_kept_and_seen_by_the_runtime(world):
    network = world.network()
    balancer = world.balancer(network)
    blue = balancer.target_group
    green = world.elbv2.create_target_group(Name="green", Protocol="HTTP", Port=80, VpcId=network.vpc)
    green = green["TargetGroups"][0]["TargetGroupArn"]
    found = world.elbv2.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]["DefaultActions"][0]
    assert found["ForwardConfig"]["TargetGroups"] == [{"TargetGroupArn": blue, "Weight": 1}]
    weights = [{"TargetGroupArn": blue, "Weight": 90}, {"TargetGroupArn": green, "Weight": 10}]
    world.elbv2.modify_listener(
        ListenerArn=balancer.listener,
        DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}],
    )
    found = world.elbv2.describe_listeners(ListenerArns=[balancer.listener])["Listeners"][0]["DefaultActions"][0]
    assert found["ForwardConfig"]["TargetGroups"] == weights
    assert "TargetGroupArn" not in found
    rule = world.cloud.load_balancers()[0].listeners[0].rules[-1]
    assert (rule.priority, rule.actions[0]["ForwardConfig"]["TargetGroups"]) == ("default", weights)
    groups = world.elbv2.describe_target_groups(TargetGroupArns=[green])["TargetGroups"]
    assert groups[0]["LoadBalancerArns"] == [balancer.arn]
    with pytest.raises(ClientError, match="ResourceInUse"):
        world.elbv2.delete_target_group(TargetGroupArn=green)


def test_rules_come_in_their_order_and_the_default_last(world):
    balancer = world.balancer(world.network())
    for priority, path in ((20, "/b"), (10, "/a")):
        world.elbv2.create_rule(
            ListenerArn=balancer.listener,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [path]}],
            Actions=[{"Type": "forward", "TargetGroupArn": balancer.target_group}],
        )
    rules = world.cloud.load_balancers()[0].listeners[0].rules
    assert [rule.priority for rule in rules] == ["10", "20", "default"]


def test_deletion_protection_holds(world):
    balancer = world.balancer(world.network())
    for value in ("true", "false"):
        world.elbv2.modify_load_balancer_attributes(
            LoadBalancerArn=balancer.arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": value}]
        )
        if value == "true":
            with pytest.raises(ClientError, match="OperationNotPermitted"):
                world.elbv2.delete_load_balancer(LoadBalancerArn=balancer.arn)
    world.elbv2.delete_load_balancer(LoadBalancerArn=balancer.arn)
    assert world.cloud.load_balancers() == []
