"""The resource policy of the file system: TLS for all, and mounts by known roles through the access point only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def document(account_id: str, file_system_arn: str, access_point_arn: str, role_names: Sequence[str]) -> dict[str, Any]:
    """Build the file system policy.

    Follows "Using resource-based policies to control file system data access" of the EFS user guide. The roles are
    named in a condition and not as principals, because EFS refuses a principal that does not exist yet, and storage
    is made before the fleet. The condition on mount targets keeps the policy from counting as public.

    Parameters
    ----------
    account_id:
        Twelve digits.
    file_system_arn:
        ARN of the file system; EFS may write it where a policy says ``*``.
    access_point_arn:
        ARN of the one access point through which clients mount.
    role_names:
        IAM roles of the hosts that mount the file system.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Resource": file_system_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "MountThroughAccessPoint",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
                "Resource": file_system_arn,
                "Condition": {
                    "ArnEquals": {
                        "aws:PrincipalArn": [f"arn:aws:iam::{account_id}:role/{name}" for name in role_names]
                    },
                    "StringEquals": {"elasticfilesystem:AccessPointArn": access_point_arn},
                    "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                },
            },
        ],
    }
