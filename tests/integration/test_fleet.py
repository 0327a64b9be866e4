"""AUTOChOp as the operator states it: role, key, launch template, group; empty until an image is in service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAME = "AUTOChOp"
IN_SERVICE = "/checkop/rehearsal/image/in_service"
SIZES = ("MinSize", "DesiredCapacity", "MaxSize")


@pytest.fixture(scope="module")
def autoscaling(environment: Any) -> Any:
    return environment.client("autoscaling")


@pytest.fixture(scope="module")
def ec2(environment: Any) -> Any:
    return environment.client("ec2")


def group(autoscaling: Any) -> Any:
    (found,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"]
    return found


def sizes(autoscaling: Any) -> tuple[int, ...]:
    found = group(autoscaling)
    return tuple(found[key] for key in SIZES)


def versions(ec2: Any) -> list[Any]:
    found = ec2.describe_launch_template_versions(LaunchTemplateName=NAME)["LaunchTemplateVersions"]
    return sorted(found, key=lambda version: version["VersionNumber"])


def test_the_group_waits_empty_for_its_first_image(autoscaling: Any) -> None:
    assert sizes(autoscaling) == (0, 0, 4)
    assert [process["ProcessName"] for process in group(autoscaling)["SuspendedProcesses"]] == ["ScheduledActions"]


def test_the_group_is_as_stated(environment: Any, autoscaling: Any, ec2: Any) -> None:
    found = group(autoscaling)
    subnets = ec2.describe_subnets(SubnetIds=found["VPCZoneIdentifier"].split(","))["Subnets"]
    names = {tag["Value"] for subnet in subnets for tag in subnet["Tags"] if tag["Key"] == "Name"}
    assert names == {"checkop-public-1a", "checkop-public-1d"}
    target_group = environment.client("elbv2").describe_target_groups(Names=[NAME])["TargetGroups"][0]
    assert found["TargetGroupARNs"] == [target_group["TargetGroupArn"]]
    assert found["HealthCheckType"] == "ELB"
    assert found["HealthCheckGracePeriod"] == 90
    assert found["DefaultInstanceWarmup"] == 0
    assert found["TerminationPolicies"] == ["OldestLaunchTemplate", "OldestInstance"]
    assert found["InstanceMaintenancePolicy"] == {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    assert found["NewInstancesProtectedFromScaleIn"] is False
    assert found["LaunchTemplate"]["Version"] == "1", "a numbered version, so that a refresh can be rolled back"
    tags = {tag["Key"]: tag for tag in found["Tags"]}
    assert tags["checkop:group"]["Value"] == "autochop"
    assert tags["checkop:environment"]["PropagateAtLaunch"] is True
    assert "GroupInServiceInstances" in {metric["Metric"] for metric in found["EnabledMetrics"]}


def test_scaling_follows_the_processors_and_the_known_peaks(autoscaling: Any) -> None:
    (policy,) = autoscaling.describe_policies(AutoScalingGroupName=NAME)["ScalingPolicies"]
    tracking = policy["TargetTrackingConfiguration"]
    assert policy["PolicyType"] == "TargetTrackingScaling"
    assert tracking["TargetValue"] == 60
    assert tracking["PredefinedMetricSpecification"]["PredefinedMetricType"] == "ASGAverageCPUUtilization"
    actions = autoscaling.describe_scheduled_actions(AutoScalingGroupName=NAME)["ScheduledUpdateGroupActions"]
    assert {
        (a["ScheduledActionName"], a["Recurrence"], a["TimeZone"], a["MinSize"], a["DesiredCapacity"], a["MaxSize"])
        for a in actions
    } == {
        ("month-end-peak", "0 6 28-31 * *", "America/Bogota", 4, 4, 4),
        ("after-peak", "0 20 28-31 * *", "America/Bogota", 2, 2, 4),
    }


def test_an_ending_instance_may_drain(autoscaling: Any) -> None:
    (hook,) = autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=NAME)["LifecycleHooks"]
    assert hook["LifecycleHookName"] == "checkop-drain"
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["HeartbeatTimeout"] == 30
    assert hook["DefaultResult"] == "CONTINUE"


def test_the_launch_template_is_as_stated(ec2: Any) -> None:
    (version,) = versions(ec2)
    data = version["LaunchTemplateData"]
    source = ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]
    assert data["ImageId"] == source["ImageId"]
    assert data["InstanceType"] == "t3.xlarge"
    assert data["IamInstanceProfile"]["Name"] == "checkop-rehearsal-fleet"
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    (disk,) = data["BlockDeviceMappings"]
    assert disk["DeviceName"] == "/dev/sda1"
    assert (disk["Ebs"]["VolumeSize"], disk["Ebs"]["VolumeType"], disk["Ebs"]["Encrypted"]) == (50, "gp3", True)
    (app,) = ec2.describe_security_groups(GroupIds=data["SecurityGroupIds"])["SecurityGroups"]
    assert app["GroupName"] == "checkop-app"
    assert {spec["ResourceType"] for spec in data["TagSpecifications"]} == {"instance", "volume", "network-interface"}


def test_the_key_pair_holds_the_operators_key(environment: Any, ec2: Any) -> None:
    (pair,) = ec2.describe_key_pairs(KeyNames=["checkop"], IncludePublicKey=True)["KeyPairs"]
    key = Path(environment.cloud.environment["LAB_SSH_PUBLIC_KEY_FILE"]).read_text(encoding="ascii")
    assert pair["PublicKey"].split()[:2] == key.split()[:2]


def test_the_role_is_carried_by_a_profile_of_its_name_and_trusts_ec2_only(environment: Any) -> None:
    iam = environment.client("iam")
    profile = iam.get_instance_profile(InstanceProfileName="checkop-rehearsal-fleet")["InstanceProfile"]
    (role,) = profile["Roles"]
    assert role["RoleName"] == "checkop-rehearsal-fleet"
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert iam.list_role_policies(RoleName="checkop-rehearsal-fleet")["PolicyNames"] == ["checkop"]
    assert iam.list_attached_role_policies(RoleName="checkop-rehearsal-fleet")["AttachedPolicies"] == []


def test_drift_is_told_and_put_right(environment: Any, autoscaling: Any) -> None:
    iam = environment.client("iam")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, HealthCheckType="EC2", MaxSize=9)
    autoscaling.delete_lifecycle_hook(AutoScalingGroupName=NAME, LifecycleHookName="checkop-drain")
    autoscaling.delete_scheduled_action(AutoScalingGroupName=NAME, ScheduledActionName="after-peak")
    autoscaling.put_scheduled_update_group_action(
        AutoScalingGroupName=NAME, ScheduledActionName="by-hand", Recurrence="0 0 * * *", MinSize=0, MaxSize=0
    )
    autoscaling.put_scaling_policy(
        AutoScalingGroupName=NAME,
        PolicyName=f"{NAME}-cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 95.0,
        },
    )
    autoscaling.delete_tags(
        Tags=[{"ResourceId": NAME, "ResourceType": "auto-scaling-group", "Key": "checkop:group", "Value": "autochop"}]
    )
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="checkop-rehearsal-fleet", PolicyName="more", PolicyDocument=json.dumps(everything))

    told = environment.converge("fleet", "--check", "--diff").output
    for difference in (
        "-HealthCheckType: EC2",
        "-MaxSize: 9",
        "+++ after: Lifecycle hook checkop-drain",
        "+++ after: Scheduled action after-peak",
        "--- before: Scheduled action by-hand",
        "-  TargetValue: 95.0",
        "+checkop:group: autochop",
        "before: IAM role checkop-rehearsal-fleet: Policies",
    ):
        assert difference in told, difference
    assert environment.converge("fleet").changed == 5
    assert environment.converge("fleet", "--check").changed == 0


def test_other_settings_become_a_new_default_version_that_is_not_rolled_out(
    environment: Any, autoscaling: Any, ec2: Any
) -> None:
    before = versions(ec2)
    larger = {"fleet_root_volume_gb": 60}
    assert environment.converge("fleet", extra_vars=larger).changed == 1
    assert environment.converge("fleet", extra_vars=larger).changed == 0
    after = versions(ec2)
    assert len(after) == len(before) + 1
    assert after[-1]["DefaultVersion"] is True
    assert after[-1]["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 60
    assert after[-1]["LaunchTemplateData"]["ImageId"] == before[-1]["LaunchTemplateData"]["ImageId"]
    assert group(autoscaling)["LaunchTemplate"]["Version"] == "1"
    assert environment.converge("fleet").changed == 1


@pytest.fixture
def in_service(environment: Any, autoscaling: Any, ec2: Any) -> Iterator[str]:
    """An image as the first rollout leaves it: in service, the group at its size, its schedule resumed."""
    image = str(ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]["ImageId"])
    ssm = environment.client("ssm")
    ssm.put_parameter(Name=IN_SERVICE, Value=image, Type="String")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MinSize=2, DesiredCapacity=2, MaxSize=4)
    yield image
    ssm.delete_parameter(Name=IN_SERVICE)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MinSize=0, DesiredCapacity=0, MaxSize=4)
    environment.converge("fleet")


def test_a_fleet_in_service_keeps_what_scaling_and_peaks_have_set(
    environment: Any, autoscaling: Any, in_service: str
) -> None:
    # Only the schedule is resumed: the first rollout has given the group its size.
    told = environment.converge("fleet", "--diff")
    assert told.changed == 1
    assert "-ScheduledActions: true" in told.output
    assert sizes(autoscaling) == (2, 2, 4)

    autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=3)
    assert environment.converge("fleet").changed == 0, "two to four instances are no drift"
    # What the scheduled action month-end-peak does.
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MinSize=4, DesiredCapacity=4, MaxSize=4)
    assert environment.converge("fleet").changed == 0
    # A size that is neither the inventory's nor a peak's is drift.
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, MinSize=1, DesiredCapacity=1, MaxSize=8)
    assert environment.converge("fleet").changed == 1
    assert sizes(autoscaling) == (2, 2, 4)


def test_without_its_neighbours_the_playbook_to_run_is_told(environment: Any) -> None:
    for extra, words in (
        ({"balancer_target_group": "Missing"}, "Target group Missing does not exist. Run playbooks/balancer.yml first"),
        ({"storage_name": "Missing"}, "storage_name: 0 file systems are called Missing"),
    ):
        run = environment.run("fleet", extra_vars=extra)
        assert run.failed == 1
        assert words in run.output
