"""Instances and images: first boot by cloud-init, metadata, stop, start, reboot, death, images that really carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

METADATA = (
    "base=${AWS_EC2_METADATA_SERVICE_ENDPOINT}latest; "
    'token=$(curl -sf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" $base/api/token); '
    'get() { curl -sf -H "X-aws-ec2-metadata-token: $token" $base/meta-data/$1; echo; }; '
)


def test_first_boot_is_cloud_inits(cloud: Any, launched: Callable[..., tuple[str, str]]) -> None:
    one, address = launched(user_data="#!/bin/sh\necho done by user data > /etc/motd\n")
    said = cloud.ssh(address, "cloud-init status --wait >/dev/null; whoami; hostname; cat /etc/motd; sudo id -u")
    assert said.splitlines()[-4:] == [
        "centos",
        cloud.describe(one)["PrivateDnsName"].split(".")[0],
        "done by user data",
        "0",
    ]


def test_metadata_is_the_instances_own(cloud: Any, launched: Callable[..., tuple[str, str]]) -> None:
    one, address = launched(zone="us-east-1d")
    said = cloud.ssh(address, METADATA + "get instance-id; get placement/availability-zone; get public-ipv4")
    assert said.split() == [one, "us-east-1d", address]
    without = cloud.ssh(address, "curl -s -o /dev/null -w '%{http_code}' ${AWS_EC2_METADATA_SERVICE_ENDPOINT}latest/")
    assert without == "401"


def test_instance_reaches_the_api_and_nothing_else(cloud: Any, launched: Callable[..., tuple[str, str]]) -> None:
    _, address = launched()
    assert cloud.ssh(address, "curl -s -o /dev/null -w '%{http_code}' $AWS_ENDPOINT_URL/moto-api/").strip() != "000"
    # TEST-NET-1 of RFC 5737: nobody's address. It fails at once, for want of a way out.
    assert "refused" in cloud.ssh(address, "(exec 3<>/dev/tcp/192.0.2.1/80) 2>&1 | cat; echo refused")
    assert cloud.ssh(address, "timeout 5 curl -s http://192.0.2.1/ ; echo $?").strip() not in {"0", "124"}


def test_stop_start_reboot_and_what_the_machine_does_itself(
    cloud: Any, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    one, address = launched()
    boot = "cat /proc/1/stat | cut -d' ' -f22"
    cloud.ssh(address, "sudo touch /var/tmp/kept")
    cloud.ec2.stop_instances(InstanceIds=[one])
    cloud.await_state(one, "stopped")
    cloud.ec2.start_instances(InstanceIds=[one])
    address = cloud.await_state(one, "running")["PublicIpAddress"]
    began = cloud.ssh(address, f"ls /var/tmp/kept >/dev/null; {boot}")
    cloud.ec2.reboot_instances(InstanceIds=[one])
    until(lambda: cloud.ssh(address, boot) != began, "restarted by the API")
    began = cloud.ssh(address, boot)
    cloud.ssh(address, "sudo systemctl --no-block reboot")
    until(lambda: cloud.ssh(address, boot) != began, "restarted by itself")
    assert cloud.state(one) == "running"
    cloud.ssh(address, "sudo systemctl --no-block poweroff")
    cloud.await_state(one, "stopped")
    assert "Power-Off" in cloud.lab.do("logs", one)


def test_killed_instance_is_gone(cloud: Any, launched: Callable[..., tuple[str, str]]) -> None:
    one, _ = launched()
    assert one in cloud.lab.do("fault", "kill-instance", one)
    cloud.await_state(one, "terminated")
    refused = cloud.lab.command("fault", "kill-instance", one)
    assert refused.returncode == 1
    assert f"No instance {one} runs here" in refused.stderr


def test_image_carries_the_disk_and_nothing_of_the_lab(
    cloud: Any, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    one, address = launched()
    cloud.ssh(address, "echo baked | sudo tee /etc/baked; sudo sync")
    image = cloud.image(one, "carries")
    until(lambda: cloud.state(one) == "running", "the source runs again")
    clones = [launched(image=image, zone=zone) for zone in ("us-east-1a", "us-east-1d")]
    ids = set()
    for clone, its_address in clones:
        said = cloud.ssh(its_address, METADATA + "cat /etc/baked; get instance-id; grep -c . /etc/hosts").split()
        assert said[:2] == ["baked", clone]
        ids.add(said[1])
    assert len(ids) == 2
    assert one not in cloud.ssh(clones[0][1], "sudo cat /etc/hosts /etc/environment /var/lib/cloud/seed/nocloud/*")
    names = [found["id"] for found in cloud.lab.status()["images"]]
    assert image in names
    cloud.ec2.deregister_image(ImageId=image)
    until(lambda: image not in [found["id"] for found in cloud.lab.status()["images"]], "image removed")
    assert cloud.state(clones[0][0]) == "running"


def test_elastic_address_leads_to_the_instance(
    cloud: Any, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    first, second = launched(), launched(zone="us-east-1d")
    elastic = cloud.ec2.allocate_address(Domain="vpc")
    try:
        for one, address in (first, second):
            cloud.ec2.associate_address(AllocationId=elastic["AllocationId"], InstanceId=one, AllowReassociation=True)
            name = cloud.ssh(address, "hostname")
            until(lambda name=name: cloud.ssh(elastic["PublicIp"], "hostname") == name, "address leads there")
        assert cloud.describe(second[0])["PublicIpAddress"] == elastic["PublicIp"]
    finally:
        found = cloud.ec2.describe_addresses(AllocationIds=[elastic["AllocationId"]])["Addresses"][0]
        cloud.ec2.disassociate_address(AssociationId=found["AssociationId"])
        cloud.ec2.release_address(AllocationId=elastic["AllocationId"])


def test_slow_boot_is_slow_and_holds_up_nobody_else(
    cloud: Any, launched: Callable[..., tuple[str, str]], until: Callable[..., Any]
) -> None:
    cloud.lab.do("fault", "slow-boot", "--seconds", "4")
    slow = cloud.launch()
    until(lambda: any(one["id"] == slow for one in cloud.lab.status()["instances"]), "launched")
    cloud.lab.do("fault", "slow-boot", "--seconds", "0")
    quick, _ = launched()
    assert cloud.state(slow) == "pending", f"{quick} did not overtake"
    cloud.await_state(slow, "running")
    cloud.ec2.terminate_instances(InstanceIds=[slow])
    cloud.await_state(slow, "terminated")
