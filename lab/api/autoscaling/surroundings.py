"""The other services as Auto Scaling groups use them: EC2, Elastic Load Balancing and CloudWatch."""

from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from lab.api import context
from lab.api.autoscaling.model import Activity, Group, Member
from lab.api.autoscaling.protocol import LaunchError
from lab.api.base import Refusal


class Backends:
    """`Surroundings` over the backends of the one account and region."""

    @property
    def _ec2(self) -> Any:
        return ec2_backends[context.ACCOUNT][context.REGION]

    @property
    def _elbv2(self) -> Any:
        return elbv2_backends[context.ACCOUNT][context.REGION]

    def resolve(self, launch_template: dict[str, str]) -> dict[str, str]:
        """Return the specification with id, name and a numbered version."""
        try:
            template = self._ec2.find_template(
                launch_template.get("LaunchTemplateId"), launch_template.get("LaunchTemplateName")
            )
            version = template.get_version(launch_template.get("Version") or "$Default")
        except ServiceException as error:
            raise LaunchError(error.message) from error
        return {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Version": str(version.number),
        }

    def launch(self, group: Group, launch_template: dict[str, str], subnet_id: str) -> Member:
        """Launch an instance of a group into a subnet."""
        tags = {"aws:autoscaling:groupName": group.name, **group.propagated_tags()}
        try:
            data = self._ec2.find_template(launch_template["LaunchTemplateId"], None).get_version(
                launch_template["Version"]
            )
            nics = [dict(nic) for nic in data.data.get("NetworkInterfaces", [])]
            for nic in nics:
                nic["SubnetId"] = subnet_id
            reservation = self._ec2.run_instances(
                None,
                1,
                None,
                [],
                launch_template={
                    "LaunchTemplateId": launch_template["LaunchTemplateId"],
                    "Version": launch_template["Version"],
                },
                region_name=context.REGION,
                is_instance_type_default=True,
                subnet_id=subnet_id,
                associate_public_ip=None,
                nics=nics,
                tags={"instance": tags},
            )
        except ServiceException as error:
            raise LaunchError(error.message) from error
        instance = reservation.instances[0]
        now = context.now()
        return Member(
            instance_id=instance.id,
            instance_type=instance.instance_type,
            image_id=instance.image_id,
            zone=instance.availability_zone,
            subnet_id=subnet_id,
            launch_template=launch_template,
            launched_at=now,
            activity=Activity(group.name, "", "", now),
            protected=group.protect_new,
        )

    def zone_of(self, subnet_id: str) -> str:
        """Return the zone of a subnet."""
        return str(self._ec2.get_subnet(subnet_id).availability_zone)

    def instance_state(self, instance_id: str) -> str:
        """Return the state of an instance."""
        instance = self._ec2.get_instance_by_id(instance_id)
        return instance.state if instance else "terminated"

    def impaired(self, instance_id: str) -> bool:
        """Return whether a status check of EC2 fails."""
        instance = self._ec2.get_instance_by_id(instance_id)
        return bool(instance and self._ec2.impaired(instance))

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance, whatever its termination protection says: Auto Scaling does not ask for it."""
        instance = self._ec2.get_instance_by_id(instance_id)
        if instance and instance.state not in ("shutting-down", "terminated"):
            instance.disable_api_termination = False
            self._ec2.terminate_instances([instance_id])

    def register(self, target_group: str, instance_id: str) -> None:
        """Register an instance on the target group's port."""
        try:
            self._elbv2.register_targets(target_group, [{"Id": instance_id}])
        except Refusal:
            return

    def deregister(self, target_group: str, instance_id: str) -> None:
        """Deregister an instance."""
        try:
            self._elbv2.deregister_targets(target_group, [{"Id": instance_id}])
        except Refusal:
            return

    def draining(self, target_group: str, instance_id: str) -> bool:
        """Return whether a target still drains."""
        return bool(self._elbv2.draining(target_group, instance_id))

    def target_state(self, target_group: str, instance_id: str) -> str:
        """Return the state of a target."""
        return str(self._elbv2.state_of(target_group, instance_id))

    def alarms(self) -> frozenset[str]:
        """Return the names of the alarms in state ALARM."""
        alarms = cloudwatch_backends[context.ACCOUNT][context.REGION].alarms.values()
        return frozenset(alarm.name for alarm in alarms if alarm.state_value == "ALARM")
