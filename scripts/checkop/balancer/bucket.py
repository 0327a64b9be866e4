"""The S3 bucket of the balancer's access logs: private, encrypted, written by Elastic Load Balancing only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.policies import normalise
from checkop.reconcile import present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_s3 import S3Client

    from checkop.reconcile import Plan

# Elastic Load Balancing's own accounts, which write access logs in regions older than August 2022 ("Enable access
# logs for your Application Load Balancer", user guide). Newer regions know the service principal only.
LOG_DELIVERY_ACCOUNTS = {
    "us-east-1": "127311923021",
    "us-east-2": "033677994240",
    "us-west-1": "027434742980",
    "us-west-2": "797873946194",
    "sa-east-1": "507241528517",
    "ca-central-1": "985666609251",
    "eu-west-1": "156460612806",
    "eu-central-1": "054676820928",
}
LIFECYCLE_RULE = "expire-access-logs"
ABORT_UPLOADS_DAYS = 7


@dataclass(frozen=True)
class Bucket:
    """The bucket as wanted.

    Parameters
    ----------
    name:
        Name, unique in all of AWS.
    account_id:
        Twelve digits: whose balancer's logs may be written.
    region:
        Region of bucket and balancer; Elastic Load Balancing wants them to be the same.
    retention_days:
        Days until a log expires.
    tags:
        Tags of ownership.
    """

    name: str
    account_id: str
    region: str
    retention_days: int
    tags: Mapping[str, str]

    @property
    def all_tags(self) -> dict[str, str]:
        """Tags of ownership and the name."""
        return {**self.tags, "Name": self.name}


def policy(wanted: Bucket) -> dict[str, Any]:
    """Build the bucket policy: Elastic Load Balancing writes this account's logs, and nobody speaks plain HTTP."""
    arn = f"arn:aws:s3:::{wanted.name}"
    logs = f"{arn}/AWSLogs/{wanted.account_id}/*"
    statements: list[dict[str, Any]] = [
        {
            "Sid": "DenyWithoutTls",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "WriteAccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": logs,
            "Condition": {
                "ArnLike": {
                    "aws:SourceArn": f"arn:aws:elasticloadbalancing:{wanted.region}:{wanted.account_id}:loadbalancer/*"
                }
            },
        },
    ]
    if wanted.region in LOG_DELIVERY_ACCOUNTS:
        statements.append(
            {
                "Sid": "WriteAccessLogsByAccount",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{LOG_DELIVERY_ACCOUNTS[wanted.region]}:root"},
                "Action": "s3:PutObject",
                "Resource": logs,
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


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
        # Elastic Load Balancing can write to buckets with S3's own keys only, not with KMS.
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
                "expire_days": wanted.retention_days,
                "abort_uploads_days": ABORT_UPLOADS_DAYS,
            }
        },
        lambda: s3.put_bucket_lifecycle_configuration(
            Bucket=wanted.name,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": LIFECYCLE_RULE,
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "Expiration": {"Days": wanted.retention_days},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_UPLOADS_DAYS},
                    }
                ]
            },
        ),
    )


def _read(call: Callable[[], Any], *missing: str) -> dict[str, Any] | None:
    """Return the answer of a call; None where S3 says that there is no such thing."""
    try:
        return dict(call())
    except ClientError as error:
        if error.response["Error"]["Code"] in missing:
            return None
        raise
