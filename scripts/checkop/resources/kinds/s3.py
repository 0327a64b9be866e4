"""Amazon S3: bucket, with the configurations that calls of their own set (Amazon S3 API Reference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkop.reconcile import tag_list, tag_map
from checkop.resources.kind import Data, Kind, Part, Tags, unless_missing


def _find(client: Any, name: str, _desired: Data) -> Data | None:
    answer = unless_missing(lambda: client.head_bucket(Bucket=name), "404", "NoSuchBucket")
    return None if answer is None else {"Bucket": name, "BucketRegion": answer.get("BucketRegion")}


def _read_tags(client: Any, bucket: Data) -> dict[str, str]:
    answer = unless_missing(lambda: client.get_bucket_tagging(Bucket=bucket["Bucket"]), "NoSuchTagSet")
    return tag_map((answer or {}).get("TagSet"))


def _write_tags(client: Any, bucket: Data, tags: Mapping[str, str]) -> None:
    # S3 replaces the whole set, so the tags of others are sent along.
    every = {**_read_tags(client, bucket), **tags}
    client.put_bucket_tagging(Bucket=bucket["Bucket"], Tagging={"TagSet": tag_list(every)})


def _configuration(name: str, member: str, *missing: str, answer: str = "") -> Part:
    """Return the part that ``get_<name>`` reads and ``put_<name>`` writes.

    Parameters
    ----------
    member:
        Parameter of the put call.
    missing:
        Error codes that mean that there is no such configuration.
    answer:
        Member of the get call's answer; empty: it is `member` too, or the whole answer.
    """

    def read(client: Any, bucket: Data) -> Any:
        found = unless_missing(lambda: getattr(client, f"get_{name}")(Bucket=bucket["Bucket"]), *missing)
        return None if found is None else found.get(answer or member, found)

    def write(client: Any, bucket: Data, _before: Any, after: Any) -> None:
        getattr(client, f"put_{name}")(**{"Bucket": bucket["Bucket"], member: after})

    return Part(read, write, f"put_{name}", member)


KINDS: Mapping[str, Kind] = {
    "s3.bucket": Kind(
        label="S3 bucket",
        service="s3",
        find=_find,
        create="create_bucket",
        delete="delete_bucket",
        key="Bucket",
        identifier="Bucket",
        tags=Tags(create=lambda _tags: {}, read=_read_tags, write=_write_tags, late=True),
        reads={"CreateBucketConfiguration": lambda found: {"LocationConstraint": found["BucketRegion"]}},
        documents=("Policy",),
        parts={
            "PublicAccessBlockConfiguration": _configuration(
                "public_access_block", "PublicAccessBlockConfiguration", "NoSuchPublicAccessBlockConfiguration"
            ),
            "OwnershipControls": _configuration(
                "bucket_ownership_controls", "OwnershipControls", "OwnershipControlsNotFoundError"
            ),
            "ServerSideEncryptionConfiguration": _configuration(
                "bucket_encryption",
                "ServerSideEncryptionConfiguration",
                "ServerSideEncryptionConfigurationNotFoundError",
            ),
            "VersioningConfiguration": _configuration("bucket_versioning", "VersioningConfiguration"),
            "LifecycleConfiguration": _configuration(
                "bucket_lifecycle_configuration", "LifecycleConfiguration", "NoSuchLifecycleConfiguration"
            ),
            "Policy": _configuration("bucket_policy", "Policy", "NoSuchBucketPolicy"),
        },
        # S3 is still busy with what was asked a moment ago.
        retried=("OperationAborted",),
    ),
}
