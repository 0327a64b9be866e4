"""An S3 bucket as every one of ours is: private, encrypted, spoken to over TLS only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.policies import normalise
from checkop.reconcile import present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_s3 import S3Client

    from checkop.reconcile import Plan

LIFECYCLE_RULE = "clean-up"
ABORT_UPLOADS_DAYS = 7


@dataclass(frozen=True)
class Bucket:
    """The bucket as wanted.

    Parameters
    ----------
    name:
        Name, unique in all of AWS.
    region:
        Region of the bucket.
    retention_days:
        Days until an object expires; 0 keeps all for ever.
    versioning:
        Whether what is overwritten or deleted can be had back.
    tags:
        Tags of ownership.
    statements:
        Statements of the bucket policy that let others in.
    """

    name: str
    region: str
    retention_days: int
    versioning: bool
    tags: Mapping[str, str]
    statements: Sequence[Mapping[str, Any]] = ()

    @property
    def all_tags(self) -> dict[str, str]:
        """Tags of ownership and the name."""
        return {**self.tags, "Name": self.name}


def policy(wanted: Bucket) -> dict[str, Any]:
    """Build the bucket policy: nobody speaks plain HTTP, and whoever the statements let in."""
    arn = f"arn:aws:s3:::{wanted.name}"
    only_tls = {
        "Sid": "DenyWithoutTls",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [only_tls, *wanted.statements]}


def readable_from(vpc: str, bucket: str) -> dict[str, Any]:
    """Return the statement that lets everything in a VPC read a bucket without credentials, as yum does.

    Requests carry ``aws:SourceVpc`` when they come through the gateway endpoint of S3. A policy that names one is not
    public in the sense of the public access block (Amazon S3 user guide, "The meaning of public").
    """
    return {
        "Sid": "ReadFromVpc",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"aws:SourceVpc": vpc}},
    }


def reconcile(s3: S3Client, plan: Plan, wanted: Bucket) -> None:
    """Make the bucket and its settings."""
    resource = f"S3 bucket {wanted.name}"
    name = wanted.name
    exists = _read(lambda: s3.head_bucket(Bucket=name), "404", "NoSuchBucket") is not None
    current_tags: dict[str, str] = {}
    if exists:
        current_tags = tag_map((_read(lambda: s3.get_bucket_tagging(Bucket=name), "NoSuchTagSet") or {}).get("TagSet"))
        # A run that ended between creation and tags left none; the name, with account and environment, is ours alone.
        if current_tags:
            ownership.require(plan, resource, current_tags, wanted.tags)
    else:
        # us-east-1 is the one region that S3 does not take as a location.
        location: dict[str, Any] = (
            {} if wanted.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": wanted.region}}
        )
        plan.step(resource, None, {"name": name}, lambda: s3.create_bucket(Bucket=name, **location))
    plan.step(
        f"{resource}: tags",
        present_tags(current_tags, wanted.all_tags),
        wanted.all_tags,
        # S3 replaces the whole set, so the tags of others are sent along.
        lambda: s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list({**current_tags, **wanted.all_tags})}),
    )
    _access(s3, plan, wanted, resource, exists=exists)
    _encryption(s3, plan, name, resource, exists=exists)
    if wanted.versioning:
        # Never switched off: what is there would lose its history.
        plan.step(
            f"{resource}: versioning",
            {"status": s3.get_bucket_versioning(Bucket=name).get("Status") if exists else None},
            {"status": "Enabled"},
            lambda: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"}),
        )
    _lifecycle(s3, plan, wanted, resource, exists=exists)
    document = policy(wanted)
    current = _read(lambda: s3.get_bucket_policy(Bucket=name), "NoSuchBucketPolicy") if exists else None
    plan.step(
        f"{resource}: policy",
        normalise((current or {}).get("Policy")),
        normalise(document),
        lambda: s3.put_bucket_policy(Bucket=name, Policy=json.dumps(document)),
    )


def _access(s3: S3Client, plan: Plan, wanted: Bucket, resource: str, *, exists: bool) -> None:
    name = wanted.name
    blocked = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    current = (
        _read(lambda: s3.get_public_access_block(Bucket=name), "NoSuchPublicAccessBlockConfiguration")
        if exists
        else None
    )
    plan.step(
        f"{resource}: public access block",
        dict((current or {}).get("PublicAccessBlockConfiguration", {})),
        blocked,
        lambda: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked),  # type: ignore[arg-type]
    )
    controls = (
        _read(lambda: s3.get_bucket_ownership_controls(Bucket=name), "OwnershipControlsNotFoundError")
        if exists
        else None
    )
    rules = (controls or {}).get("OwnershipControls", {}).get("Rules", [])
    plan.step(
        f"{resource}: object ownership",
        {"ownership": rules[0]["ObjectOwnership"] if rules else None},
        {"ownership": "BucketOwnerEnforced"},
        lambda: s3.put_bucket_ownership_controls(
            Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        ),
    )


def _encryption(s3: S3Client, plan: Plan, name: str, resource: str, *, exists: bool) -> None:
    current = (
        _read(lambda: s3.get_bucket_encryption(Bucket=name), "ServerSideEncryptionConfigurationNotFoundError")
        if exists
        else None
    )
    rules = (current or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    algorithm = rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") if rules else None
    plan.step(
        f"{resource}: encryption",
        {"algorithm": algorithm},
        # S3's own keys: Elastic Load Balancing cannot write to a bucket with keys of KMS.
        {"algorithm": "AES256"},
        lambda: s3.put_bucket_encryption(
            Bucket=name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        ),
    )


def _lifecycle(s3: S3Client, plan: Plan, wanted: Bucket, resource: str, *, exists: bool) -> None:
    current = (
        _read(lambda: s3.get_bucket_lifecycle_configuration(Bucket=wanted.name), "NoSuchLifecycleConfiguration")
        if exists
        else None
    )
    rule: Any = {
        "ID": LIFECYCLE_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_UPLOADS_DAYS},
    }
    if wanted.retention_days:
        rule["Expiration"] = {"Days": wanted.retention_days}
    plan.step(
        f"{resource}: lifecycle",
        {
            str(rule.get("ID")): {
                "status": rule["Status"],
                "expire_days": rule.get("Expiration", {}).get("Days"),
                "abort_uploads_days": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
            }
            for rule in (current or {}).get("Rules", [])
        },
        {
            LIFECYCLE_RULE: {
                "status": "Enabled",
                "expire_days": wanted.retention_days or None,
                "abort_uploads_days": ABORT_UPLOADS_DAYS,
            }
        },
        lambda: s3.put_bucket_lifecycle_configuration(Bucket=wanted.name, LifecycleConfiguration={"Rules": [rule]}),
    )


def _read(call: Callable[[], Any], *missing: str) -> dict[str, Any] | None:
    """Return the answer of a call; None where S3 says that there is no such thing."""
    try:
        return dict(call())
    except ClientError as error:
        if error.response["Error"]["Code"] in missing:
            return None
        raise
