"""Answers of EC2 that moto gives differently from AWS, or not at all."""

from datetime import datetime, timezone
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.responses import EC2Response
from moto.ec2.utils import parse_user_data

from lab.api import context
from lab.api.base import Refusal
from lab.api.ec2.instances import CODES
from lab.api.paging import page


class LabEC2Response(EC2Response):  # type: ignore[misc]
    """EC2's requests."""

    # moto answers the state of a new instance and others by itself; here they are what they are.
    RESPONSE_KEY_PATH_TO_TRANSFORMER = {  # noqa: RUF012 - moto's name for a constant
        key: value
        for key, value in EC2Response.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
        if not key.startswith("RunInstances.")
    }

    # Instances.

    def run_instances(self) -> ActionResult:
        """Launch instances with everything that the request or its launch template says."""
        value = self._get_param
        if value("NetworkInterfaces") and value("SubnetId"):
            message = "Network interfaces and an instance-level subnet ID may not be specified on the same request"
            raise Refusal("InvalidParameterCombination", message)
        parameters = {
            "instance_type": value("InstanceType", "m1.small"),
            "is_instance_type_default": not value("InstanceType"),
            "placement": value("Placement.AvailabilityZone"),
            "region_name": self.region,
            "subnet_id": value("SubnetId"),
            "key_name": value("KeyName"),
            "security_group_ids": value("SecurityGroupIds", []),
            "nics": value("NetworkInterfaces", []),
            "private_ip": value("PrivateIpAddress"),
            "associate_public_ip": None,
            "tags": self._parse_tag_specification(),
            "ebs_optimized": value("EbsOptimized", False),
            "disable_api_stop": value("DisableApiStop", False),
            "disable_api_termination": value("DisableApiTermination", False),
            "instance_initiated_shutdown_behavior": value("InstanceInitiatedShutdownBehavior"),
            "launch_template": value("LaunchTemplate", {}),
            "iam_instance_profile_name": value("IamInstanceProfile.Name"),
            "iam_instance_profile_arn": value("IamInstanceProfile.Arn"),
            "monitoring_state": "enabled" if value("Monitoring.Enabled") else "disabled",
            "metadata_options": value("MetadataOptions", {}),
            "client_token": value("ClientToken", ""),
            "block_device_mappings": value("BlockDeviceMappings", []),
        }
        self.error_on_dryrun()
        reservation = self.ec2_backend.run_instances(
            value("ImageId"),
            int(value("MaxCount", 1)),
            parse_user_data(value("UserData")),
            value("SecurityGroups", []),
            **parameters,
        )
        return ActionResult(reservation)

    def describe_instance_status(self) -> ActionResult:
        """Tell states and status checks: impaired where the runtime says so."""
        filters = [{"name": name, "values": values} for name, values in self._filters_from_querystring().items()]
        instances = self.ec2_backend.describe_instance_status(
            self._get_param("InstanceIds", []), self._get_param("IncludeAllInstances", False), filters
        )
        return ActionResult({"InstanceStatuses": [self._status(instance) for instance in instances]})

    def _status(self, instance: Any) -> dict[str, Any]:
        check: dict[str, Any] = {"Status": "not-applicable"}
        system = check
        if instance.state == "running":
            impaired = self.ec2_backend.impaired(instance)
            outcome = "failed" if impaired else "passed"
            details = [{"Name": "reachability", "Status": outcome}]
            check = {"Status": "impaired" if impaired else "ok", "Details": details}
            system = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
        return {
            "InstanceId": instance.id,
            "AvailabilityZone": instance.availability_zone,
            "InstanceState": {"Code": CODES[instance.state], "Name": instance.state},
            "InstanceStatus": check,
            "SystemStatus": system,
            "Events": [],
        }

    def get_console_output(self) -> ActionResult:
        """Tell the console's text that the runtime has."""
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        text = context.current().hooks.console_output(instance.id)
        output = Base64EncodedString.from_raw_string(text)
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})

    # Images.

    def create_image(self) -> ActionResult:
        """Begin an image of an instance."""
        self.error_on_dryrun()
        image = self.ec2_backend.commit_image(
            self.ec2_backend.get_instance(self._get_param("InstanceId")),
            self._get_param("Name"),
            self._get_param("Description", ""),
            no_reboot=self._get_param("NoReboot", False),
            tags=self._parse_tag_specification(),
        )
        return ActionResult({"ImageId": image.id})

    def copy_image(self) -> ActionResult:
        """Begin a copy of an image of this region."""
        self.error_on_dryrun()
        source = self.ec2_backend.launchable_image(self._get_param("SourceImageId"))
        image = self.ec2_backend.begin_copy(
            source,
            self._get_param("Name"),
            self._get_param("Description") or source.description or "",
            encrypted=self._get_param("Encrypted", False),
            tags=self._parse_tag_specification(),
        )
        return ActionResult({"ImageId": image.id})

    def describe_images(self) -> ActionResult:
        """Tell images: others' deprecated ones and disabled ones only when asked for."""
        self.error_on_dryrun()
        ids = self._get_param("ImageIds", [])
        images = self.ec2_backend.describe_images(
            ami_ids=ids,
            filters=self._filters_from_querystring(),
            exec_users=self._get_param("ExecutableUsers", []),
            owners=self._get_param("Owners", []),
        )
        shown = self.ec2_backend.visible_images(
            images,
            ids,
            deprecated=self._get_param("IncludeDeprecated", False),
            disabled=self._get_param("IncludeDisabled", False),
        )
        found, token = page(shown, self._get_param("NextToken"), self._get_int_param("MaxResults"))
        return ActionResult({"Images": found, "NextToken": token})

    def deregister_image(self) -> ActionResult:
        """Deregister an image, with its snapshots when asked to."""
        self.error_on_dryrun()
        wanted = self._get_param("DeleteAssociatedSnapshots", False)
        results = self.ec2_backend.drop_image(self._get_param("ImageId"), with_snapshots=wanted)
        return ActionResult({"Return": True, "DeleteSnapshotResults": results})

    def enable_image_deprecation(self) -> ActionResult:
        """Set the time from which an image is deprecated."""
        self.error_on_dryrun()
        self.ec2_backend.image(self._get_param("ImageId")).deprecate_at = _aware(self._get_param("DeprecateAt"))
        return ActionResult({"Return": True})

    def disable_image_deprecation(self) -> ActionResult:
        """Take the deprecation of an image back."""
        self.error_on_dryrun()
        self.ec2_backend.image(self._get_param("ImageId")).deprecate_at = None
        return ActionResult({"Return": True})

    def modify_image_attribute(self) -> ActionResult:
        """Change description, IMDS support or launch permissions of an image."""
        image = self.ec2_backend.image(self._get_param("ImageId"))
        attribute, value = self._get_param("Attribute"), self._get_param("Value")
        description = self._get_param("Description.Value") or (value if attribute == "description" else None)
        imds = self._get_param("ImdsSupport.Value") or (value if attribute == "imdsSupport" else None)
        if description is None and imds is None:
            return super().modify_image_attribute()
        self.error_on_dryrun()
        image.description = description or image.description
        image.imds_support = imds or image.imds_support
        return EmptyResult()

    def describe_snapshots(self) -> ActionResult:
        """Tell snapshots of the owners that were asked for; another account's are private."""
        self.error_on_dryrun()
        ids, owners = self._get_param("SnapshotIds", []), self._get_param("OwnerIds", [])
        wanted = {context.ACCOUNT if owner == "self" else owner for owner in owners}
        snapshots = [
            snapshot
            for snapshot in self.ec2_backend.describe_snapshots(ids, filters=self._filters_from_querystring())
            if snapshot.owner_id == context.ACCOUNT and (not wanted or snapshot.owner_id in wanted)
        ]
        found, token = page(snapshots, self._get_param("NextToken"), self._get_int_param("MaxResults"))
        return ActionResult({"Snapshots": found, "NextToken": token})

    # Launch templates.

    def create_launch_template(self) -> ActionResult:
        """Create a launch template; its own tags stay out of its data."""
        self.error_on_dryrun()
        template = self.ec2_backend.create_launch_template(
            self._get_param("LaunchTemplateName"),
            self._get_param("VersionDescription"),
            self._template_data(),
            self._parse_tag_specification(),
        )
        return ActionResult({"LaunchTemplate": self._template(template)})

    def create_launch_template_version(self) -> ActionResult:
        """Add a version, laid over its source version if one is named."""
        self.error_on_dryrun()
        template = self._find_template()
        data = self._template_data()
        if source := self._get_param("SourceVersion"):
            data = {**template.get_version(source).data, **data}
        version = template.create_version(data, self._get_param("VersionDescription"))
        return ActionResult({"LaunchTemplateVersion": self._version(template, version)})

    def delete_launch_template_versions(self) -> ActionResult:
        """Delete versions, but never the default one."""
        self.error_on_dryrun()
        template = self._find_template()
        deleted, kept = [], []
        for number in self._get_param("Versions", []):
            answer = {
                "LaunchTemplateId": template.id,
                "LaunchTemplateName": template.name,
                "VersionNumber": int(number),
            }
            known = [version for version in template.versions if str(version.number) == str(number)]
            if known and not template.is_default(known[0]):
                template.versions.remove(known[0])
                deleted.append(answer)
            else:
                code = "unexpectedError" if known else "launchTemplateVersionDoesNotExist"
                kept.append({**answer, "ResponseError": {"Code": code, "Message": f"Version {number} is kept."}})
        return ActionResult(
            {
                "SuccessfullyDeletedLaunchTemplateVersions": deleted,
                "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
            }
        )

    def describe_launch_templates(self) -> ActionResult:
        """Tell launch templates, page by page."""
        self.error_on_dryrun()
        templates = self.ec2_backend.describe_launch_templates(
            template_names=self._get_param("LaunchTemplateNames", []),
            template_ids=self._get_param("LaunchTemplateIds", []),
            filters=self._filters_from_querystring(),
        )
        ids = self._get_param("LaunchTemplateIds", [])
        if len(ids) > len(templates):
            self.ec2_backend.find_template(next(i for i in ids if i not in self.ec2_backend.launch_templates), None)
        found, token = page(templates, self._get_param("NextToken"), self._get_int_param("MaxResults"))
        return ActionResult({"LaunchTemplates": [self._template(t) for t in found], "NextToken": token})

    def describe_launch_template_versions(self) -> ActionResult:
        """Tell versions with all their data, page by page."""
        self.error_on_dryrun()
        wanted = [str(version) for version in self._get_param("Versions", [])]
        if self._get_param("LaunchTemplateId") or self._get_param("LaunchTemplateName"):
            template = self._find_template()
            least = int(self._get_param("MinVersion") or 0)
            most = int(self._get_param("MaxVersion") or template.highest)
            versions = [template.get_version(version) for version in wanted] or [
                version for version in reversed(template.versions) if least <= version.number <= most
            ]
        else:
            versions = [t.get_version(v) for t in self.ec2_backend.launch_templates.values() for v in wanted]
        found, token = page(versions, self._get_param("NextToken"), self._get_int_param("MaxResults"))
        answers = [self._version(version.template, version) for version in found]
        return ActionResult({"LaunchTemplateVersions": answers, "NextToken": token})

    def _find_template(self) -> Any:
        return self.ec2_backend.find_template(
            self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName")
        )

    def _template_data(self) -> dict[str, Any]:
        data = dict(self._get_param("LaunchTemplateData", {}))
        if data.get("UserData") is not None:
            data["UserData"] = parse_user_data(data["UserData"])
        return data

    def _template(self, template: Any) -> dict[str, Any]:
        return {
            "CreateTime": template.create_time,
            "CreatedBy": f"arn:aws:iam::{self.current_account}:root",
            "DefaultVersionNumber": template.default_version_number,
            "LatestVersionNumber": template.latest_version_number,
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Tags": template.tag_list_now(),
        }

    def _version(self, template: Any, version: Any) -> dict[str, Any]:
        return {
            "CreateTime": version.create_time,
            "CreatedBy": f"arn:aws:iam::{self.current_account}:root",
            "DefaultVersion": template.is_default(version),
            "LaunchTemplateData": version.data,
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionDescription": version.description,
            "VersionNumber": version.number,
        }


def _aware(value: datetime) -> datetime:
    """Return a time of a request, which moto reads without its zone, as UTC."""
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
