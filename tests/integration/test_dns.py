"""The public zone with its eight record sets, and zones and records that are somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

ALIASES = ("checkop.co.", "www.checkop.co.", "api.checkop.co.")


@pytest.fixture(scope="module")
def route53(environment: Any) -> Any:
    return environment.client("route53")


@pytest.fixture(scope="module")
def zone(route53: Any) -> str:
    found = [z for z in route53.list_hosted_zones()["HostedZones"] if z["Name"] == "checkop.co."]
    assert len(found) == 1
    assert found[0]["Config"]["PrivateZone"] is False
    return str(found[0]["Id"].rpartition("/")[2])


def records(route53: Any, zone: str) -> dict[tuple[str, str], Any]:
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    return {(r["Name"], r["Type"]): r for page in pages for r in page["ResourceRecordSets"]}


def change(route53: Any, zone: str, action: str, record: dict[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def text(name: str, value: str, kind: str = "TXT") -> dict[str, Any]:
    return {"Name": name, "Type": kind, "TTL": 60, "ResourceRecords": [{"Value": value}]}


def test_the_zone_has_its_eight_record_sets(environment: Any, route53: Any, zone: str) -> None:
    found = records(route53, zone)
    balancer = environment.client("elbv2").describe_load_balancers(Names=["Progresus-ELB"])["LoadBalancers"][0]
    assert set(found) == {
        *((name, "A") for name in ALIASES),
        *(("checkop.co.", kind) for kind in ("NS", "SOA", "MX", "TXT", "CAA")),
    }
    for name in ALIASES:
        alias = found[name, "A"]["AliasTarget"]
        assert alias["HostedZoneId"] == balancer["CanonicalHostedZoneId"]
        assert alias["DNSName"].rstrip(".") == f"dualstack.{balancer['DNSName'].lower()}"
    values = {key: [v["Value"] for v in r["ResourceRecords"]] for key, r in found.items() if "ResourceRecords" in r}
    assert values["checkop.co.", "MX"] == ["10 mail.checkop.co."]
    assert values["checkop.co.", "TXT"] == ['"v=spf1 mx -all"']
    assert values["checkop.co.", "CAA"] == ['0 issue "amazon.com"']


def test_the_zone_is_marked_as_the_environments(route53: Any, zone: str) -> None:
    answer = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
    tags = {tag["Key"]: tag["Value"] for tag in answer["ResourceTagSet"]["Tags"]}
    assert tags["checkop:environment"] == "rehearsal"
    assert tags["checkop:managed-by"] == "checkop-environment"


def test_drift_is_told_and_put_right(environment: Any, route53: Any, zone: str) -> None:
    change(route53, zone, "UPSERT", text("checkop.co.", '"v=spf1 +all"'))
    change(route53, zone, "DELETE", records(route53, zone)["checkop.co.", "MX"])
    change(route53, zone, "UPSERT", text("www.checkop.co.", "192.0.2.1", "A"))

    told = environment.converge("dns", "--check", "--diff").output
    assert "-- '\"v=spf1 +all\"'" in told
    assert "+- 10 mail.checkop.co." in told
    assert "-- 192.0.2.1" in told
    assert environment.converge("dns").changed == 1
    assert environment.converge("dns", "--check").changed == 0
    test_the_zone_has_its_eight_record_sets(environment, route53, zone)


def test_other_records_stay_unless_told_and_acms_always_stay(environment: Any, route53: Any, zone: str) -> None:
    validation = text("_x1.checkop.co.", "_x2.acm-validations.aws.", "CNAME")
    change(route53, zone, "CREATE", validation)
    change(route53, zone, "CREATE", text("old.checkop.co.", '"left behind"'))

    assert environment.converge("dns").changed == 0
    assert ("old.checkop.co.", "TXT") in records(route53, zone)
    assert environment.converge("dns", extra_vars={"dns_purge": True}).changed == 1
    found = records(route53, zone)
    assert ("old.checkop.co.", "TXT") not in found
    assert ("_x1.checkop.co.", "CNAME") in found
    change(route53, zone, "DELETE", validation)


@pytest.fixture
def foreign_zone(route53: Any) -> Iterator[str]:
    made = route53.create_hosted_zone(Name="elsewhere.example", CallerReference="by hand")["HostedZone"]
    identifier = made["Id"].rpartition("/")[2]
    yield identifier
    for (_, kind), record in records(route53, identifier).items():
        if kind not in ("NS", "SOA"):
            change(route53, identifier, "DELETE", record)
    route53.delete_hosted_zone(Id=identifier)


def test_a_zone_of_somebody_else_is_taken_over_only_by_its_id(
    environment: Any, route53: Any, foreign_zone: str
) -> None:
    names = {"dns_zone": "elsewhere.example"}
    run = environment.run("dns", extra_vars=names)
    assert run.failed == 1
    assert f"exists as {foreign_zone}, not made by this toolkit" in run.output
    assert "Set dns_zone_id to take it over" in run.output
    assert environment.converge("dns", extra_vars={**names, "dns_zone_id": foreign_zone}).changed == 1
    assert ("www.elsewhere.example.", "A") in records(route53, foreign_zone)
    run = environment.run("dns", extra_vars={**names, "dns_zone_id": "Z0NOTHERE"})
    assert "dns_zone_id is Z0NOTHERE, but the public zones of elsewhere.example are" in run.output


def test_without_a_balancer_the_way_to_one_is_told(environment: Any) -> None:
    run = environment.run("dns", extra_vars={"balancer_name": "Missing-ELB"})
    assert run.failed == 1
    assert "aliases to Missing-ELB, and there is no such load balancer. Run playbooks/balancer.yml" in run.output
