"""Security groups, network ACLs and flows: peers that exist, rule numbers that differ, and the flows themselves."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.paths.model import ADMINISTRATORS, INTERNET, parse
from checkop.paths.proof import prove
from checkop.validate.finding import Finding
from checkop.validate.network import repeated
from checkop.validate.schema import ALIKE_WORDS, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUPS = "perimeter_security_groups"
ACLS = "perimeter_network_acls"
ANYWHERE = "0.0.0.0/0"
# The one group that the whole internet may reach.
FRONT = "alb"
# Groups that other systems look up by name.
NEEDED_GROUPS = ("alb", "app", "base", "efs", "db", "endpoints")
# AWS's default quota of rules per direction of a network ACL.
ACL_RULES_QUOTA = 20


def check_perimeter(data: Mapping[str, Any]) -> list[Finding]:
    """Check ``perimeter_*``; the flows only when the rest is right, because they would fail for the same reason."""
    findings = [*_groups(data), *_acls(data), *_ends(data)]
    return findings or _flows(data)


def _groups(data: Mapping[str, Any]) -> list[Finding]:
    names = [group["name"] for group in data[GROUPS]]
    findings = repeated(GROUPS, names)
    findings += [
        Finding(GROUPS, f"no group {name}", f"groups {', '.join(NEEDED_GROUPS)} among others", f"Add group {name}")
        for name in NEEDED_GROUPS
        if name not in names
    ]
    for group in data[GROUPS]:
        for direction, key in (("ingress", "from"), ("egress", "to")):
            where = f"{GROUPS}: {group['name']} {direction}"
            for rule in group[direction]:
                findings += _peer(where, rule[key], names)
                findings += _range(where, group["name"], direction, rule[key], names)
            keys = [(rule["protocol"], str(rule.get("port", "all")), rule[key]) for rule in group[direction]]
            findings += [
                Finding(where, f"{count} rules for {' '.join(what)}", "each rule once", "Remove one")
                for what, count in Counter(keys).items()
                if count > 1
            ]
    return findings


def _peer(where: str, peer: str, names: list[str]) -> list[Finding]:
    if peer in names or peer == ADMINISTRATORS:
        return []
    try:
        ipaddress.IPv4Network(peer)
    except ValueError:
        known = [*names, ADMINISTRATORS]
        meant = nearest(peer, known, ALIKE_WORDS)
        mend = f"Write {meant}" if meant else "Name a group, or write a CIDR block"
        return [Finding(where, repr(peer), f"{', '.join(known)} or an IPv4 CIDR block", mend)]
    return []


def _range(where: str, group: str, direction: str, peer: str, names: list[str]) -> list[Finding]:
    if peer in names or peer == ADMINISTRATORS or direction == "egress" or group == FRONT:
        return []
    return [
        Finding(
            where,
            f"the address range {peer}",
            f"names of groups, or {ADMINISTRATORS}; only {FRONT} may name a range",
            "Name the group that the traffic comes from, or put the addresses into perimeter_administrator_cidrs",
        )
    ]


def _acls(data: Mapping[str, Any]) -> list[Finding]:
    findings = repeated(ACLS, [acl["name"] for acl in data[ACLS]])
    tiers = Counter(acl["tier"] for acl in data[ACLS])
    findings += [
        Finding(
            ACLS, f"{tiers[tier]} ACLs for tier {tier}", "one ACL for each tier", "Merge them, or add the one missing"
        )
        for tier in sorted({subnet["tier"] for subnet in data["network_subnets"]})
        if tiers[tier] != 1
    ]
    for acl in data[ACLS]:
        for direction in ("ingress", "egress"):
            where = f"{ACLS}: {acl['name']} {direction}"
            numbers = Counter(int(rule["rule"]) for rule in acl[direction])
            findings += [
                Finding(
                    f"{where} rule {number}",
                    f"{count} rules of this number",
                    "each number once per ACL and direction",
                    f"Renumber one, for example {_free(number, numbers)}",
                )
                for number, count in numbers.items()
                if count > 1
            ]
            if len(acl[direction]) > ACL_RULES_QUOTA:
                findings.append(
                    Finding(
                        where,
                        f"{len(acl[direction])} rules",
                        f"at most {ACL_RULES_QUOTA}, AWS's quota",
                        "Merge neighbouring blocks or ports",
                    )
                )
    return findings


def _free(number: int, numbers: Counter[int]) -> int:
    return next(free for free in range(number + 1, number + 1000) if free not in numbers)


def _ends(data: Mapping[str, Any]) -> list[Finding]:
    known = [INTERNET, ADMINISTRATORS, *(group["name"] for group in data[GROUPS])]
    findings = []
    for variable in ("perimeter_wanted_flows", "perimeter_forbidden_flows"):
        for flow in data[variable]:
            for key in ("from", "to"):
                if flow[key] not in known:
                    meant = nearest(flow[key], known, ALIKE_WORDS)
                    mend = f"Write {meant}" if meant else "Name a group, or add it"
                    findings.append(Finding(f"{variable}: {key}", repr(flow[key]), ", ".join(known), mend))
    return findings


def _flows(data: Mapping[str, Any]) -> list[Finding]:
    try:
        verdicts = prove(parse(data))
    except CheckopError as error:
        return [Finding(GROUPS, str(error), "flows that can be followed", "Correct it")]
    findings = []
    for verdict in verdicts:
        if verdict.ok:
            continue
        variable = f"perimeter_{'wanted' if verdict.wanted else 'forbidden'}_flows: {verdict.flow}"
        if verdict.wanted:
            findings.append(
                Finding(variable, "; ".join(verdict.because), "a flow that passes, replies included", "Mend that rule")
            )
        else:
            findings.append(
                Finding(
                    variable,
                    "open by " + ", and ".join(verdict.because),
                    "no way for this flow",
                    "Remove or narrow one of these rules",
                )
            )
    return findings
