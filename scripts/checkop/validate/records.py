"""Record sets: within their zone, each once, and written as their type wants it (RFC 1035, RFC 8659)."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from checkop.validate.finding import Finding
from checkop.validate.network import repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECORDS = "dns_records"
# Route 53 makes these; they are only checked.
OWN_TYPES = ("NS", "SOA")
ALIAS_TYPES = ("A", "AAAA")


def check_records(data: Mapping[str, Any]) -> list[Finding]:
    """Check ``dns_records`` against ``dns_zone``."""
    zone = _plain(data["dns_zone"])
    records = data[RECORDS]
    findings = repeated(RECORDS, [f"{_plain(record['name'])} {record['type']}" for record in records])
    aliased = {_plain(record["name"]) for record in records if record["type"] == "CNAME"}
    for record in records:
        name = _plain(record["name"])
        where = f"{RECORDS}: {record['name']} {record['type']}"
        if name != zone and not name.endswith(f".{zone}"):
            findings.append(
                Finding(
                    where,
                    f"{record['name']}, which is outside the zone",
                    f"{zone} and names that end in .{zone}",
                    "Correct the name, or put it in the zone it belongs to",
                )
            )
        if record["type"] != "CNAME" and name in aliased:
            findings.append(
                Finding(where, "a CNAME of the same name", "a CNAME alone at its name", "Use an alias, or another name")
            )
        if record["type"] == "CNAME" and name == zone:
            findings.append(
                Finding(where, "a CNAME at the zone's own name", "an alias there", "Write type: A with alias: balancer")
            )
        findings += _content(where, record, name == zone)
    return findings


def _content(where: str, record: Mapping[str, Any], at_apex: bool) -> list[Finding]:
    if record["type"] in OWN_TYPES:
        return _own(where, record, at_apex)
    if record.get("alias"):
        return _alias(where, record)
    return _values(where, record)


def _own(where: str, record: Mapping[str, Any], at_apex: bool) -> list[Finding]:
    kind = record["type"]
    if record.get("values") or record.get("alias"):
        return [Finding(where, "values", f"no values: Route 53 writes {kind} itself", "Remove the values")]
    if not at_apex:
        mend = "Remove it; a delegation belongs to another zone"
        return [Finding(where, f"{kind} below the zone", f"{kind} of the zone itself", mend)]
    return []


def _alias(where: str, record: Mapping[str, Any]) -> list[Finding]:
    if record["type"] not in ALIAS_TYPES:
        return [Finding(where, f"an alias of type {record['type']}", "aliases of type A or AAAA", "Correct the type")]
    if record.get("values") or "ttl" in record:
        return [Finding(where, "an alias with ttl or values", "an alias alone", "Remove ttl and values")]
    return []


def _values(where: str, record: Mapping[str, Any]) -> list[Finding]:
    values = record.get("values")
    if not values or "ttl" not in record:
        return [Finding(where, "no values, or no ttl", "ttl and values, or an alias", "Add them")]
    check, allowed = VALUES.get(record["type"], (lambda _: True, ""))
    return [Finding(where, repr(value), allowed, "Correct the value") for value in values if not check(str(value))]


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _is_ipv4(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_ipv6(value: str) -> bool:
    try:
        ipaddress.IPv6Address(value)
    except ValueError:
        return False
    return True


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


HOST = r"([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+([A-Za-z]{2,}\.?)?"
VALUES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "A": (_is_ipv4, "an IPv4 address"),
    "AAAA": (_is_ipv6, "an IPv6 address"),
    "MX": (_matches(rf"\d{{1,5}} {HOST}"), "a preference and a host, for example '10 mail.checkop.co.'"),
    "CNAME": (_matches(HOST), "a domain name"),
    "CAA": (
        _matches(r'(0|128) (issue|issuewild|iodef) "[^"]*"'),
        "flags, tag and value, for example '0 issue \"amazon.com\"'",
    ),
    "SRV": (_matches(rf"\d{{1,5}} \d{{1,5}} \d{{1,5}} {HOST}"), "priority, weight, port and host"),
}
