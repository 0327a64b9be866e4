"""S3: the rehearsal's plain HTTP stands for TLS, so that a bucket policy's denial of plain HTTP does not apply."""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket, S3Backend

from lab.api.base import LabBackend

_WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


class LabBucket(FakeBucket):  # type: ignore[misc]
    """A bucket of the rehearsal cloud."""

    def get_permission(self, action: str, resource: str) -> Any:
        """Ask the bucket policy without that denial; moto takes it to hold whatever its condition says."""
        if self.policy is None:
            return PermissionResult.NEUTRAL
        document = json.loads(self.policy)
        document["Statement"] = [each for each in document["Statement"] if each.get("Condition") != _WITHOUT_TLS]
        return IAMPolicy(json.dumps(document)).is_action_permitted(action, resource)


class LabS3Backend(LabBackend, S3Backend):  # type: ignore[misc]
    """Buckets of the rehearsal cloud."""

    service = "s3"

    def create_bucket(self, *args: Any, **kwargs: Any) -> LabBucket:
        """Make a bucket; moto names its class where it makes one, so that it becomes ours afterwards."""
        bucket: LabBucket = super().create_bucket(*args, **kwargs)
        bucket.__class__ = LabBucket
        return bucket
