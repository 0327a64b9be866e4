"""Progresus-ELB: certificates and listeners, compared by meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from checkop.balancer import access_logs, listeners
from checkop.balancer.certificate import _records, covers, find, split_chain
from checkop.errors import CheckopError

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


def test_a_forward_is_the_same_in_both_spellings_of_aws() -> None:
    wanted = listeners.wanted("arn:certificate", "policy", "arn:group")[443]
    answered = {
        **wanted,
        "DefaultActions": [
            {
                "Type": "forward",
                "TargetGroupArn": "arn:group",
                "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "arn:group", "Weight": 1}]},
            }
        ],
    }
    assert listeners.describe(answered) == listeners.describe(wanted)
    answered["DefaultActions"][0]["ForwardConfig"]["TargetGroups"].append({"TargetGroupArn": "arn:other"})
    assert listeners.describe(answered) != listeners.describe(wanted)


def test_a_redirect_elsewhere_differs() -> None:
    wanted = listeners.wanted("arn:certificate", "policy", "arn:group")[80]
    other = listeners.wanted("arn:certificate", "policy", "arn:group")[80]
    other["DefaultActions"][0]["RedirectConfig"]["StatusCode"] = "HTTP_302"
    assert listeners.describe(other) != listeners.describe(wanted)


def test_logs_are_written_by_account_in_old_regions_and_by_service_in_all() -> None:
    def principals(region: str) -> list[str]:
        statements = access_logs.statements("logs", "123456789012", region)
        assert {statement["Effect"] for statement in statements} == {"Allow"}
        return [next(iter(statement["Principal"])) for statement in statements]

    assert principals("us-east-1") == ["Service", "AWS"]
    assert principals("ap-southeast-7") == ["Service"]
