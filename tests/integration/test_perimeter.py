"""Security groups and network ACLs as the data states them, nothing more; refused before AWS hears of bad data."""

from __future__ import annotations

from typing import Any

import pytest

PREFIX = "checkop-"


@pytest.fixture(scope="module")
def ec2(environment: Any) -> Any:
    return environment.client("ec2")


@pytest.fixture(scope="module")
def vpc(ec2: Any) -> str:
    return str(ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["checkop"]}])["Vpcs"][0]["VpcId"])


def groups(ec2: Any, vpc: str) -> dict[str, Any]:
    found = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    return {group["GroupName"].removeprefix(PREFIX): group for group in found}


def acls(ec2: Any, vpc: str) -> dict[str, Any]:
    found = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    named = {next((t["Value"] for t in acl["Tags"] if t["Key"] == "Name"), "default"): acl for acl in found}
    return {name.removeprefix(PREFIX): acl for name, acl in named.items()}


def lines(ec2: Any, vpc: str, key: str) -> dict[str, set[str]]:
    """Rules of each group as text, peers by their names."""
    found = groups(ec2, vpc)
    names = {group["GroupId"]: name for name, group in found.items()}
    return {
        name: {
            f"{p['IpProtocol']} {p.get('FromPort')}-{p.get('ToPort')} {peer}"
            for p in group[key]
            for peer in [names[pair["GroupId"]] for pair in p["UserIdGroupPairs"]]
            + [r["CidrIp"] for r in p["IpRanges"]]
        }
        for name, group in found.items()
    }


def test_security_groups_name_groups(ec2: Any, vpc: str) -> None:
    assert lines(ec2, vpc, "IpPermissions") == {
        "default": set(),
        "alb": {"tcp 80-80 0.0.0.0/0", "tcp 443-443 0.0.0.0/0"},
        "app": {"tcp 80-80 alb", "tcp 22-22 base", "tcp 22-22 127.0.0.0/8"},
        "base": {"tcp 22-22 127.0.0.0/8"},
        "efs": {"tcp 2049-2049 app", "tcp 2049-2049 base"},
        "db": {"tcp 3306-3306 app", "tcp 3306-3306 base"},
        "endpoints": {"tcp 443-443 app", "tcp 443-443 base"},
    }
    out = {"tcp 2049-2049 efs", "tcp 3306-3306 db", "tcp 443-443 0.0.0.0/0", "tcp 80-80 0.0.0.0/0"}
    assert lines(ec2, vpc, "IpPermissionsEgress") == {
        "default": set(),
        "alb": {"tcp 80-80 app"},
        "app": out,
        "base": out | {"tcp 22-22 app"},
        "efs": set(),
        "db": set(),
        "endpoints": set(),
    }


def test_network_acls_write_return_traffic_out(ec2: Any, vpc: str) -> None:
    def table(acl: Any, egress: bool) -> list[tuple[Any, ...]]:
        return [
            (
                e["RuleNumber"],
                e["RuleAction"],
                e["Protocol"],
                e["CidrBlock"],
                e["PortRange"]["From"],
                e["PortRange"]["To"],
            )
            for e in sorted(acl["Entries"], key=lambda e: e["RuleNumber"])
            if e["Egress"] is egress and e["RuleNumber"] != 32767
        ]

    found = acls(ec2, vpc)
    anywhere, inside = "0.0.0.0/0", "10.20.0.0/16"
    assert table(found["public"], False) == [
        (100, "allow", "6", anywhere, 80, 80),
        (110, "allow", "6", anywhere, 443, 443),
        (120, "allow", "6", anywhere, 22, 22),
        (130, "allow", "6", anywhere, 1024, 65535),
    ]
    assert table(found["public"], True) == [
        (100, "allow", "6", anywhere, 80, 80),
        (110, "allow", "6", anywhere, 443, 443),
        (120, "allow", "6", inside, 22, 22),
        (130, "allow", "6", inside, 2049, 2049),
        (140, "allow", "6", inside, 3306, 3306),
        (150, "allow", "6", anywhere, 1024, 65535),
    ]
    assert table(found["data"], False) == [
        (100, "allow", "6", "10.20.1.0/24", 2049, 2049),
        (110, "allow", "6", "10.20.4.0/24", 2049, 2049),
        (120, "allow", "6", "10.20.1.0/24", 3306, 3306),
        (130, "allow", "6", "10.20.4.0/24", 3306, 3306),
    ]
    assert table(found["data"], True) == [
        (100, "allow", "6", "10.20.1.0/24", 1024, 65535),
        (110, "allow", "6", "10.20.4.0/24", 1024, 65535),
    ]


def test_each_subnet_has_the_acl_of_its_tier(ec2: Any, vpc: str) -> None:
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    tiers = {s["SubnetId"]: next(t["Value"] for t in s["Tags"] if t["Key"] == "checkop:tier") for s in subnets}
    # The local AWS remembers subnets that are gone.
    members = {
        name: {association["SubnetId"] for association in acl["Associations"]} & set(tiers)
        for name, acl in acls(ec2, vpc).items()
    }
    assert members == {
        "default": set(),
        "public": {subnet for subnet, tier in tiers.items() if tier == "public"},
        "data": {subnet for subnet, tier in tiers.items() if tier == "data"},
    }


def test_drift_is_told_and_put_right(environment: Any, ec2: Any, vpc: str) -> None:
    found, tables = groups(ec2, vpc), acls(ec2, vpc)
    anybody = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=found["base"]["GroupId"], IpPermissions=anybody)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_egress(GroupId=found["default"]["GroupId"], IpPermissions=everything)
    ec2.revoke_security_group_ingress(GroupId=found["db"]["GroupId"], IpPermissions=found["db"]["IpPermissions"])
    public, data = tables["public"]["NetworkAclId"], tables["data"]["NetworkAclId"]
    ec2.delete_network_acl_entry(NetworkAclId=data, RuleNumber=100, Egress=True)
    wide = {"Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    ec2.create_network_acl_entry(NetworkAclId=data, RuleNumber=5, Egress=False, **wide)
    ssh = {"Protocol": "6", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 22, "To": 22}}
    ec2.replace_network_acl_entry(NetworkAclId=public, RuleNumber=120, Egress=False, **ssh)
    association = tables["data"]["Associations"][0]["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=tables["default"]["NetworkAclId"])

    told = environment.converge("perimeter", "--check", "--diff").output
    for difference in (
        "-- 'tcp 22 0.0.0.0/0: '",
        "--- before: Default security group egress",
        "+- 'tcp 3306 app: MySQL over TLS'",
        "+- 100 allow tcp 1024-65535 10.20.1.0/24",
        "-- 5 allow all 0.0.0.0/0",
        "-- 120 deny tcp 22-22 0.0.0.0/0",
        "--- before: Network ACL checkop-data subnet ",
    ):
        assert difference in told, difference
    assert environment.converge("perimeter").changed == 2
    assert environment.converge("perimeter", "--check").changed == 0
    test_security_groups_name_groups(ec2, vpc)
    test_network_acls_write_return_traffic_out(ec2, vpc)
    test_each_subnet_has_the_acl_of_its_tier(ec2, vpc)


def test_interface_endpoints_are_switched_on_and_off(environment: Any, ec2: Any, vpc: str) -> None:
    def found() -> list[Any]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "vpc-endpoint-type", "Values": ["Interface"]}]
        endpoints = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        return [endpoint for endpoint in endpoints if endpoint["State"].lower() not in ("deleting", "deleted")]

    on = {"network_interface_endpoints": ["ssm"]}
    assert environment.converge("perimeter", extra_vars=on).changed == 1
    assert environment.converge("perimeter", "--check", extra_vars=on).changed == 0
    (endpoint,) = found()
    assert endpoint["ServiceName"] == "com.amazonaws.us-east-1.ssm"
    assert endpoint["PrivateDnsEnabled"] is True
    assert [group["GroupId"] for group in endpoint["Groups"]] == [groups(ec2, vpc)["endpoints"]["GroupId"]]
    assert len(endpoint["SubnetIds"]) == 2
    assert environment.converge("perimeter").changed == 1
    assert found() == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        pytest.param(
            "perimeter_wanted_flows",
            [{"from": "internet", "to": "db", "protocol": "tcp", "port": 3306}],
            ["internet -> db tcp 3306", "route table of tier data", "security group db ingress: no rule allows"],
            id="a wanted flow that the perimeter stops",
        ),
        pytest.param(
            "perimeter_forbidden_flows",
            [{"from": "app", "to": "internet", "protocol": "tcp", "port": 443}],
            ["app -> internet tcp 443: found open by", "security group app egress: tcp 443 to 0.0.0.0/0", "rule 110"],
            id="a forbidden flow that the perimeter lets through",
        ),
        pytest.param("netwrok_cidr", "10.20.0.0/16", ["netwrok_cidr", "Write network_cidr"], id="an unknown name"),
        pytest.param("fleet_max_size", 1, ["fleet_max_size: found 1", "Raise fleet_max_size"], id="max below desired"),
    ],
)
def test_bad_data_is_refused_before_the_first_call(
    environment: Any, variable: str, value: Any, words: list[str]
) -> None:
    # Every call of the play would fail: that the message is about the data proves that none was made.
    environment.cloud.fault(every=1, code="AccessDenied", status=403)
    try:
        run = environment.run("perimeter", extra_vars={variable: value})
    finally:
        environment.cloud.clear_faults()
    assert run.failed == 1
    assert run.changed == 0
    (refusal,) = [line for line in run.output.splitlines() if line.startswith("fatal:")]
    assert "nothing was sent to AWS" in refusal
    for word in words:
        assert word in refusal


def test_without_the_rehearsals_endpoint_nothing_is_done(environment: Any) -> None:
    # Only the static inventory: the dynamic one would ask AWS itself.
    run = environment.run(
        "network", inventory="inventory/rehearsal/localhost.yml", environment={"AWS_ENDPOINT_URL": ""}
    )
    assert run.failed == 1
    assert "AWS_ENDPOINT_URL is not set (AWS itself), but the inventory's aws_endpoint_url is" in run.output
    assert "load the lab's environment" in run.output
