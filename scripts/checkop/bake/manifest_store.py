"""Where the manifests of images are kept: one object for each in the environment's bucket, found by the AMI's id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ManifestStore:
    """The manifests of an environment. They outlive their images, so that an old release can still be compared.

    Parameters
    ----------
    s3:
        Client of the bucket's region.
    bucket:
        The inventory's ``image_manifest_bucket``.
    """

    s3: S3Client
    bucket: str

    def require(self) -> None:
        """Prove that the bucket is there (S3 HeadBucket), before a bake takes its time.

        Raises
        ------
        CheckopError
            It does not exist, or is not ours to use.
        """
        try:
            self.s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            status = error.response["Error"]["Code"]
            if status == "404":
                raise self._missing() from error
            if status == "403":
                raise CheckopError(
                    f"S3 bucket {self.bucket} (image_manifest_bucket) is not open to these credentials, or belongs to "
                    "another account. Name one of your own, or ask for s3:ListBucket, s3:GetObject and s3:PutObject."
                ) from error
            raise

    def place(self, image_id: str) -> str:
        """Return where the manifest of an image lies, as ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{_key(image_id)}"

    def keep(self, image_id: str, manifest: Mapping[str, Any]) -> None:
        """Write the manifest of an image (S3 PutObject)."""
        body = json.dumps(manifest, sort_keys=True, indent=1) + "\n"
        self.s3.put_object(Bucket=self.bucket, Key=_key(image_id), Body=body.encode(), ContentType="application/json")

    def load(self, image_id: str) -> dict[str, Any] | None:
        """Read the manifest of an image (S3 GetObject); None where there is none.

        Raises
        ------
        CheckopError
            The bucket does not exist, or the object is no manifest.
        """
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=_key(image_id))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchKey":
                return None
            if code == "NoSuchBucket":
                raise self._missing() from error
            raise
        try:
            manifest = json.loads(answer["Body"].read())
        except ValueError as error:
            raise CheckopError(f"{self.place(image_id)} is no manifest: {error}. {_AN_OLDER_VERSION}") from error
        if not isinstance(manifest, dict):
            raise CheckopError(f"{self.place(image_id)} is no manifest: it holds no JSON object. {_AN_OLDER_VERSION}")
        return manifest

    def _missing(self) -> CheckopError:
        return CheckopError(
            f"S3 bucket {self.bucket} (image_manifest_bucket), which keeps the manifests of images, does not exist. "
            "Make it with playbooks/images.yml."
        )


_AN_OLDER_VERSION = "Bring back an older version of the object; the bucket keeps them."


def _key(image_id: str) -> str:
    return f"{image_id}/manifest.json"
