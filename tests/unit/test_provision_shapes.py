"""What is compared with AWS's answers: record sets, launch template data, security group rules, keys."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from checkop.provision.hosted_zone import Record, canonical, quote_text, record_set
from checkop.provision.security_groups import Rule
from checkop.reconcile import Plan, missing_tags, render, retry
from checkop.resources.kinds.ec2 import key_material, settings

LAUNCH_TEMPLATE: dict[str, Any] = {
    "InstanceType": "t3.xlarge",
    "SecurityGroupIds": ["sg-1"],
    "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50, "Encrypted": True}}],
    "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required"},
    "TagSpecifications": [
        {"ResourceType": kind, "Tags": [{"Key": "Name", "Value": "AUTOChOp"}, {"Key": "checkop:group", "Value": "a"}]}
        for kind in ("instance", "volume")
    ],
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("v=spf1 mx -all", '"v=spf1 mx -all"'),
        ('"already"', '"already"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("", '""'),
        ("a" * 300, '"' + "a" * 255 + '" "' + "a" * 45 + '"'),
    ],
)
def test_text_records_are_quoted_in_strings_of_at_most_255_octets(value: str, expected: str) -> None:
    assert quote_text(value) == expected


def test_names_are_compared_as_route_53_writes_them() -> None:
    assert canonical("Checkop.co") == "checkop.co."
    assert canonical("*.checkop.co.") == "\\052.checkop.co."


def test_record_sets_have_values_or_an_alias() -> None:
    record = Record("checkop.co", "MX", ttl=60, values=("20 b.checkop.co.", "10 a.checkop.co."))
    assert record_set(record, None) == {
        "Name": "checkop.co.",
        "Type": "MX",
        "TTL": 60,
        "ResourceRecords": [{"Value": "10 a.checkop.co."}, {"Value": "20 b.checkop.co."}],
    }
    alias = record_set(Record("checkop.co", "A", alias="balancer"), {"DNSName": "elb."})
    assert alias == {"Name": "checkop.co.", "Type": "A", "AliasTarget": {"DNSName": "elb."}}


def test_template_data_equals_aws_answer_though_aws_adds_to_it() -> None:
    wanted = LAUNCH_TEMPLATE
    answer = {
        "ImageId": "ami-1",
        **wanted,
        "MetadataOptions": {**wanted["MetadataOptions"], "State": "applied", "HttpProtocolIpv6": "disabled"},
        "TagSpecifications": [{**spec, "Tags": list(reversed(spec["Tags"]))} for spec in wanted["TagSpecifications"]],
        "NetworkInterfaces": [],
    }
    before, after = settings(answer, {**wanted, "ImageId": "ami-2"})
    assert before == after


@pytest.mark.parametrize(
    "change",
    [
        {"InstanceType": "t3.large"},
        {"UserData": "IyEvYmluL3NoCg=="},
        {"MetadataOptions": {"HttpTokens": "optional"}},
        {"SecurityGroupIds": ["sg-1", "sg-2"]},
        {"BlockDeviceMappings": []},
    ],
)
def test_any_other_difference_of_template_data_shows(change: dict[str, object]) -> None:
    before, after = settings({**LAUNCH_TEMPLATE, **change}, LAUNCH_TEMPLATE)
    assert before != after


@pytest.mark.parametrize(
    ("peer", "key", "entry"),
    [
        ("sg-1", "UserIdGroupPairs", {"GroupId": "sg-1"}),
        ("10.20.0.0/16", "IpRanges", {"CidrIp": "10.20.0.0/16"}),
        ("::/0", "Ipv6Ranges", {"CidrIpv6": "::/0"}),
        ("pl-1", "PrefixListIds", {"PrefixListId": "pl-1"}),
    ],
)
def test_rules_name_their_peer_as_the_api_wants_it(peer: str, key: str, entry: dict[str, str]) -> None:
    permission = Rule("tcp", 80, 81, peer).permission("why")
    assert permission == {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 81,
        key: [{**entry, "Description": "why"}],
    }
    assert "FromPort" not in Rule("-1", -1, -1, peer).permission()
    assert Rule("icmp", 8, -1, peer).permission()["FromPort"] == 8


def test_a_key_is_compared_without_its_comment() -> None:
    assert key_material("ssh-ed25519 AAAA me@here\n") == key_material("ssh-ed25519 AAAA checkop")


def test_check_mode_tells_and_does_not_do() -> None:
    done: list[str] = []
    plan = Plan(check=True)
    identifier = plan.create("thing", {"a": 1}, lambda: done.append("made") or "id-1")  # type: ignore[func-returns-value]
    assert plan.update("other", 1, 2, lambda: done.append("changed"))
    plan.delete("third", {"b": 2}, lambda: done.append("removed"))
    assert not plan.update("same", 1, 1, lambda: done.append("never"))
    assert done == []
    assert plan.changed
    assert not plan.exists(identifier)
    assert [(change["before"], change["after"]) for change in plan.diff()] == [
        ("", "a: 1\n"),
        ("1\n", "2\n"),
        ("b: 2\n", ""),
    ]


def test_a_run_does_what_check_mode_told() -> None:
    done: list[str] = []
    plan = Plan(check=False)
    assert plan.create("thing", None, lambda: "id-1") == "id-1"
    plan.update("other", 1, 2, lambda: done.append("changed"))
    plan.delete("third", 3, lambda: done.append("removed"))
    assert done == ["changed", "removed"]


def test_tags_of_others_are_left_alone() -> None:
    assert missing_tags({"cost": "1", "Name": "old"}, {"Name": "new", "x": "y"}) == {"Name": "new", "x": "y"}
    assert render(None) == ""


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "RunInstances")


def test_a_call_is_repeated_while_aws_has_not_heard_of_what_is_new() -> None:
    answers: list[Any] = [refused("InvalidParameterValue", "Invalid IAM Instance Profile name"), "i-1"]

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert retry(call, {"InvalidParameterValue"}, about="instance profile", sleep=lambda _: None) == "i-1"


@pytest.mark.parametrize(
    ("code", "message"),
    [("InvalidParameterValue", "Value (t9.huge) is invalid"), ("UnauthorizedOperation", "instance profile")],
)
def test_another_refusal_is_told_at_once(code: str, message: str) -> None:
    pauses: list[float] = []

    def call() -> str:
        raise refused(code, message)

    with pytest.raises(ClientError):
        retry(call, {"InvalidParameterValue"}, about="instance profile", sleep=pauses.append)
    assert pauses == []
