"""Launch templates: versions keep all their data, inherit from a source version, and can be deleted."""

from typing import Any

from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion

from lab.api.base import Refusal


class LabLaunchTemplate(LaunchTemplate):  # type: ignore[misc]
    """A launch template; numbers of versions are never used twice."""

    versions: list[LaunchTemplateVersion]

    def create_version(self, data: dict[str, Any], description: str | None) -> LaunchTemplateVersion:
        """Add a version with the next number."""
        number = self.highest + 1
        version = LaunchTemplateVersion(self, number, data, description)
        self.highest = number
        self.versions.append(version)
        return version

    # The number of the newest version that ever was.
    highest = 0

    def get_version(self, num: Any) -> LaunchTemplateVersion:
        """Return a version by its number, $Latest or $Default."""
        wanted = str(num)
        if wanted == "$Latest":
            return self.versions[-1]
        number = self.default_version_number if wanted == "$Default" else wanted
        for version in self.versions:
            if str(version.number) == str(number):
                return version
        message = f"Could not find launch template version {wanted} of {self.id}."
        raise Refusal("InvalidLaunchTemplateId.VersionNotFound", message)

    def default_version(self) -> LaunchTemplateVersion:
        """Return the default version."""
        return self.get_version(self.default_version_number)

    def tag_list_now(self) -> list[dict[str, str]]:
        """Return its tags as they are now."""
        return [{"Key": tag["key"], "Value": tag["value"]} for tag in self.get_tags()]


class TemplateMixin:
    """The part of the EC2 backend that deals with launch templates."""

    launch_templates: dict[str, LabLaunchTemplate]
    launch_template_name_to_ids: dict[str, str]
    launch_template_insert_order: list[str]

    def create_launch_template(
        self, name: str, description: str, template_data: dict[str, Any], tag_spec: dict[str, Any]
    ) -> LabLaunchTemplate:
        """Create a launch template with its first version."""
        if name in self.launch_template_name_to_ids:
            message = f"Launch template name already in use: {name}."
            raise Refusal("InvalidLaunchTemplateName.AlreadyExistsException", message)
        template = LabLaunchTemplate(self, name, template_data, description, tag_spec)
        self.launch_templates[template.id] = template
        self.launch_template_name_to_ids[template.name] = template.id
        self.launch_template_insert_order.append(template.id)
        return template

    def find_template(self, template_id: str | None, name: str | None) -> LabLaunchTemplate:
        """Return a launch template by id or name; refused when there is none."""
        if name and not template_id:
            template_id = self.launch_template_name_to_ids.get(name)
            if template_id is None:
                message = f"The specified launch template, with template name {name}, does not exist."
                raise Refusal("InvalidLaunchTemplateName.NotFoundException", message)
        if template_id not in self.launch_templates:
            message = f"The specified launch template, with template ID {template_id}, does not exist."
            raise Refusal("InvalidLaunchTemplateId.NotFound", message)
        return self.launch_templates[template_id]
