"""Instances, images, launch templates and addresses."""

import base64
import datetime

import pytest
from botocore.exceptions import ClientError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUL3xPs1EAFMVjaX8pQFwYhrGgNq8tAbkZB1Kk8rJwC test"


def run(world, network, **options):
    values = {"ImageId": world.source_image(), "InstanceType": "t3.xlarge", "MinCount": 1, "MaxCount": 1}
    if "NetworkInterfaces" not in options:
        values["SubnetId"] = network.subnets["us-east-1a"]
    instance_id = world.ec2.run_instances(**{**values, **options})["Instances"][0]["InstanceId"]
    world.tick()
    return instance_id


def describe(world, instance_id):
    return world.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def view(world, instance_id):
    return next(i for i in world.cloud.instances() if i.instance_id == instance_id)


def test_the_upstream_image_is_the_vendors_and_deprecated(world):
    assert world.ec2.describe_images(Owners=["125523088429"])["Images"] == []
    image = world.ec2.describe_images(
        Owners=["125523088429"],
        IncludeDeprecated=True,
        Filters=[{"Name": "name", "Values": ["CentOS Linux 7 x86_64 - *"]}],
    )["Images"][0]
    assert image["RootDeviceName"] == "/dev/sda1"
    assert (image["Architecture"], image["EnaSupport"], image["State"]) == ("x86_64", True, "available")
    assert world.ec2.describe_images(ImageIds=[image["ImageId"]])["Images"]


def test_an_instance_carries_what_the_runtime_needs(world):
    network = world.network()
    world.ec2.import_key_pair(KeyName="checkop", PublicKeyMaterial=KEY.encode())
    world.iam.create_role(RoleName="app", AssumeRolePolicyDocument="{}")
    world.iam.create_instance_profile(InstanceProfileName="app")
    world.iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="app")
    binary = b"\x1f\x8b\x00\xff"
    instance_id = run(
        world,
        network,
        KeyName="checkop",
        UserData=binary,
        IamInstanceProfile={"Name": "app"},
        DisableApiTermination=True,
    )
    found = view(world, instance_id)
    assert found.user_data == binary
    assert found.public_key.strip() == KEY
    assert found.instance_profile_arn.endswith(":instance-profile/app")
    assert (found.zone, found.wanted, found.state) == ("us-east-1a", "running", "running")
    assert found.private_ip.startswith("10.20.1.")
    assert found.public_ip is None
    with pytest.raises(ClientError, match="disableApiTermination"):
        world.ec2.terminate_instances(InstanceIds=[instance_id])


def test_states_follow_the_runtime(world):
    instance_id = run(world, world.network())
    world.hooks.conditions[instance_id] = "running"
    world.ec2.stop_instances(InstanceIds=[instance_id])
    world.tick()
    assert describe(world, instance_id)["State"]["Name"] == "stopping"
    assert view(world, instance_id).wanted == "stopped"
    world.hooks.conditions[instance_id] = "stopped"
    world.tick()
    assert describe(world, instance_id)["State"]["Name"] == "stopped"
    world.ec2.start_instances(InstanceIds=[instance_id])
    assert describe(world, instance_id)["State"]["Name"] == "pending"
    world.hooks.conditions[instance_id] = "running"
    world.tick()
    assert describe(world, instance_id)["State"]["Name"] == "running"
    world.ec2.reboot_instances(InstanceIds=[instance_id])
    assert world.hooks.rebooted == [instance_id]
    answer = world.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "shutting-down")
    world.tick()
    assert describe(world, instance_id)["State"]["Name"] == "shutting-down"
    world.hooks.conditions[instance_id] = "gone"
    world.tick()
    assert describe(world, instance_id)["State"]["Name"] == "terminated"
    assert world.cloud.instances() == []
    assert world.ec2.describe_volumes()["Volumes"] == []
    assert world.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        world.ec2.start_instances(InstanceIds=[instance_id])


def test_a_host_that_dies_says_so_and_a_guest_that_shuts_down_too(world):
    network = world.network()
    dead, down = run(world, network), run(world, network)
    world.hooks.conditions.update({dead: "gone", down: "stopped"})
    world.tick()
    assert describe(world, dead)["StateReason"]["Code"] == "Server.InternalError"
    assert describe(world, down)["State"]["Name"] == "stopped"
    assert describe(world, down)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_elastic_addresses_move_and_are_freed_by_the_end_of_their_instance(world):
    network = world.network()
    first, second = run(world, network), run(world, network)
    address = world.ec2.allocate_address(Domain="vpc")
    assert address["PublicIp"].startswith("127.99.100.")
    allocation = address["AllocationId"]
    world.ec2.associate_address(InstanceId=first, AllocationId=allocation)
    assert view(world, first).elastic_ips == (address["PublicIp"],)
    with pytest.raises(ClientError, match=r"Resource\.AlreadyAssociated"):
        world.ec2.associate_address(InstanceId=second, AllocationId=allocation, AllowReassociation=False)
    world.ec2.associate_address(InstanceId=second, AllocationId=allocation, AllowReassociation=True)
    assert view(world, first).elastic_ips == ()
    assert "PublicIpAddress" not in describe(world, first)
    assert describe(world, second)["PublicIpAddress"] == address["PublicIp"]
    world.hooks.conditions[second] = "gone"
    world.tick()
    found = world.ec2.describe_addresses()["Addresses"][0]
    assert not found.get("InstanceId")
    assert not found.get("AssociationId")
    world.ec2.release_address(AllocationId=allocation)
    assert world.hooks.released == [address["PublicIp"]]


def test_a_public_address_comes_back_when_the_elastic_one_goes(world):
    network = world.network()
    nic = {
        "DeviceIndex": 0,
        "SubnetId": network.subnets["us-east-1d"],
        "AssociatePublicIpAddress": True,
        "Groups": [network.security_group],
    }
    instance_id = run(world, network, NetworkInterfaces=[nic])
    own = describe(world, instance_id)["PublicIpAddress"]
    allocation = world.ec2.allocate_address(Domain="vpc")["AllocationId"]
    association = world.ec2.associate_address(InstanceId=instance_id, AllocationId=allocation)["AssociationId"]
    assert describe(world, instance_id)["PublicIpAddress"] != own
    world.ec2.disassociate_address(AssociationId=association)
    assert describe(world, instance_id)["PublicIpAddress"] == own


def test_an_image_is_pending_until_it_is_committed(world):
    instance_id = run(
        world,
        world.network(),
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50, "Encrypted": True}}],
    )
    tags = [{"Key": "checkop:role", "Value": "base-chop"}]
    world.hooks.image_condition = lambda _id: "pending"
    image_id = world.ec2.create_image(
        InstanceId=instance_id,
        Name="base-chop-1",
        TagSpecifications=[{"ResourceType": "image", "Tags": tags}, {"ResourceType": "snapshot", "Tags": tags}],
    )["ImageId"]
    world.tick()
    image = world.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    assert (image["State"], image["Tags"]) == ("pending", tags)
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 50
    assert image["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    wanted = next(i for i in world.cloud.images() if i.image_id == image_id)
    assert (wanted.source_instance_id, wanted.state) == (instance_id, "pending")
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        world.ec2.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)
    with pytest.raises(ClientError, match=r"InvalidAMIName\.Duplicate"):
        world.ec2.create_image(InstanceId=instance_id, Name="base-chop-1")
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    snapshot = world.ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
    assert (snapshot["State"], snapshot["Tags"], snapshot["VolumeSize"]) == ("pending", tags, 50)
    world.hooks.image_condition = lambda _id: "available"
    world.tick()
    assert world.ec2.describe_images(ImageIds=[image_id])["Images"][0]["State"] == "available"
    with pytest.raises(ClientError, match="smaller than snapshot"):
        world.ec2.run_instances(
            ImageId=image_id,
            MinCount=1,
            MaxCount=1,
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
        )


def test_a_failed_commit_is_told(world):
    instance_id = run(world, world.network())
    world.hooks.image_condition = lambda _id: "failed"
    image_id = world.ec2.create_image(InstanceId=instance_id, Name="bad")["ImageId"]
    world.tick()
    image = world.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    assert image["State"] == "failed"
    assert image["StateReason"]["Message"]


def test_deprecation_disabling_and_deregistering(world):
    instance_id = run(world, world.network())
    first = world.ec2.create_image(InstanceId=instance_id, Name="one")["ImageId"]
    world.tick()
    copy = world.ec2.copy_image(SourceImageId=first, SourceRegion="us-east-1", Name="two")["ImageId"]
    world.tick()
    when = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    world.ec2.enable_image_deprecation(ImageId=first, DeprecateAt=when)
    described = world.ec2.describe_images(ImageIds=[first])["Images"][0]
    assert described["DeprecationTime"] == "2030-01-01T00:00:00.000Z"
    world.ec2.disable_image_deprecation(ImageId=first)
    assert "DeprecationTime" not in world.ec2.describe_images(ImageIds=[first])["Images"][0]
    world.ec2.disable_image(ImageId=first)
    own = {i["ImageId"] for i in world.ec2.describe_images(Owners=["self"])["Images"]}
    assert own == {copy}
    with pytest.raises(ClientError, match=r"InvalidAMIID\.Unavailable"):
        world.ec2.run_instances(ImageId=first, MinCount=1, MaxCount=1)
    world.ec2.enable_image(ImageId=first)
    before = {s["SnapshotId"] for s in world.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert len(before) == 2
    answer = world.ec2.deregister_image(ImageId=first, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"][0]["ReturnCode"] == "success"
    world.ec2.deregister_image(ImageId=copy)
    after = {s["SnapshotId"] for s in world.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert len(after) == 1
    world.ec2.delete_snapshot(SnapshotId=after.pop())


def test_the_snapshot_of_a_registered_image_cannot_be_deleted(world):
    instance_id = run(world, world.network())
    image_id = world.ec2.create_image(InstanceId=instance_id, Name="one")["ImageId"]
    world.tick()
    image = world.ec2.describe_images(ImageIds=[image_id])["Images"][0]
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        world.ec2.delete_snapshot(SnapshotId=image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])


def test_launch_template_versions_keep_everything_and_inherit(world):
    network = world.network()
    template = world.template(network)
    user_data = base64.b64encode(b"#cloud-config").decode()
    world.ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"UserData": user_data}
    )
    versions = world.ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    assert [v["VersionNumber"] for v in versions] == [3, 2, 1]
    newest, second, first = (v["LaunchTemplateData"] for v in versions)
    assert newest == {**first, "UserData": user_data}
    assert second["InstanceType"] == "t3.large"
    assert first["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    deleted = world.ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2", "9"])
    assert [v["VersionNumber"] for v in deleted["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    assert [v["VersionNumber"] for v in deleted["UnsuccessfullyDeletedLaunchTemplateVersions"]] == [1, 9]
    made = world.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"ImageId": "ami-1"})
    assert made["LaunchTemplateVersion"]["VersionNumber"] == 4
    with pytest.raises(ClientError, match="VersionNotFound"):
        world.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["2"])


def test_many_versions_come_page_by_page(world):
    template = world.template(world.network())
    for _ in range(30):
        world.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"ImageId": "ami-1"})
    pages = world.ec2.get_paginator("describe_launch_template_versions").paginate(
        LaunchTemplateId=template, PaginationConfig={"PageSize": 10}
    )
    assert [len(p["LaunchTemplateVersions"]) for p in pages] == [10, 10, 10, 2]


def test_a_launch_from_a_template_takes_what_the_request_leaves_open(world):
    network = world.network()
    template = world.template(network)
    answer = world.ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": template, "Version": "2"},
        MinCount=2,
        MaxCount=2,
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Extra", "Value": "1"}]}],
    )
    for instance in answer["Instances"]:
        assert (instance["State"]["Name"], instance["InstanceType"]) == ("pending", "t3.large")
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        tags = {t["Key"]: t["Value"] for t in instance["Tags"]}
        assert (tags["Name"], tags["Extra"]) == ("AUTOChOp", "1")


def test_console_output_and_unknown_things_are_told(world):
    instance_id = run(world, world.network())
    world.hooks.console[instance_id] = "cloud-init finished\n"
    assert world.ec2.get_console_output(InstanceId=instance_id)["Output"] == "cloud-init finished\n"
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        world.ec2.describe_instances(InstanceIds=["i-00000000000000000"])
    with pytest.raises(ClientError, match=r"InvalidKeyPair\.NotFound"):
        run(world, world.network(), KeyName="nobody")
