"""Progresus-ELB: certificates and listeners, compared by meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from checkop.errors import CheckopError
from checkop.reconcile import Plan, tag_list
from checkop.resources.certificate import _records, covers, find, split_chain
from checkop.resources.engine import converge
from checkop.resources.kind import Context
from checkop.resources.kinds import kind_of

TAGS = {"checkop:environment": "production", "checkop:managed-by": "checkop-environment"}

ONE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
TWO = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
THREE = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"


class Certificates:
    """An ACM of two certificates for the same names, whose validation records come one by one."""

    def __init__(self, *certificates: dict[str, Any]) -> None:
        self.certificates = {str(number): certificate for number, certificate in enumerate(certificates)}

    def get_paginator(self, _name: str) -> Certificates:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        names = [{"CertificateArn": arn, "DomainName": "checkop.co"} for arn in self.certificates]
        return [{"CertificateSummaryList": names}]

    def list_tags_for_certificate(self, **_: str) -> dict[str, Any]:
        return {"Tags": [{"Key": "checkop:environment", "Value": "staging"}]}

    def describe_certificate(self, **asked: str) -> dict[str, Any]:
        found = self.certificates[asked["CertificateArn"]]
        return {"Certificate": {"SubjectAlternativeNames": ["checkop.co"], **found}}


def test_an_issued_certificate_comes_before_one_that_may_never_be() -> None:
    issued = {"Status": "ISSUED", "NotAfter": datetime(2027, 1, 1, tzinfo=UTC)}
    found = find(Certificates({"Status": "PENDING_VALIDATION"}, issued), ["checkop.co"], "staging")
    assert [certificate["Status"] for certificate in found] == ["ISSUED", "PENDING_VALIDATION"]


def test_validation_begins_when_every_name_has_its_record() -> None:
    record = {"Name": "_a.checkop.co", "Type": "CNAME", "Value": "b"}
    some = Certificates({"DomainValidationOptions": [{"ResourceRecord": record}, {}]})
    assert _records(some, "0") == []
    every = Certificates({"DomainValidationOptions": [{"ResourceRecord": record}]})
    assert _records(every, "0") == [record]


@pytest.mark.parametrize(
    ("names", "covered"),
    [
        (["checkop.co", "www.checkop.co", "api.checkop.co"], True),
        (["checkop.co", "*.checkop.co"], True),
        (["*.checkop.co"], False),
        (["checkop.co", "www.checkop.co"], False),
        (["*.co", "*.checkop.co"], True),
        ([], False),
    ],
)
def test_a_wildcard_stands_for_one_label(names: list[str], covered: bool) -> None:
    assert covers(names, ["checkop.co", "www.checkop.co", "api.checkop.co"]) is covered


@pytest.mark.parametrize(
    ("pem", "parts"),
    [(ONE, (ONE, "")), (ONE + TWO + THREE, (ONE, TWO + THREE)), ("\n" + ONE + "\n\n" + TWO + "\n", (ONE, TWO))],
)
def test_the_chain_follows_the_certificate(pem: str, parts: tuple[str, str]) -> None:
    assert split_chain(pem) == parts


def test_a_file_without_a_certificate_is_refused() -> None:
    with pytest.raises(CheckopError, match="balancer_certificate_file holds no PEM certificate"):
        split_chain("-----BEGIN PRIVATE KEY-----\n")


REDIRECT = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
FORWARD = {"Type": "forward", "TargetGroupArn": "arn:group"}
GROUPS = [{"TargetGroupArn": "arn:group", "Weight": 1}]


class Listeners:
    """The clients, and an ELB of one balancer whose one listener has the actions given; it notes what is modified."""

    def __init__(self, *actions: dict[str, Any]) -> None:
        self.elbv2 = self
        self.meta = boto3.client("elbv2", "us-east-1").meta
        self.actions = list(actions)
        self.modified: list[dict[str, Any]] = []

    def get_paginator(self, _name: str) -> Listeners:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        listener = {"ListenerArn": "arn:listener", "LoadBalancerArn": "arn:balancer", "Port": 443}
        return [{"Listeners": [{**listener, "DefaultActions": self.actions}]}]

    def describe_tags(self, **_: Any) -> dict[str, Any]:
        return {"TagDescriptions": [{"Tags": tag_list(TAGS)}]}

    def modify_listener(self, **call: Any) -> None:
        self.modified.append(call)


@pytest.mark.parametrize(
    ("wanted", "found", "differs"),
    [
        (FORWARD, {**FORWARD, "ForwardConfig": {"TargetGroups": GROUPS}}, False),
        (FORWARD, {"Type": "forward", "ForwardConfig": {"TargetGroups": GROUPS}}, False),
        (FORWARD, {**FORWARD, "ForwardConfig": {"TargetGroups": [*GROUPS, {"TargetGroupArn": "arn:other"}]}}, True),
        (FORWARD, {**FORWARD, "TargetGroupArn": "arn:other"}, True),
        (REDIRECT, {**REDIRECT, "Order": 1}, False),
        (REDIRECT, {**REDIRECT, "RedirectConfig": {**REDIRECT["RedirectConfig"], "StatusCode": "HTTP_302"}}, True),
    ],
)
def test_a_listener_is_modified_when_its_actions_mean_something_else(
    wanted: dict[str, Any], found: dict[str, Any], differs: bool
) -> None:
    clients: Any = Listeners(found)
    properties = {"LoadBalancerArn": "arn:balancer", "Port": 443, "DefaultActions": [wanted]}
    converge(Context(clients, Plan(check=False), TAGS), kind_of("elbv2.listener"), "443", properties)
    assert clients.modified == ([{"ListenerArn": "arn:listener", "DefaultActions": [wanted]}] if differs else [])
