"""The SNS topic that alarms write to, and who reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.policies import normalise
from checkop.reconcile import present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sns import SNSClient

    from checkop.reconcile import Plan

PENDING = "PendingConfirmation"
DELETED = "Deleted"


def policy(arn: str, account_id: str) -> dict[str, Any]:
    """Build the topic's policy: the alarms of this account publish, and over TLS only."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "PublishAlarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
            },
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def reconcile(sns: SNSClient, plan: Plan, arn: str, subscribers: Sequence[str], tags: Mapping[str, str]) -> None:
    """Make the topic with its policy and exactly the given e-mail subscriptions.

    A subscription that nobody has confirmed yet is left to wait for its confirmation.

    Parameters
    ----------
    sns:
        The SNS client.
    plan:
        Records and applies.
    arn:
        ARN of the topic; it holds region, account and name.
    subscribers:
        E-mail addresses.
    tags:
        Tags of ownership.
    """
    account_id, name = arn.split(":")[4:6]
    resource = f"SNS topic {name}"
    attributes = _attributes(sns, arn)
    if attributes is None:
        plan.step(resource, None, {"tags": dict(tags)}, lambda: sns.create_topic(Name=name, Tags=tag_list(tags)))
    else:
        current_tags = tag_map(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
        ownership.require(plan, resource, current_tags, tags)
        plan.step(
            f"{resource}: tags",
            present_tags(current_tags, tags),
            dict(tags),
            lambda: sns.tag_resource(ResourceArn=arn, Tags=tag_list(tags)),
        )
    document = policy(arn, account_id)
    plan.step(
        f"{resource}: policy",
        normalise((attributes or {}).get("Policy")),
        normalise(document),
        lambda: sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(document)),
    )
    _subscriptions(sns, plan, arn, resource, subscribers)


def _attributes(sns: SNSClient, arn: str) -> dict[str, str] | None:
    try:
        return sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NotFound", "NotFoundException"):
            return None
        raise


def _subscriptions(sns: SNSClient, plan: Plan, arn: str, resource: str, subscribers: Sequence[str]) -> None:
    current: dict[str, str] = {}
    if _attributes(sns, arn) is not None:
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        current = {
            item["Endpoint"]: item["SubscriptionArn"]
            for page in pages
            for item in page["Subscriptions"]
            # SNS lists who has unsubscribed for some days more.
            if item["SubscriptionArn"] != DELETED
        }
    for address in subscribers:
        plan.step(
            f"{resource}: subscription of {address}",
            {"endpoint": address} if address in current else None,
            {"endpoint": address},
            lambda address=address: sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address),  # type: ignore[misc]
        )
    for address, subscription in current.items():
        # SNS forgets an unconfirmed one by itself after three days, and cannot be told to before.
        if address not in subscribers and subscription != PENDING:
            plan.step(
                f"{resource}: subscription of {address}",
                {"endpoint": address},
                None,
                lambda subscription=subscription: sns.unsubscribe(SubscriptionArn=subscription),  # type: ignore[misc]
            )
