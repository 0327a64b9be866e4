"""Base ChOp as the operator states it: kept as it is, never replaced, with its own address."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def ec2(environment: Any) -> Any:
    return environment.client("ec2")


def hub(ec2: Any) -> Any:
    filters = [
        {"Name": "tag:Name", "Values": ["Base ChOp"]},
        {"Name": "tag:checkop:environment", "Values": ["rehearsal"]},
    ]
    found = [i for r in ec2.describe_instances(Filters=filters)["Reservations"] for i in r["Instances"]]
    (alive,) = [instance for instance in found if instance["State"]["Name"] not in ("terminated", "shutting-down")]
    return alive


def test_the_hub_is_as_stated(ec2: Any) -> None:
    instance = hub(ec2)
    assert instance["InstanceType"] == "t3.xlarge"
    assert instance["Placement"]["AvailabilityZone"] == "us-east-1a"
    assert instance["State"]["Name"] == "running"
    assert [group["GroupName"] for group in instance["SecurityGroups"]] == ["checkop-base"]
    assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/checkop-rehearsal-hub")
    assert instance["KeyName"] == "checkop"
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["InstanceMetadataTags"] == "enabled"
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["checkop:group"] == "base_chop"
    protected = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="disableApiTermination")
    assert protected["DisableApiTermination"]["Value"] is True


def test_its_disk_is_encrypted_and_has_the_stated_size(ec2: Any) -> None:
    (mapping,) = hub(ec2)["BlockDeviceMappings"]
    assert mapping["DeviceName"] == "/dev/sda1"
    volume = ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (50, "gp3", True)


def test_it_lies_in_the_public_subnet_and_has_the_hubs_address(ec2: Any) -> None:
    instance = hub(ec2)
    subnet = ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"][0]
    assert {"Key": "Name", "Value": "checkop-public-1a"} in subnet["Tags"]
    (address,) = ec2.describe_addresses(Filters=[{"Name": "tag:checkop:pool", "Values": ["hub"]}])["Addresses"]
    assert address["InstanceId"] == instance["InstanceId"]
    assert address["PublicIp"] == instance["PublicIpAddress"]


def test_it_may_do_less_than_the_fleet(environment: Any) -> None:
    iam = environment.client("iam")
    document = iam.get_role_policy(RoleName="checkop-rehearsal-hub", PolicyName="checkop")["PolicyDocument"]
    actions = {
        a for s in document["Statement"] for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])
    }
    assert not {action for action in actions if action.startswith("autoscaling:")}
    assert "ec2:AssociateAddress" not in actions


def test_drift_is_told_and_put_right(environment: Any, ec2: Any) -> None:
    instance = hub(ec2)
    identifier = instance["InstanceId"]
    default = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [instance["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]["GroupId"]
    ec2.modify_instance_attribute(InstanceId=identifier, Groups=[default])
    ec2.modify_instance_attribute(InstanceId=identifier, DisableApiTermination={"Value": False})
    ec2.modify_instance_metadata_options(InstanceId=identifier, HttpTokens="optional", HttpEndpoint="enabled")
    ec2.delete_tags(Resources=[identifier], Tags=[{"Key": "checkop:group"}])
    (address,) = ec2.describe_addresses(Filters=[{"Name": "tag:checkop:pool", "Values": ["hub"]}])["Addresses"]
    ec2.disassociate_address(AssociationId=address["AssociationId"])

    told = environment.converge("hub", "--check", "--diff").output
    for part in ("security groups", "termination protection", "metadata options", "tags", "address"):
        assert f"before: Instance Base ChOp {part}\n" in told, part
    assert environment.converge("hub").changed == 1
    assert environment.converge("hub", "--check").changed == 0
    assert hub(ec2)["InstanceId"] == identifier
    test_the_hub_is_as_stated(ec2)
    test_it_lies_in_the_public_subnet_and_has_the_hubs_address(ec2)


def test_another_type_waits_until_somebody_stops_it(environment: Any, ec2: Any) -> None:
    larger = {"hub_instance_type": "t3.2xlarge"}
    identifier = hub(ec2)["InstanceId"]
    assert "+t3.2xlarge" in environment.converge("hub", "--check", "--diff", extra_vars=larger).output
    run = environment.run("hub", extra_vars=larger)
    assert run.failed == 1
    assert "EC2 changes the type of a stopped instance only: stop it when nobody works on it" in run.output

    ec2.stop_instances(InstanceIds=[identifier])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert environment.converge("hub", extra_vars=larger).changed == 1
    # Whoever stopped it starts it again; a stopped hub is no difference.
    assert hub(ec2)["InstanceType"] == "t3.2xlarge"
    assert environment.converge("hub").changed == 1
    assert hub(ec2)["State"]["Name"] == "stopped"
    ec2.start_instances(InstanceIds=[identifier])
    ec2.get_waiter("instance_running").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def test_a_new_image_does_not_replace_it_and_a_new_hub_starts_from_the_image_in_service(
    environment: Any, ec2: Any
) -> None:
    old = hub(ec2)
    image = ec2.register_image(Name="base-chop-9.9.9", RootDeviceName="/dev/sda1", Architecture="x86_64")["ImageId"]
    ssm = environment.client("ssm")
    ssm.put_parameter(Name="/checkop/rehearsal/image/verified", Value=image, Type="String")
    try:
        assert environment.converge("hub").changed == 0
        assert hub(ec2)["InstanceId"] == old["InstanceId"]
        ec2.modify_instance_attribute(InstanceId=old["InstanceId"], DisableApiTermination={"Value": False})
        ec2.terminate_instances(InstanceIds=[old["InstanceId"]])
        ec2.get_waiter("instance_terminated").wait(
            InstanceIds=[old["InstanceId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        assert environment.converge("hub").changed == 1
        assert hub(ec2)["ImageId"] == image
        test_it_lies_in_the_public_subnet_and_has_the_hubs_address(ec2)
    finally:
        ssm.delete_parameter(Name="/checkop/rehearsal/image/verified")
