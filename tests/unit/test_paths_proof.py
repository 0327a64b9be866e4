"""The proof of a perimeter agrees with following every packet, and names the rule that breaks it."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from checkop.errors import CheckopError
from checkop.paths import model
from checkop.paths.proof import Prover, prove, refusal

sys.path.insert(0, str(Path(__file__).parent))
from paths_oracle import Place, answered, arrives

VPC = "10.0.0.0/24"
SUBNETS = [
    {"name": "public-a", "tier": "public", "zone": "us-east-1a", "cidr": "10.0.0.0/28"},
    {"name": "public-d", "tier": "public", "zone": "us-east-1d", "cidr": "10.0.0.16/28"},
    {"name": "data-a", "tier": "data", "zone": "us-east-1a", "cidr": "10.0.0.32/28"},
]
BLOCKS = ["0.0.0.0/0", VPC, "10.0.0.0/28", "10.0.0.16/29", "10.0.0.32/28", "203.0.113.0/24"]
PORTS: list[Any] = [22, 80, "80-90", "ephemeral", "all"]
PROTOCOLS = ["tcp", "udp", "all"]
PEERS = ["web", "db", "administrators", *BLOCKS]


def perimeter_data(**changes: Any) -> dict[str, Any]:
    """A small perimeter whose wanted flows pass and whose forbidden ones do not; its ports are below the ephemeral."""
    data: dict[str, Any] = {
        "network_cidr": VPC,
        "network_subnets": SUBNETS,
        "perimeter_administrator_cidrs": ["198.51.100.0/24"],
        "perimeter_security_groups": [
            {
                "name": "web",
                "description": "Web",
                "tier": "public",
                "ingress": [
                    {"from": "0.0.0.0/0", "protocol": "tcp", "port": 443, "description": "HTTPS"},
                    {"from": "administrators", "protocol": "tcp", "port": 22, "description": "SSH"},
                ],
                "egress": [{"to": "db", "protocol": "tcp", "port": 990, "description": "Queries"}],
            },
            {
                "name": "db",
                "description": "Database",
                "tier": "data",
                "ingress": [{"from": "web", "protocol": "tcp", "port": 990, "description": "Queries"}],
                "egress": [],
            },
        ],
        "perimeter_network_acls": [
            {
                "name": "public",
                "tier": "public",
                "ingress": [
                    {"rule": 100, "action": "allow", "protocol": "tcp", "cidr": "0.0.0.0/0", "ports": 443},
                    {"rule": 110, "action": "allow", "protocol": "tcp", "cidr": "0.0.0.0/0", "ports": 22},
                    {"rule": 120, "action": "allow", "protocol": "tcp", "cidr": "0.0.0.0/0", "ports": "ephemeral"},
                ],
                "egress": [
                    {"rule": 100, "action": "allow", "protocol": "tcp", "cidr": VPC, "ports": 990},
                    {"rule": 110, "action": "allow", "protocol": "tcp", "cidr": "0.0.0.0/0", "ports": "ephemeral"},
                ],
            },
            {
                "name": "data",
                "tier": "data",
                "ingress": [{"rule": 100, "action": "allow", "protocol": "tcp", "cidr": VPC, "ports": 990}],
                "egress": [{"rule": 100, "action": "allow", "protocol": "tcp", "cidr": VPC, "ports": "ephemeral"}],
            },
        ],
        "perimeter_wanted_flows": [
            {"from": "internet", "to": "web", "protocol": "tcp", "port": 443},
            {"from": "web", "to": "db", "protocol": "tcp", "port": 990},
            {"from": "administrators", "to": "web", "protocol": "tcp", "port": 22},
        ],
        "perimeter_forbidden_flows": [
            {"from": "internet", "to": "web", "protocol": "tcp", "port": 22},
            {"from": "internet", "to": "db", "protocol": "all"},
        ],
    }
    return data | changes


def edit(path: list[Any], value: Any) -> dict[str, Any]:
    """The small perimeter with one place changed; a list is extended."""
    data = perimeter_data()
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    if isinstance(place[path[-1]], list) and isinstance(value, dict):
        place[path[-1]].append(value)
    else:
        place[path[-1]] = value
    return data


def wrong(data: dict[str, Any]) -> str:
    return refusal(prove(model.parse(data)))


def test_the_small_perimeter_is_right() -> None:
    assert wrong(perimeter_data()) == ""


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        pytest.param(
            ["perimeter_network_acls", 1, "egress"],
            [],
            ["web -> db tcp 990 is stopped", "network ACL data egress", "1024-65535", "replies", "ephemeral"],
            id="an ACL that blocks return traffic",
        ),
        pytest.param(
            ["perimeter_network_acls", 1, "egress", 0, "ports"],
            "32768-61000",
            ["web -> db tcp 990 is stopped", "network ACL data egress: no rule allows tcp 1024-32767"],
            id="an ACL that blocks part of the return ports",
        ),
        pytest.param(
            ["perimeter_network_acls", 0, "ingress"],
            {"rule": 50, "action": "deny", "protocol": "tcp", "cidr": "203.0.113.0/24", "ports": 443},
            [
                "internet -> web tcp 443 is stopped",
                "network ACL public ingress: rule 50 deny tcp 443 from 203.0.113.0/24",
            ],
            id="a deny rule before the one that allows",
        ),
        pytest.param(
            ["perimeter_security_groups", 1, "ingress", 0, "from"],
            "administrators",
            ["web -> db tcp 990 is stopped", "security group db ingress: no rule allows"],
            id="a security group that names the wrong peer",
        ),
        pytest.param(
            ["perimeter_security_groups", 0, "egress", 0, "port"],
            991,
            ["web -> db tcp 990 is stopped", "security group web egress: no rule allows tcp 990"],
            id="a security group with the wrong port",
        ),
        pytest.param(
            ["perimeter_security_groups", 0, "ingress"],
            {"from": "0.0.0.0/0", "protocol": "tcp", "port": "1-100", "description": "All"},
            [
                "internet -> web tcp 22 is open",
                "security group web ingress: tcp 1-100 from 0.0.0.0/0",
                "rule 110 allow",
            ],
            id="a forbidden flow let through by a wide rule",
        ),
        pytest.param(
            ["perimeter_security_groups", 0, "ingress"],
            {"from": "128.0.0.0/1", "protocol": "all", "description": "Half"},
            ["internet -> web tcp 22 is open", "all from 128.0.0.0/1"],
            id="a forbidden flow open to half of the internet",
        ),
        pytest.param(
            ["perimeter_wanted_flows"],
            {"from": "db", "to": "internet", "protocol": "tcp", "port": 443},
            ["db -> internet tcp 443 is stopped", "route table of tier data", "no route to the internet"],
            id="a flow without a route",
        ),
        pytest.param(
            ["perimeter_administrator_cidrs"],
            [],
            ["administrators -> web tcp 22 is stopped", "perimeter_administrator_cidrs is empty"],
            id="no administrators",
        ),
        pytest.param(
            ["perimeter_administrator_cidrs"],
            ["0.0.0.0/0"],
            ["internet -> web tcp 22 is open", "perimeter_administrator_cidrs"],
            id="everybody an administrator",
        ),
        pytest.param(
            ["network_subnets"],
            SUBNETS[:2],
            ["web -> db tcp 990 is stopped", "no subnet"],
            id="a tier without subnets",
        ),
    ],
)
def test_what_breaks_a_flow_is_named(path: list[Any], value: Any, words: list[str]) -> None:
    message = wrong(edit(path, value))
    for word in words:
        assert word in message


def test_a_flow_within_one_subnet_does_not_ask_the_acl() -> None:
    data = perimeter_data(network_subnets=SUBNETS[:1] + SUBNETS[2:])
    data["perimeter_security_groups"][0]["ingress"].append(
        {"from": "web", "protocol": "tcp", "port": 900, "description": "Peers"}
    )
    data["perimeter_security_groups"][0]["egress"].append(
        {"to": "web", "protocol": "tcp", "port": 900, "description": "Peers"}
    )
    data["perimeter_wanted_flows"].append({"from": "web", "to": "web", "protocol": "tcp", "port": 900})
    assert wrong(data) == ""
    assert "network ACL public egress" in wrong(data | {"network_subnets": SUBNETS})


def test_a_forbidden_flow_is_open_only_on_a_port_that_every_layer_lets_through() -> None:
    data = perimeter_data(
        perimeter_forbidden_flows=[{"from": "internet", "to": "web", "protocol": "tcp", "port": "1-442"}]
    )
    # The ACL lets port 22 in, and the group port 80: neither arrives.
    data["perimeter_security_groups"][0]["ingress"].append(
        {"from": "0.0.0.0/0", "protocol": "tcp", "port": 80, "description": "HTTP"}
    )
    assert wrong(data) == ""
    data["perimeter_network_acls"][0]["ingress"].append(
        {"rule": 130, "action": "allow", "protocol": "tcp", "cidr": "0.0.0.0/0", "ports": "70-90"}
    )
    message = wrong(data)
    assert "rule 130 allow tcp 70-90" in message
    assert "security group web ingress: tcp 80 from 0.0.0.0/0" in message
    assert "rule 110" not in message, "port 22 is not what opens it"


def test_an_unknown_end_is_named_with_those_that_are_known() -> None:
    data = edit(["perimeter_wanted_flows"], {"from": "wbe", "to": "db", "protocol": "tcp", "port": 1})
    with pytest.raises(CheckopError, match=r"'wbe'.*internet, administrators, web, db"):
        wrong(data)


def test_rules_that_no_wanted_flow_needs_are_listed() -> None:
    data = edit(
        ["perimeter_security_groups", 0, "egress"],
        {"to": "0.0.0.0/0", "protocol": "tcp", "port": 25, "description": "Mail"},
    )
    prover = Prover(model.parse(data))
    for flow in prover.perimeter.wanted:
        prover.judge(flow, wanted=True)
    assert prover.unused() == ["security group web egress: tcp 25 to 0.0.0.0/0"]


@pytest.mark.parametrize("value", ["http", "70000", "90-80", "-1", "", "80-", None])
def test_what_is_no_port_is_refused(value: Any) -> None:
    with pytest.raises(CheckopError, match=r"perimeter.* is no port"):
        model.parse_ports(value, "perimeter")


# --- against following every packet -------------------------------------------------------------------------------

# Rules that let everything through come often: without them hardly any flow would pass.
group_rules = st.lists(
    st.one_of(
        st.just({"peer": "0.0.0.0/0", "protocol": "all", "port": "all"}),
        st.fixed_dictionaries(
            {"peer": st.sampled_from(PEERS), "protocol": st.sampled_from(PROTOCOLS), "port": st.sampled_from(PORTS)}
        ),
    ),
    max_size=3,
)
acl_rules = st.lists(
    st.one_of(
        st.just({"action": "allow", "protocol": "all", "cidr": "0.0.0.0/0", "ports": "all"}),
        st.fixed_dictionaries(
            {
                "action": st.sampled_from(["allow", "allow", "deny"]),
                "protocol": st.sampled_from(PROTOCOLS),
                "cidr": st.sampled_from(BLOCKS),
                "ports": st.sampled_from(PORTS),
            }
        ),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def perimeters(draw: st.DrawFn) -> model.Perimeter:
    def side(key: str) -> list[dict[str, Any]]:
        return [{key: rule["peer"], "protocol": rule["protocol"], "port": rule["port"]} for rule in draw(group_rules)]

    def numbered() -> list[dict[str, Any]]:
        return [{"rule": 10 * (index + 1), **rule} for index, rule in enumerate(draw(acl_rules))]

    groups = [
        {"name": name, "description": name, "tier": tier, "ingress": side("from"), "egress": side("to")}
        for name, tier in (("web", "public"), ("db", "data"))
    ]
    acls = [{"name": tier, "tier": tier, "ingress": numbered(), "egress": numbered()} for tier in ("public", "data")]
    ends = ["web", "db", "internet", "administrators"]
    flow = {
        "from": draw(st.sampled_from(ends)),
        "to": draw(st.sampled_from(["web", "db"])),
        "protocol": draw(st.sampled_from(["tcp", "udp"])),
        "port": draw(st.sampled_from([22, 80, "80-90", "1000-1030"])),
    }
    if flow["from"] in ("web", "db") and draw(st.booleans()):
        flow["to"] = "internet"
    return model.parse(
        perimeter_data(
            perimeter_security_groups=groups,
            perimeter_network_acls=acls,
            perimeter_administrator_cidrs=draw(st.sampled_from([["203.0.113.128/25"], ["203.0.113.0/24"]])),
            perimeter_wanted_flows=[flow],
            perimeter_forbidden_flows=[flow],
        )
    )


def edges(blocks: list[ipaddress.IPv4Network]) -> list[ipaddress.IPv4Address]:
    """Addresses at which anything can change: the ends of every block and their neighbours."""
    numbers = {int(block.network_address) + step for block in blocks for step in (-1, 0)}
    numbers |= {int(block.broadcast_address) + step for block in blocks for step in (0, 1)}
    return [ipaddress.IPv4Address(number) for number in sorted(numbers) if 0 <= number < 2**32]


def places(perimeter: model.Perimeter, name: str, *, wanted: bool) -> list[Place]:
    blocks = [ipaddress.IPv4Network(block) for block in BLOCKS] + list(perimeter.administrators)
    blocks += [subnet.cidr for subnet in perimeter.subnets]
    points = edges(blocks)
    if name == "administrators":
        return [Place(name, None, a) for a in points if any(a in block for block in perimeter.administrators)]
    if name == "internet":
        outside = [a for a in points if a not in perimeter.vpc]
        if not wanted:
            outside = [a for a in outside if not any(a in block for block in perimeter.administrators)]
        return [Place(name, None, address) for address in outside]
    tier = perimeter.groups[name].tier
    return [
        Place(name, subnet, address)
        for subnet in perimeter.subnets
        if subnet.tier == tier
        for address in points
        if address in subnet.cidr
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(perimeters())
def test_the_proof_agrees_with_following_every_packet(perimeter: model.Perimeter) -> None:
    flow = perimeter.wanted[0]
    edge_ports = (0, 21, 22, 23, 79, 80, 81, 90, 91, 1000, 1023, 1024, 1030, 65535)
    ports = [port for port in edge_ports if flow.ports.low <= port <= flow.ports.high]
    client_ports = [1024, 65535]
    verdicts = prove(perimeter)
    event(f"wanted flow {'passes' if verdicts[0].passes else 'is stopped'}")

    pairs = [
        (source, destination)
        for source in places(perimeter, flow.source, wanted=True)
        for destination in places(perimeter, flow.destination, wanted=True)
    ]
    assert verdicts[0].passes == all(
        arrives(perimeter, source, destination, flow.protocol, port)
        and answered(perimeter, source, destination, flow.protocol, client)
        for source, destination in pairs
        for port in ports
        for client in client_ports
    )
    assert verdicts[1].passes == any(
        arrives(perimeter, source, destination, flow.protocol, port)
        for source in places(perimeter, flow.source, wanted=False)
        for destination in places(perimeter, flow.destination, wanted=False)
        for port in ports
    )
    assert bool(verdicts[0].because) != verdicts[0].passes
    assert bool(verdicts[1].because) or not verdicts[1].passes


def test_dropping_any_rule_that_is_needed_stops_a_wanted_flow() -> None:
    perimeter = model.parse(perimeter_data())
    for group in perimeter.groups.values():
        for rule in group.rules:
            kept = tuple(other for other in group.rules if other is not rule)
            groups = {**perimeter.groups, group.name: replace(group, rules=kept)}
            assert refusal(prove(replace(perimeter, groups=groups))), f"{group.name}: {rule}"
    for acl in perimeter.acls:
        for acl_rule in acl.rules:
            rest = replace(acl, rules=tuple(other for other in acl.rules if other is not acl_rule))
            acls = tuple(rest if other is acl else other for other in perimeter.acls)
            assert refusal(prove(replace(perimeter, acls=acls))), f"{acl.name}: {acl_rule}"
