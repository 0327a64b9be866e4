"""The hub's address and the fleet's pool."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def ec2(environment: Any) -> Any:
    return environment.client("ec2")


def pool(ec2: Any, name: str) -> list[Any]:
    filters = [
        {"Name": "tag:checkop:pool", "Values": [name]},
        {"Name": "tag:checkop:environment", "Values": ["rehearsal"]},
    ]
    return list(ec2.describe_addresses(Filters=filters)["Addresses"])


def names(addresses: list[Any]) -> set[str]:
    return {tag["Value"] for address in addresses for tag in address["Tags"] if tag["Key"] == "Name"}


def test_there_is_one_address_for_the_hub_and_one_for_every_instance_the_fleet_may_have(ec2: Any) -> None:
    assert len(pool(ec2, "hub")) == 1
    assert names(pool(ec2, "hub")) == {"Base ChOp"}
    assert len(pool(ec2, "fleet")) == 4
    assert names(pool(ec2, "fleet")) == {"AUTOChOp"}


def test_a_lost_address_is_replaced(environment: Any, ec2: Any) -> None:
    lost = pool(ec2, "fleet")[0]["AllocationId"]
    ec2.release_address(AllocationId=lost)
    assert "Elastic IP 4 of pool fleet" in environment.converge("addresses", "--check", "--diff").output
    assert environment.converge("addresses").changed == 1
    assert len(pool(ec2, "fleet")) == 4


def test_the_pool_shrinks_by_free_addresses_only(environment: Any, ec2: Any) -> None:
    schedule = [{"name": "peak", "recurrence": "0 6 * * *", "min_size": 2, "desired_size": 2, "max_size": 2}]
    smaller = {"fleet_max_size": 2, "fleet_scheduled_actions": schedule}
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:checkop:tier", "Values": ["public"]}])["Subnets"][0][
        "SubnetId"
    ]
    held = [address["AllocationId"] for address in pool(ec2, "fleet")[:3]]
    image = ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]["ImageId"]
    launched = ec2.run_instances(ImageId=image, InstanceType="t3.micro", SubnetId=subnet, MinCount=3, MaxCount=3)
    instances = [instance["InstanceId"] for instance in launched["Instances"]]
    ec2.get_waiter("instance_running").wait(InstanceIds=instances, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    associations = [
        ec2.associate_address(AllocationId=allocation, InstanceId=instance)["AssociationId"]
        for allocation, instance in zip(held, instances, strict=True)
    ]
    run = environment.run("addresses", extra_vars=smaller)
    assert run.failed == 1
    assert "Pool fleet has 4 addresses and is to have 2, but only 1 of them are free" in run.output
    assert len(pool(ec2, "fleet")) == 4

    for association in associations[1:]:
        ec2.disassociate_address(AssociationId=association)
    assert environment.converge("addresses", extra_vars=smaller).changed == 1
    assert held[0] in {address["AllocationId"] for address in pool(ec2, "fleet")}
    assert len(pool(ec2, "fleet")) == 2

    ec2.disassociate_address(AssociationId=associations[0])
    ec2.terminate_instances(InstanceIds=instances)
    assert environment.converge("addresses").changed == 1
    assert len(pool(ec2, "fleet")) == 4
