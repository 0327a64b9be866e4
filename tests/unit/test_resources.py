"""The resource table: what is refused before the first call, and what the engine does with a kind."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from checkop.errors import CheckopError
from checkop.reconcile import Plan, tag_list
from checkop.resources import engine
from checkop.resources.kind import Context
from checkop.resources.kinds import KINDS, kind_of

TAGS = {"checkop:environment": "production", "checkop:managed-by": "checkop-environment"}
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/AUTOChOp/1"
PROPERTIES: dict[str, Any] = {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "HealthCheckPath": "/health"}


class TargetGroups:
    """The clients, and an ELB that keeps one target group or none, and notes every call that changes something."""

    def __init__(self, found: dict[str, Any] | None = None, tags: dict[str, str] | None = None) -> None:
        self.elbv2 = self
        self.meta = boto3.client("elbv2", "us-east-1").meta
        self.found = {"TargetGroupArn": ARN, **found} if found is not None else None
        self.tags = {**TAGS, "Name": "AUTOChOp"} if tags is None else tags
        self.attributes = {"slow_start.duration_seconds": "0", "stickiness.enabled": "false"}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def describe_target_groups(self, **_: Any) -> dict[str, Any]:
        return {"TargetGroups": [self.found] if self.found else []}

    def describe_tags(self, **_: Any) -> dict[str, Any]:
        return {"TagDescriptions": [{"Tags": tag_list(self.tags)}]}

    def describe_target_group_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": tag_list(self.attributes)}

    def create_target_group(self, **call: Any) -> None:
        self.calls.append(("create", call))
        self.found = {"TargetGroupArn": ARN, **call}

    def __getattr__(self, name: str) -> Any:
        return lambda **call: self.calls.append((name, call))


def converge(clients: Any, check: bool = False, **properties: Any) -> Plan:
    plan = Plan(check=check)
    context = Context(clients, plan, TAGS, 0)
    engine.converge(context, kind_of("elbv2.target_group"), "AUTOChOp", {**PROPERTIES, **properties})
    return plan


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"HealthCheckPaht": "/"}, "HealthCheckPaht is not a property .*did you mean HealthCheckPath"),
        ({"Tags": ["a"]}, r"Tags is \['a'\], allowed is a mapping"),
        ({"Name": "other"}, "Name is not a property"),
        ({"Port": 70000}, "Port is 70000, allowed are 1 to 65535"),
        ({"Port": "eighty"}, "Port is 'eighty', allowed is a whole number of 1 to 65535"),
        ({"Port": True}, "Port is True, allowed is a whole number"),
        ({"Protocol": "HTPP"}, "Protocol is 'HTPP', allowed are HTTP"),
        ({"HealthCheckEnabled": "maybe"}, "HealthCheckEnabled is 'maybe', allowed are true and false"),
        ({"HealthCheckPath": ""}, "HealthCheckPath has 0 characters, allowed are 1 to 1024"),
        ({"Matcher": "200"}, "Matcher is '200', allowed is a mapping of HttpCode, GrpcCode"),
        ({"Matcher": {"Code": "200"}}, "Matcher.Code is not a property"),
        ({"Attributes": ["a"]}, r"Attributes is \['a'\], allowed is a mapping"),
        ({"VpcId": ["vpc-1"]}, r"VpcId is \['vpc-1'\], allowed is a string"),
    ],
)
@pytest.mark.parametrize("found", [None, PROPERTIES], ids=["missing", "existing"])
def test_what_aws_would_refuse_is_refused_before_the_first_call(
    found: dict[str, Any] | None, given: dict[str, Any], refusal: str
) -> None:
    clients = TargetGroups(found)
    with pytest.raises(CheckopError, match=f"Target group AUTOChOp: .*{refusal}"):
        converge(clients, **given)
    assert clients.calls == []


def test_all_faults_of_a_resource_are_told_at_once() -> None:
    with pytest.raises(CheckopError, match=r"Protocol is 'TPC'.*Port is 0"):
        converge(TargetGroups(), Port=0, Protocol="TPC")


def test_a_kind_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(CheckopError, match=r"elbv2\.targetgroup is not a kind.*elbv2\.target_group"):
        kind_of("elbv2.targetgroup")


def test_text_of_templates_is_sent_as_what_aws_wants() -> None:
    clients = TargetGroups()
    converge(clients, Port="8080", HealthCheckEnabled="False")
    ((_, call),) = clients.calls
    assert (call["Port"], call["HealthCheckEnabled"]) == (8080, False)
    assert call["Tags"] == tag_list({**TAGS, "Name": "AUTOChOp"})


def test_a_check_from_nothing_shows_everything_and_calls_nothing() -> None:
    clients = TargetGroups()
    plan = converge(clients, check=True, Attributes={"stickiness.enabled": "false"})
    (change,) = plan.changes
    assert change.before is None
    assert change.after == {
        **PROPERTIES,
        "Attributes": {"stickiness.enabled": "false"},
        "Tags": {**TAGS, "Name": "AUTOChOp"},
    }
    assert clients.calls == []


def test_only_the_properties_that_differ_are_sent_and_both_sides_are_shown() -> None:
    clients = TargetGroups({**PROPERTIES, "HealthCheckPath": "/", "UnhealthyThresholdCount": 9})
    (change,) = converge(clients).changes
    assert (change.before, change.after) == ({"HealthCheckPath": "/"}, {"HealthCheckPath": "/health"})
    assert clients.calls == [("modify_target_group", {"TargetGroupArn": ARN, "HealthCheckPath": "/health"})]


def test_what_is_as_wanted_is_left_alone() -> None:
    clients = TargetGroups({**PROPERTIES, "UnhealthyThresholdCount": 9})
    assert not converge(clients, Attributes={"stickiness.enabled": "false"}).changed
    assert clients.calls == []


def test_only_the_attributes_that_differ_are_sent() -> None:
    clients = TargetGroups(PROPERTIES)
    converge(clients, Attributes={"stickiness.enabled": "false", "slow_start.duration_seconds": 45})
    attributes = [{"Key": "slow_start.duration_seconds", "Value": "45"}]
    assert clients.calls == [("modify_target_group_attributes", {"TargetGroupArn": ARN, "Attributes": attributes})]


def test_an_attribute_that_aws_does_not_have_is_refused() -> None:
    clients = TargetGroups(PROPERTIES)
    with pytest.raises(CheckopError, match=r"Attributes has no slow_start\.seconds; AWS has slow_start\.duration"):
        converge(clients, Attributes={"slow_start.seconds": 45})
    assert clients.calls == []


def test_what_the_update_call_cannot_change_is_refused_with_the_way_on() -> None:
    clients = TargetGroups({**PROPERTIES, "Port": 8080, "HealthCheckPath": "/"})
    with pytest.raises(CheckopError, match=r"Port is 8080, wanted 80\. Give it another name"):
        converge(clients)
    assert clients.calls == []


@pytest.mark.parametrize(
    "tags", [{}, {"checkop:environment": "production"}, {**TAGS, "checkop:environment": "staging"}]
)
def test_a_resource_that_is_not_marked_as_ours_is_never_changed(tags: dict[str, str]) -> None:
    clients = TargetGroups({**PROPERTIES, "HealthCheckPath": "/"}, tags)
    with pytest.raises(CheckopError, match="Target group AUTOChOp"):
        converge(clients)
    assert clients.calls == []


def test_every_operation_that_a_row_names_exists() -> None:
    for name, kind in KINDS.items():
        client = boto3.client(kind.service, "us-east-1")
        operations = [kind.create, kind.update, kind.delete, *(part.operation for part in kind.parts.values())]
        unknown = [one for one in operations if one and one not in client.meta.method_to_api_mapping]
        assert not unknown, f"{name}: {unknown}"
