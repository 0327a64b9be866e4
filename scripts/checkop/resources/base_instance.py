"""Base ChOp: one instance with its own address, kept and never replaced by a run (Amazon EC2 User Guide)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.images.source import IN_SERVICE, VERIFIED, Source, published_images, source_image
from checkop.provision import lookup
from checkop.reconcile import UNKNOWN, missing_tags, retry, tag_list, tag_map
from checkop.resources.address_pool import pool_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

    from checkop.aws import Clients
    from checkop.reconcile import Plan

ALIVE = ["pending", "running", "stopping", "stopped"]
# Only requests with a session token reach the metadata service, and their answers do not leave the instance.
METADATA_OPTIONS = {
    "HttpEndpoint": "enabled",
    "HttpTokens": "required",
    "HttpPutResponseHopLimit": 1,
    "InstanceMetadataTags": "enabled",
}


@dataclass(frozen=True)
class Machine:
    """What an instance is, apart from its image and its place.

    Parameters
    ----------
    root_volume_gb:
        GiB of the encrypted root volume.
    tags:
        Tags of instances, volumes and network interfaces.
    """

    instance_type: str
    key_name: str
    instance_profile: str
    security_group_id: str
    root_device: str
    root_volume_gb: int
    root_volume_type: str
    tags: Mapping[str, str]


def root_volume(machine: Machine) -> list[dict[str, Any]]:
    """Give the block device mappings: one encrypted root volume, which ends with its instance."""
    return [
        {
            "DeviceName": machine.root_device,
            "Ebs": {
                "VolumeSize": machine.root_volume_gb,
                "VolumeType": machine.root_volume_type,
                "Encrypted": True,
                "DeleteOnTermination": True,
            },
        }
    ]


class BaseInstance:
    """Make the hub true.

    Parameters
    ----------
    name:
        ``Name`` tag, by which it is found.
    protected:
        Refuse to terminate it.
    """

    def __init__(self, ec2: EC2Client, plan: Plan, name: str, machine: Machine, *, protected: bool) -> None:
        self.ec2 = ec2
        self.plan = plan
        self.name = name
        self.machine = machine
        self.protected = protected

    def find(self, tags: Mapping[str, str]) -> InstanceTypeDef | None:
        """Find the hub among the instances that are not gone (EC2 DescribeInstances)."""
        filters = [*lookup.named(tags, self.name), {"Name": "instance-state-name", "Values": ALIVE}]
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)  # type: ignore[arg-type]
        instances = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
        found: InstanceTypeDef | None = lookup.only(instances, f"Instance {self.name}", tags)
        return found

    def make(self, image: str, subnet: str, zone: str) -> str:
        """Launch it (EC2 RunInstances), wait until it runs, and give its id."""
        request: dict[str, Any] = {
            "ImageId": image,
            "InstanceType": self.machine.instance_type,
            "KeyName": self.machine.key_name,
            "IamInstanceProfile": {"Name": self.machine.instance_profile},
            "SecurityGroupIds": [self.machine.security_group_id],
            "SubnetId": subnet,
            "BlockDeviceMappings": root_volume(self.machine),
            "MetadataOptions": METADATA_OPTIONS,
            "Monitoring": {"Enabled": True},
            "DisableApiTermination": self.protected,
            "InstanceInitiatedShutdownBehavior": "stop",
        }
        kinds = ("instance", "volume", "network-interface")
        tagging = [{"ResourceType": kind, "Tags": tag_list(self.machine.tags)} for kind in kinds]

        def launch() -> str:
            answer = retry(
                lambda: self.ec2.run_instances(MinCount=1, MaxCount=1, TagSpecifications=tagging, **request),  # type: ignore[arg-type]
                {"InvalidParameterValue"},
                # A new instance profile takes some seconds to be known to EC2.
                about="instance profile",
            )
            identifier = answer["Instances"][0]["InstanceId"]
            # An address can be given to a running instance only. 5 minutes.
            waiter = self.ec2.get_waiter("instance_running")
            waiter.wait(InstanceIds=[identifier], WaiterConfig={"Delay": 2, "MaxAttempts": 150})
            return identifier

        return self.plan.create(f"Instance {self.name}", {**request, "zone": zone}, launch)

    def update(self, hub: InstanceTypeDef, zone: str) -> str:
        """Close the differences of the hub that exists, and give its id; image and subnet are what they were."""
        identifier, resource = hub["InstanceId"], f"Instance {self.name}"
        self.plan.fixed(
            resource,
            {"zone": hub["Placement"]["AvailabilityZone"]},
            {"zone": zone},
            "Restore hub_zone, or rebuild the hub: switch hub_termination_protection off, terminate the instance, and "
            "run playbooks/hub.yml.",
        )
        lacking = missing_tags(tag_map(hub.get("Tags")), self.machine.tags)
        self.plan.update(
            f"{resource} tags",
            {},
            lacking,
            lambda: self.ec2.create_tags(Resources=[identifier], Tags=tag_list(lacking)),
        )
        self.plan.update(
            f"{resource} security groups",
            sorted(group["GroupId"] for group in hub["SecurityGroups"]),
            [self.machine.security_group_id],
            lambda: self.ec2.modify_instance_attribute(InstanceId=identifier, Groups=[self.machine.security_group_id]),
        )
        options: Mapping[str, Any] = hub.get("MetadataOptions", {})
        self.plan.update(
            f"{resource} metadata options",
            {key: options.get(key) for key in METADATA_OPTIONS},
            METADATA_OPTIONS,
            lambda: self.ec2.modify_instance_metadata_options(InstanceId=identifier, **METADATA_OPTIONS),  # type: ignore[arg-type]
        )
        self._protect(identifier, resource)
        self._profile(identifier, resource, hub)
        self._type(identifier, resource, hub)
        self._volume(resource, hub)
        return identifier

    def _protect(self, identifier: str, resource: str) -> None:
        answer = self.ec2.describe_instance_attribute(InstanceId=identifier, Attribute="disableApiTermination")
        self.plan.update(
            f"{resource} termination protection",
            bool(answer.get("DisableApiTermination", {}).get("Value")),
            self.protected,
            lambda: self.ec2.modify_instance_attribute(
                InstanceId=identifier, DisableApiTermination={"Value": self.protected}
            ),
        )

    def _profile(self, identifier: str, resource: str, hub: InstanceTypeDef) -> None:
        arn = hub.get("IamInstanceProfile", {}).get("Arn", "")
        wanted = self.machine.instance_profile

        def replace() -> None:
            found = self.ec2.describe_iam_instance_profile_associations(
                Filters=[{"Name": "instance-id", "Values": [identifier]}]
            )["IamInstanceProfileAssociations"]
            if found:
                self.ec2.replace_iam_instance_profile_association(
                    AssociationId=found[0]["AssociationId"], IamInstanceProfile={"Name": wanted}
                )
            else:
                self.ec2.associate_iam_instance_profile(InstanceId=identifier, IamInstanceProfile={"Name": wanted})

        self.plan.update(f"{resource} instance profile", arn.rpartition("/")[2], wanted, replace)

    def _type(self, identifier: str, resource: str, hub: InstanceTypeDef) -> None:
        wanted = self.machine.instance_type
        if hub["InstanceType"] != wanted and hub["State"]["Name"] != "stopped" and not self.plan.check:
            raise CheckopError(
                f"hub_instance_type is {wanted}, but {self.name} ({identifier}) is a {hub['InstanceType']} and "
                f"{hub['State']['Name']}. EC2 changes the type of a stopped instance only: stop it when nobody works "
                "on it, run playbooks/hub.yml, and start it again."
            )
        self.plan.update(
            f"{resource} type",
            hub["InstanceType"],
            wanted,
            lambda: self.ec2.modify_instance_attribute(InstanceId=identifier, InstanceType={"Value": wanted}),
        )

    def _volume(self, resource: str, hub: InstanceTypeDef) -> None:
        volumes = [
            mapping["Ebs"]["VolumeId"]
            for mapping in hub.get("BlockDeviceMappings", [])
            if mapping["DeviceName"] == hub["RootDeviceName"]
        ]
        if not volumes:
            return
        volume = self.ec2.describe_volumes(VolumeIds=volumes)["Volumes"][0]
        # A volume can only grow; the guest grows its file system at the next boot.
        wanted = max(volume["Size"], self.machine.root_volume_gb)
        self.plan.update(
            f"{resource} root volume",
            {"GiB": volume["Size"], "type": volume["VolumeType"]},
            {"GiB": wanted, "type": self.machine.root_volume_type},
            lambda: self.ec2.modify_volume(
                VolumeId=volumes[0],
                Size=wanted,
                VolumeType=self.machine.root_volume_type,  # type: ignore[arg-type]
            ),
        )

    def address(self, identifier: str, tags: Mapping[str, str]) -> str:
        """Give the hub its address (EC2 AssociateAddress), and return the address.

        Raises
        ------
        CheckopError
            There is no address for it (outside check mode).
        """
        found = pool_addresses(self.ec2, "hub", tags)
        if not found and not self.plan.check:
            raise CheckopError(
                f"Instance {self.name}: the environment has no Elastic IP tagged checkop:pool=hub. Run "
                "playbooks/addresses.yml first."
            )
        allocation = found[0]["AllocationId"] if found else UNKNOWN
        holder = (found[0].get("InstanceId") or None) if found else None
        self.plan.update(
            f"Instance {self.name} address",
            holder,
            identifier,
            # It is the hub's own: whoever else holds it gives it back.
            lambda: self.ec2.associate_address(AllocationId=allocation, InstanceId=identifier, AllowReassociation=True),
        )
        return found[0]["PublicIp"] if found else UNKNOWN


def converge(clients: Clients, plan: Plan, params: Mapping[str, Any]) -> dict[str, Any]:
    """Make the hub and give it its address.

    A new hub starts from the image in service, else from the newest verified one, else from the vendor's.

    Parameters
    ----------
    params:
        The options of the module ``checkop_base_instance``, which documents them.

    Returns
    -------
    dict[str, Any]
        ``instance_id`` and ``public_ip``.
    """
    tags: Mapping[str, str] = params["tags"]
    ec2, zone = clients.ec2, params["zone"]
    vpc = lookup.vpc_id(ec2, params["network"], tags, check=plan.check)
    machine = Machine(
        instance_type=params["instance_type"],
        key_name=params["key_name"],
        instance_profile=params["instance_profile"],
        security_group_id=lookup.security_group_id(ec2, vpc, params["security_group"], check=plan.check),
        root_device=params["root_device"],
        root_volume_gb=params["root_volume_gb"],
        root_volume_type=params["root_volume_type"],
        tags={**tags, "Name": params["name"], "checkop:group": "base_chop"},
    )
    reconciler = BaseInstance(ec2, plan, params["name"], machine, protected=params["termination_protection"])
    hub = reconciler.find(tags)
    if hub is None:
        subnet = lookup.zone_subnets(ec2, vpc, tags, "public", [zone], check=plan.check)[0]
        identifier = reconciler.make(_image(clients, params), subnet, zone)
    else:
        identifier = reconciler.update(hub, zone)
    return {"instance_id": identifier, "public_ip": reconciler.address(identifier, tags)}


def _image(clients: Clients, params: Mapping[str, Any]) -> str:
    published = published_images(clients.ssm, params["ssm_prefix"])
    image = published.get(IN_SERVICE) or published.get(VERIFIED)
    return image or source_image(clients.ec2, Source(**params["source_image"]))
