"""The EC2 backend: moto's, with instances, images and addresses that the runtime makes real."""

from moto.ec2.models import EC2Backend
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from lab.api.base import LabBackend
from lab.api.ec2.images import ImageMixin
from lab.api.ec2.instances import InstanceMixin
from lab.api.ec2.network import NetworkMixin
from lab.api.ec2.templates import TemplateMixin


class LabEC2Backend(
    InstanceMixin,
    ImageMixin,
    NetworkMixin,
    TemplateMixin,
    LabBackend,
    EC2Backend,  # type: ignore[misc]
):
    """EC2 of the rehearsal cloud."""

    service = "ec2"

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """Return tags; those of one resource are looked up instead of searched: every describe call needs them."""
        if filters and list(filters) == ["resource-id"] and len(filters["resource-id"]) == 1:
            resource_id = filters["resource-id"][0]
            if "*" not in resource_id:
                kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), "")
                return [
                    {"resource_id": resource_id, "key": key, "value": value, "resource_type": kind}
                    for key, value in self.tags.get(resource_id, {}).items()
                ]
        found: list[dict[str, str]] = super().describe_tags(filters)
        return found
