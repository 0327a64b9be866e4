"""The public hosted zone and its record sets (Amazon Route 53 Developer Guide)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.reconcile import missing_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_route53 import Route53Client

    from checkop.reconcile import Plan

ENVIRONMENT_TAG = "checkop:environment"
# Route 53 makes these two with the zone; they are checked, never written.
OWN_TYPES = ("NS", "SOA")
# A character string of a TXT record holds at most this many octets (RFC 1035).
TXT_OCTETS = 255
UNKNOWN_ALIAS = "(the balancer's address)"


@dataclass(frozen=True)
class Record:
    """A record set as the inventory states it.

    Parameters
    ----------
    alias:
        ``balancer`` for an alias to the load balancer, else empty.
    ttl:
        Seconds; None for an alias.
    values:
        As written in a zone file; a TXT value may come without its quotes.
    """

    name: str
    type: str
    alias: str = ""
    ttl: int | None = None
    values: tuple[str, ...] = ()


def quote_text(value: str) -> str:
    """Give a TXT value as Route 53 wants it: quoted strings of at most 255 octets each."""
    if value.startswith('"'):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    parts = [escaped[start : start + TXT_OCTETS] for start in range(0, max(len(escaped), 1), TXT_OCTETS)]
    return " ".join(f'"{part}"' for part in parts)


def record_set(record: Record, target: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give a record in the shape of ResourceRecordSet.

    Parameters
    ----------
    target:
        AliasTarget of an alias record.
    """
    name = canonical(record.name)
    if record.alias:
        return {"Name": name, "Type": record.type, "AliasTarget": dict(target or {})}
    values = [quote_text(value) if record.type == "TXT" else value for value in record.values]
    return {
        "Name": name,
        "Type": record.type,
        "TTL": record.ttl,
        "ResourceRecords": [{"Value": value} for value in sorted(values)],
    }


def canonical(name: str) -> str:
    """Write a name as Route 53 gives it: lower case, with the final dot, ``*`` as an escape."""
    return name.lower().rstrip(".").replace("*", "\\052") + "."


def balancer_target(elbv2: ElasticLoadBalancingv2Client, name: str, *, check: bool) -> dict[str, Any]:
    """Give the AliasTarget of the load balancer (DescribeLoadBalancers).

    Raises
    ------
    CheckopError
        It does not exist (outside check mode).
    """
    try:
        balancer = elbv2.describe_load_balancers(Names=[name])["LoadBalancers"][0]
    except elbv2.exceptions.LoadBalancerNotFoundException:
        if check:
            return {"DNSName": UNKNOWN_ALIAS}
        raise CheckopError(
            f"dns_records: records are aliases to {name}, and there is no such load balancer. Run "
            "playbooks/balancer.yml first."
        ) from None
    return {
        "HostedZoneId": balancer["CanonicalHostedZoneId"],
        # Route 53 keeps names in lower case, and finds both address families behind `dualstack.`.
        "DNSName": f"dualstack.{balancer['DNSName'].lower()}.",
        "EvaluateTargetHealth": False,
    }


def find_zone(route53: Route53Client, name: str, tags: Mapping[str, str], adopt: str = "") -> str | None:
    """Find the environment's public hosted zone by name and tag, or None.

    Parameters
    ----------
    adopt:
        Id of a zone that this toolkit did not make and is to take over.

    Raises
    ------
    CheckopError
        A zone of that name exists without the environment's tag: nobody asked to take it over.
    """
    wanted = canonical(name)
    pages = route53.get_paginator("list_hosted_zones").paginate()
    zones = [
        zone["Id"].removeprefix("/hostedzone/")
        for page in pages
        for zone in page["HostedZones"]
        if zone["Name"] == wanted and not zone.get("Config", {}).get("PrivateZone")
    ]
    if adopt:
        if adopt in zones:
            return adopt
        raise CheckopError(
            f"dns_zone_id is {adopt}, but the public zones of {name} are {', '.join(zones) or 'none'}. Correct the id, "
            "or leave it empty to make a zone."
        )
    environments = {zone: _environment(route53, zone) for zone in zones}
    own = [zone for zone, environment in environments.items() if environment == tags[ENVIRONMENT_TAG]]
    if len(own) > 1:
        raise CheckopError(f"dns_zone: {', '.join(own)} are all zones of {name}. Name the right one in dns_zone_id.")
    if own:
        return own[0]
    strange = [zone for zone, environment in environments.items() if environment is None]
    if strange:
        raise CheckopError(
            f"dns_zone: {name} exists as {', '.join(strange)}, not made by this toolkit. Set dns_zone_id to take it "
            "over, or choose another dns_zone."
        )
    return None


def _environment(route53: Route53Client, zone: str) -> str | None:
    answer = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
    return tag_map(answer["ResourceTagSet"].get("Tags")).get(ENVIRONMENT_TAG)


def ensure_zone(route53: Route53Client, plan: Plan, name: str, tags: Mapping[str, str], adopt: str) -> str:
    """Make the zone (Route 53 CreateHostedZone) and give its id."""
    wanted = {**tags, "Name": name}
    identifier = find_zone(route53, name, tags, adopt)
    current: dict[str, str] = {}
    if identifier is None:
        identifier = plan.create(
            f"Hosted zone {name}",
            {"name": name},
            lambda: route53.create_hosted_zone(
                Name=name,
                CallerReference=str(uuid.uuid4()),
                HostedZoneConfig={"Comment": f"CheckOP, {tags[ENVIRONMENT_TAG]}"},
            )["HostedZone"]["Id"].removeprefix("/hostedzone/"),
        )
    else:
        answer = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=identifier)
        current = tag_map(answer["ResourceTagSet"].get("Tags"))
    lacking = missing_tags(current, wanted)
    plan.update(
        f"Hosted zone {name} tags",
        {},
        lacking,
        lambda: route53.change_tags_for_resource(
            ResourceType="hostedzone",
            ResourceId=identifier,
            AddTags=tag_list(lacking),
        ),
    )
    return identifier


def ensure_records(
    route53: Route53Client,
    plan: Plan,
    zone: str,
    records: Sequence[Record],
    target: Mapping[str, Any],
    *,
    purge: bool,
) -> list[str]:
    """Make a zone's record sets true in one batch (Route 53 ChangeResourceRecordSets).

    Parameters
    ----------
    purge:
        True: remove record sets that the data does not have, but for those by which ACM validates certificates.

    Returns
    -------
    list[str]
        Record sets that the data does not have and that were left alone, as ``name type``.

    Raises
    ------
    CheckopError
        NS or SOA are stated, and the zone lacks them.
    """
    current = {(entry["Name"], entry["Type"]): entry for entry in _records(route53, plan, zone)}
    wanted = {
        (canonical(record.name), record.type): record_set(record, target)
        for record in records
        if record.type not in OWN_TYPES
    }
    changes: list[dict[str, Any]] = []
    for key, entry in wanted.items():
        before = _normal(current.get(key))
        if before != _normal(entry):
            plan.update(f"Record set {key[0]} {key[1]}", before, _normal(entry), lambda: None)
            changes.append({"Action": "UPSERT", "ResourceRecordSet": entry})
    stated = {(canonical(record.name), record.type) for record in records}
    left = []
    for key in sorted(set(current) - stated):
        if key[1] in OWN_TYPES:
            continue
        if not purge or _validates_certificate(current[key]):
            left.append(f"{key[0]} {key[1]}")
            continue
        plan.delete(f"Record set {key[0]} {key[1]}", _normal(current[key]), lambda: None)
        changes.append({"Action": "DELETE", "ResourceRecordSet": current[key]})
    if changes and not plan.check:
        answer = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})  # type: ignore[typeddict-item]
        route53.get_waiter("resource_record_sets_changed").wait(
            Id=answer["ChangeInfo"]["Id"], WaiterConfig={"Delay": 2, "MaxAttempts": 90}
        )
    _check_own(plan, zone, records, current)
    return left


def _records(route53: Route53Client, plan: Plan, zone: str) -> Iterable[Mapping[str, Any]]:
    if not plan.exists(zone):
        return []
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    return [entry for page in pages for entry in page["ResourceRecordSets"]]


def _normal(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give what matters of a record set, in one order, with an alias's name without its optional prefix."""
    if entry is None:
        return None
    alias = entry.get("AliasTarget")
    if alias is not None:
        name = str(alias["DNSName"]).lower().rstrip(".").removeprefix("dualstack.")
        return {"alias": name, "evaluate health": bool(alias.get("EvaluateTargetHealth"))}
    return {"ttl": entry.get("TTL"), "values": sorted(value["Value"] for value in entry.get("ResourceRecords", ()))}


def _validates_certificate(entry: Mapping[str, Any]) -> bool:
    values = [value["Value"].rstrip(".") for value in entry.get("ResourceRecords", ())]
    return entry["Type"] == "CNAME" and any(value.endswith(".acm-validations.aws") for value in values)


def _check_own(
    plan: Plan, zone: str, records: Iterable[Record], current: Mapping[tuple[str, str], Mapping[str, Any]]
) -> None:
    if not plan.exists(zone) or not current:
        return
    for record in records:
        if record.type in OWN_TYPES and (canonical(record.name), record.type) not in current:
            raise CheckopError(
                f"dns_records: {record.name} {record.type} is stated, but zone {zone} has none. Route 53 makes NS and "
                "SOA for the zone's own name only; remove the line, or restore the record in the console."
            )
