from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from checkop_host import addresses
from checkop_host.errors import HostError

SETTINGS = {"pool_tags": {"checkop:group": "autochop"}, "groups": ["autochop"], "attempts": 3, "pause_seconds": 1}


@pytest.fixture
def launch(clients):
    def start(group="autochop"):
        ec2 = clients.client("ec2")
        image = ec2.describe_images()["Images"][0]["ImageId"]
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "checkop:group", "Value": group}]}]
        answer = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags)
        return answer["Instances"][0]["InstanceId"]

    return start


@pytest.fixture
def pool(clients):
    def allocate(count, group="autochop"):
        ec2 = clients.client("ec2")
        tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "checkop:group", "Value": group}]}]
        return [ec2.allocate_address(Domain="vpc", TagSpecifications=tags)["PublicIp"] for _ in range(count)]

    return allocate


def holders():
    found = boto3.client("ec2", region_name="us-east-1").describe_addresses()["Addresses"]
    return {address["PublicIp"]: address.get("InstanceId") for address in found}


def test_an_instance_claims_one_free_address_and_keeps_it(clients, launch, pool):
    pool(2)
    instance = launch()
    first = addresses.claim(SETTINGS, clients, instance)
    assert addresses.claim(SETTINGS, clients, instance) == first
    assert list(holders().values()).count(instance) == 1


def test_instances_never_share_nor_steal(clients, launch, pool):
    pool(3)
    instances = [launch() for _ in range(3)]
    claimed = [addresses.claim(SETTINGS, clients, instance) for instance in instances]
    assert len(set(claimed)) == 3
    assert [holders()[address] for address in claimed] == instances


def test_an_empty_pool_is_an_error_that_says_so_after_all_attempts(clients, launch, pool):
    pool(1)
    addresses.claim(SETTINGS, clients, launch())
    before, pauses = holders(), []
    with pytest.raises(HostError, match="all 1 with tags"):
        addresses.claim(SETTINGS, clients, launch(), sleep=pauses.append)
    assert holders() == before
    assert len(pauses) == 2
    assert all(1 <= pause <= 2 for pause in pauses)


def test_ec2_that_does_not_answer_is_an_error_with_which_patience_goes_on(clients, launch, pool, monkeypatch):
    pool(1)
    instance, ec2 = launch(), clients.client("ec2")

    def associate(**arguments):
        raise EndpointConnectionError(endpoint_url="https://ec2")

    monkeypatch.setattr(ec2, "associate_address", associate)
    monkeypatch.setattr(clients, "client", lambda service: ec2)
    with pytest.raises(HostError, match="cannot associate"):
        addresses.claim(SETTINGS, clients, instance)


def test_the_hub_claims_nothing_and_its_own_address_is_no_part_of_the_pool(clients, launch, pool):
    pool(1, group="base_chop")
    assert addresses.claim(SETTINGS, clients, launch("base_chop")) is None
    with pytest.raises(HostError, match="all 0"):
        addresses.claim({**SETTINGS, "attempts": 1}, clients, launch())
    assert set(holders().values()) <= {None, ""}


def test_of_two_that_choose_the_same_address_the_refused_one_takes_the_next(clients, launch, pool):
    pool(2)
    mine, rival = launch(), launch()
    calls = []

    def rival_first(free):
        free.sort(key=lambda address: address["PublicIp"])
        if not calls:  # Between the listing and the claim, the rival takes the first.
            clients.client("ec2").associate_address(AllocationId=free[0]["AllocationId"], InstanceId=rival)
        calls.append(free[0]["PublicIp"])

    claimed = addresses.claim(SETTINGS, clients, mine, shuffle=rival_first)
    assert holders()[claimed] == mine
    assert holders()[calls[0]] == rival


def test_a_claim_that_finds_none_waits_for_one_to_be_given_back(clients, launch, pool):
    pool(1)
    old, new = launch(), launch()
    addresses.claim(SETTINGS, clients, old)
    claimed = addresses.claim(SETTINGS, clients, new, sleep=lambda seconds: addresses.release(SETTINGS, clients, old))
    assert holders()[claimed] == new


def test_release_gives_back_the_pool_s_and_leaves_others(clients, launch, pool):
    (own,) = pool(1, group="base_chop")
    (shared,) = pool(1)
    hub, member = launch("base_chop"), launch()
    ec2 = clients.client("ec2")
    allocation = {address["PublicIp"]: address["AllocationId"] for address in ec2.describe_addresses()["Addresses"]}
    ec2.associate_address(AllocationId=allocation[own], InstanceId=hub)
    addresses.claim(SETTINGS, clients, member)
    assert addresses.release(SETTINGS, clients, hub) == []
    assert addresses.release(SETTINGS, clients, member) == [shared]
    assert holders()[own] == hub
    assert not holders()[shared]
    assert addresses.release(SETTINGS, clients, member) == []
