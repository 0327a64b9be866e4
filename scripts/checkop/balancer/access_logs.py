"""Who may write a balancer's access logs to a bucket."""

from __future__ import annotations

from typing import Any

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


def statements(bucket: str, account_id: str, region: str) -> list[dict[str, Any]]:
    """Return the statements of a bucket policy that let Elastic Load Balancing write an account's access logs.

    Parameters
    ----------
    bucket:
        Name of the bucket.
    account_id:
        Twelve digits: whose balancers' logs may be written.
    region:
        Region of bucket and balancers; Elastic Load Balancing wants them to be the same.
    """
    logs = f"arn:aws:s3:::{bucket}/AWSLogs/{account_id}/*"
    balancers = f"arn:aws:elasticloadbalancing:{region}:{account_id}:loadbalancer/*"
    written: list[dict[str, Any]] = [
        {
            "Sid": "WriteAccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": logs,
            "Condition": {"ArnLike": {"aws:SourceArn": balancers}},
        }
    ]
    if region in LOG_DELIVERY_ACCOUNTS:
        written.append(
            {
                "Sid": "WriteAccessLogsByAccount",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{LOG_DELIVERY_ACCOUNTS[region]}:root"},
                "Action": "s3:PutObject",
                "Resource": logs,
            }
        )
    return written
