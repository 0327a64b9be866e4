"""Instances: they run, stop and end when the runtime says so, with everything that their launch template names."""

import base64
from collections.abc import Iterable
from datetime import timezone
from typing import Any

from moto.core.utils import utcnow
from moto.ec2.models.instances import Instance, Reservation, StateReason
from moto.ec2.utils import filter_iam_instance_profiles, parse_user_data

from lab.api import context, views
from lab.api.base import Refusal
from lab.api.ec2.images import LabImage

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
WANTED: dict[str, Any] = {
    "pending": "running",
    "running": "running",
    "stopping": "stopped",
    "stopped": "stopped",
    "shutting-down": "terminated",
}
# Terminated instances are described for about an hour.
FORGET_SECONDS = 3600

# Parameter of run_instances, by its key in launch template data, where both have the same shape.
TEMPLATE_PARAMETERS = {
    "KeyName": "key_name",
    "EbsOptimized": "ebs_optimized",
    "InstanceInitiatedShutdownBehavior": "instance_initiated_shutdown_behavior",
    "DisableApiTermination": "disable_api_termination",
    "DisableApiStop": "disable_api_stop",
    "NetworkInterfaces": "nics",
    "SecurityGroupIds": "security_group_ids",
}


def set_state(instance: Instance, name: str, reason: str = "") -> None:
    """Set the state of an instance, with a reason such as `Client.UserInitiatedShutdown: User initiated shutdown`."""
    instance._state.name, instance._state.code = name, CODES[name]
    instance._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if reason else ""
    instance.state_reason = StateReason(reason, reason.split(":", maxsplit=1)[0]) if reason else StateReason()


class InstanceMixin:
    """The part of the EC2 backend that deals with instances."""

    reservations: dict[str, Reservation]

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        """Return an instance, or None; by an index, because groups ask for each of their instances all the time."""
        index: dict[str, Instance] = self.__dict__.setdefault("instance_index", {})
        if instance_id not in index:
            index.clear()
            index.update({i.id: i for r in self.reservations.values() for i in r.instances})
        return index.get(instance_id)

    def get_instance(self, instance_id: str) -> Instance:
        """Return an instance; refused with InvalidInstanceID.NotFound."""
        instance = self.get_instance_by_id(instance_id)
        if instance is None:
            raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return instance

    def run_instances(
        self, image_id: str | None, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Reservation:
        """Launch instances, completed from the launch template; they are pending until the runtime runs them."""
        backend: Any = self
        profile = {"Name": kwargs.pop("iam_instance_profile_name", None)}
        profile["Arn"] = kwargs.pop("iam_instance_profile_arn", None)
        if kwargs.get("launch_template"):
            data = backend._get_template_from_args(kwargs["launch_template"]).data
            image_id = image_id or data.get("ImageId")
            if user_data is None and data.get("UserData"):
                user_data = parse_user_data(str(data["UserData"]))
            if not any(profile.values()):
                profile = data.get("IamInstanceProfile") or {}
            _complete(kwargs, data)
        if not image_id:
            raise Refusal("MissingParameter", "The request must contain the parameter ImageId")
        image: LabImage = backend.launchable_image(image_id)
        key_name = kwargs.get("key_name")
        if key_name and key_name not in backend.key_pairs:
            raise Refusal("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
        found = self._profile(profile)
        kwargs["block_device_mappings"] = block_devices(image, kwargs.get("block_device_mappings") or [])
        kwargs["nics"] = interfaces(kwargs)
        reservation: Reservation = super().run_instances(  # type: ignore[misc]
            image_id, count, user_data, security_group_names, **kwargs
        )
        for instance in reservation.instances:
            set_state(instance, "pending")
            for interface in instance.nics.values():
                interface.check_auto_public_ip()
            if found is not None:
                backend.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=found.arn)
        backend.note_launch(image)
        return reservation

    def _profile(self, profile: dict[str, Any]) -> Any:
        if not any(profile.values()):
            return None
        return filter_iam_instance_profiles(
            context.ACCOUNT,
            partition="aws",
            iam_instance_profile_arn=profile.get("Arn"),
            iam_instance_profile_name=profile.get("Name"),
        )

    def start_instances(self, instance_ids: list[str]) -> list[tuple[Instance, dict[str, Any]]]:
        """Begin to start stopped instances; running ones stay as they are."""
        return self._change(instance_ids, ("stopped",), "pending", ("pending", "running"), "started")

    def stop_instances(self, instance_ids: list[str]) -> list[tuple[Instance, dict[str, Any]]]:
        """Begin to stop instances; stopped ones stay as they are."""
        for instance in self.get_multi_instances_by_id(instance_ids):  # type: ignore[attr-defined]
            if instance.disable_api_stop:
                raise Refusal("OperationNotPermitted", f"The instance '{instance.id}' may not be stopped.")
        return self._change(instance_ids, ("pending", "running"), "stopping", ("stopping", "stopped"), "stopped")

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, dict[str, Any]]]:
        """Begin to end instances; they are terminated when the runtime has nothing left of them."""
        for instance in self.get_multi_instances_by_id(instance_ids):  # type: ignore[attr-defined]
            if instance.disable_api_termination:
                message = (
                    f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' "
                    "instance attribute and try again."
                )
                raise Refusal("OperationNotPermitted", message)
        alive = ("pending", "running", "stopping", "stopped")
        return self._change(instance_ids, alive, "shutting-down", ("shutting-down", "terminated"), "terminated")

    def reboot_instances(self, instance_ids: list[str]) -> list[Instance]:
        """Ask the runtime to restart instances."""
        instances: list[Instance] = self.get_multi_instances_by_id(instance_ids)  # type: ignore[attr-defined]
        for instance in instances:
            if instance.state != "running":
                message = f"Instance {instance.id} is not in a state from which it can be rebooted."
                raise Refusal("IncorrectInstanceState", message)
            context.current().hooks.reboot_instance(instance.id)
        return instances

    def _change(
        self, instance_ids: list[str], before: Iterable[str], after: str, done: Iterable[str], verb: str
    ) -> list[tuple[Instance, dict[str, Any]]]:
        """Set a new state; return each instance with its state before."""
        changes = []
        for instance in self.get_multi_instances_by_id(instance_ids):  # type: ignore[attr-defined]
            previous = {"Code": instance.state_code, "Name": instance.state}
            if instance.state in before:
                reason = "" if after == "pending" else "Client.UserInitiatedShutdown: User initiated shutdown"
                set_state(instance, after, reason)
            elif instance.state not in done:
                message = (
                    f"The instance '{instance.id}' is not in a state from which it can be {verb}: {instance.state}."
                )
                raise Refusal("IncorrectInstanceState", message)
            changes.append((instance, previous))
        return changes

    def tick_instances(self) -> bool:
        """Take over what the runtime says of the instances; return whether one is between two states."""
        between = False
        for instance in self.all_instances():  # type: ignore[attr-defined]
            if instance.state != "terminated":
                self._observe(instance)
                between = between or instance.state in ("pending", "stopping", "shutting-down")
        self._forget_old()
        return between

    def _observe(self, instance: Instance) -> None:
        condition = context.current().hooks.instance_condition(instance.id)
        state = instance.state
        if condition == "gone":
            if state != "shutting-down":
                set_state(instance, "shutting-down", "Server.InternalError: The host of the instance failed")
            self._end(instance)
        elif state == "pending" and condition in ("running", "impaired"):
            set_state(instance, "running")
            for interface in instance.nics.values():
                interface.start()
        elif condition == "stopped" and state in ("running", "stopping"):
            by_user = state == "stopping"
            reason = (
                "Client.UserInitiatedShutdown: User initiated shutdown"
                if by_user
                else "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
            )
            if not by_user and instance.instance_initiated_shutdown_behavior == "terminate":
                set_state(instance, "shutting-down", reason)
                return
            set_state(instance, "stopped", reason)
            for interface in instance.nics.values():
                interface.stop()

    def _end(self, instance: Instance) -> None:
        reason = instance.state_reason.message
        self.free_addresses_of(instance)  # type: ignore[attr-defined]
        instance.terminate()
        set_state(instance, "terminated", reason)
        instance.ended_at = context.now()

    def _forget_old(self) -> None:
        limit = context.now() - FORGET_SECONDS
        for key, reservation in list(self.reservations.items()):
            kept = [
                i for i in reservation.instances if i.state != "terminated" or getattr(i, "ended_at", limit) >= limit
            ]
            if len(kept) < len(reservation.instances):
                reservation.instances = kept
                self.__dict__.pop("instance_index", None)
            if not kept:
                del self.reservations[key]

    def impaired(self, instance: Instance) -> bool:
        """Return whether a status check of a running instance fails."""
        condition = context.current().hooks.instance_condition(instance.id)
        return bool(instance.state == "running" and condition == "impaired")

    def view_instance(self, instance: Instance, membership: tuple[Any, Any] | None = None) -> views.Instance:
        """Return an instance as the runtime needs to see it, not for a terminated one.

        `membership` is its Auto Scaling group and what it is there, if it is in one.
        """
        group, member = membership or (None, None)
        backend: Any = self
        key = backend.key_pairs.get(instance.key_name)
        root = instance.block_device_mapping.get(instance.root_device_name)
        options = instance.metadata_options
        elastic = backend.elastic_ips_of(instance)
        return views.Instance(
            instance_id=instance.id,
            wanted=WANTED[instance.state],
            state=instance.state,
            image_id=instance.image_id,
            instance_type=instance.instance_type,
            zone=instance.availability_zone or "",
            subnet_id=instance.subnet_id or "",
            private_ip=instance.private_ip or "",
            private_dns_name=instance.private_dns_name,
            public_ip=instance.public_ip,
            elastic_ips=elastic,
            user_data=base64.b64decode(str(instance.user_data)) if instance.user_data else b"",
            public_key=key.material_public.decode() if key else None,
            key_name=instance.key_name,
            instance_profile_arn=(instance.iam_instance_profile or {}).get("Arn"),
            metadata_options={
                "HttpTokens": options.http_tokens,
                "HttpEndpoint": options.http_endpoint,
                "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
                "InstanceMetadataTags": options.instance_metadata_tags,
            },
            tags={tag["key"]: tag["value"] for tag in instance.get_tags()},
            launch_time=instance.launch_time.replace(tzinfo=timezone.utc),
            root_volume_gb=root.size if root else 0,
            group=group.name if group else None,
            lifecycle_state=member.lifecycle_state if member else None,
            target_lifecycle_state=member.target_state if member else None,
        )


def _complete(kwargs: dict[str, Any], data: dict[str, Any]) -> None:
    """Fill in what the request leaves to the launch template; what the request says wins."""
    for key, parameter in TEMPLATE_PARAMETERS.items():
        if not kwargs.get(parameter) and data.get(key):
            kwargs[parameter] = data[key]
    if data.get("InstanceType") and (kwargs.get("is_instance_type_default") or not kwargs.get("instance_type")):
        kwargs["instance_type"], kwargs["is_instance_type_default"] = data["InstanceType"], False
    kwargs["metadata_options"] = {**data.get("MetadataOptions", {}), **(kwargs.get("metadata_options") or {})}
    if data.get("Monitoring", {}).get("Enabled"):
        kwargs["monitoring_state"] = "enabled"
    tags = {"instance": {}, "volume": {}, **(kwargs.get("tags") or {})}
    for specification in data.get("TagSpecifications", []):
        kind = specification["ResourceType"]
        tags[kind] = {**{tag["Key"]: tag["Value"] for tag in specification.get("Tags", [])}, **tags.get(kind, {})}
    kwargs["tags"] = tags
    given = {device["DeviceName"] for device in kwargs.get("block_device_mappings") or []}
    own = [device for device in data.get("BlockDeviceMappings", []) if device["DeviceName"] not in given]
    kwargs["block_device_mappings"] = [*own, *(kwargs.get("block_device_mappings") or [])]


def block_devices(image: LabImage, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the image's block devices, with what was given laid over them.

    Refused with InvalidBlockDeviceMapping when a volume would be smaller than its snapshot.
    """
    devices = {device["DeviceName"]: {**device, "Ebs": dict(device["Ebs"])} for device in image.block_device_mappings}
    for device in given:
        own = devices.setdefault(device["DeviceName"], {"DeviceName": device["DeviceName"], "Ebs": {}})
        if device.get("NoDevice") == "":
            del devices[device["DeviceName"]]
            continue
        minimum = own["Ebs"].get("VolumeSize", 0) if own["Ebs"].get("SnapshotId") else 0
        asked = {key: value for key, value in (device.get("Ebs") or {}).items() if value is not None}
        asked.setdefault("DeleteOnTermination", True)
        own["Ebs"].update(asked)
        if own["Ebs"].get("VolumeSize") and int(own["Ebs"]["VolumeSize"]) < minimum:
            message = (
                f"Volume of size {own['Ebs']['VolumeSize']}GB is smaller than snapshot "
                f"'{own['Ebs']['SnapshotId']}', expect size >= {minimum}GB"
            )
            raise Refusal("InvalidBlockDeviceMapping", message)
    return list(devices.values())


def interfaces(kwargs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the network interfaces to make: the subnet and security groups in them move to the instance's own."""
    nics = [dict(nic) for nic in kwargs.get("nics") or []] or [{"DeviceIndex": 0}]
    for nic in nics:
        if "NetworkInterfaceId" in nic:
            continue
        nic.setdefault("DeleteOnTermination", True)
        groups = nic.pop("Groups", None) or []
        if groups and not kwargs.get("security_group_ids"):
            kwargs["security_group_ids"] = groups
        if kwargs.get("subnet_id"):
            nic.setdefault("SubnetId", kwargs["subnet_id"])
        public = nic.pop("AssociatePublicIpAddress", None)
        if public is not None and int(nic["DeviceIndex"]) == 0:
            kwargs["associate_public_ip"] = public
    return nics
