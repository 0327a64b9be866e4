"""The VPC as the operator states it, read back with plain boto3; and what happens when it drifts."""

from __future__ import annotations

import json
from typing import Any

import pytest

VPC = {"Name": "tag:Name", "Values": ["checkop"]}
OWN = [{"Name": "tag:checkop:environment", "Values": ["rehearsal"]}]


@pytest.fixture(scope="module")
def ec2(environment: Any) -> Any:
    return environment.client("ec2")


@pytest.fixture(scope="module")
def vpc(ec2: Any) -> str:
    found = ec2.describe_vpcs(Filters=[VPC, *OWN])["Vpcs"]
    assert len(found) == 1
    return str(found[0]["VpcId"])


def subnets(ec2: Any, vpc: str) -> dict[str, Any]:
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}, *OWN])["Subnets"]
    return {tags(subnet)["Name"]: subnet for subnet in found}


def route_tables(ec2: Any, vpc: str) -> dict[str, Any]:
    found = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}, *OWN])["RouteTables"]
    return {tags(table)["Name"]: table for table in found}


def tags(thing: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def test_checking_works_from_nothing_and_makes_nothing(environment: Any) -> None:
    assert environment.check_from_nothing.failed == 0
    assert environment.check_from_nothing.changed >= 9
    assert environment.vpcs_after_check == 0
    for made in ("VPC checkop", "Subnet checkop-data-1d", "Security group checkop-app", "Auto Scaling group AUTOChOp"):
        assert f"+++ after: {made}\n" in environment.check_from_nothing.output


def test_a_second_run_changes_nothing_and_a_check_finds_nothing(environment: Any) -> None:
    assert environment.first.changed >= 9
    assert environment.second.changed == 0, environment.second.output
    assert environment.check_finished.changed == 0, environment.check_finished.output


def test_the_address_space_is_cut_as_stated(ec2: Any, vpc: str) -> None:
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"] == "10.20.0.0/16"
    table = {
        name: (
            subnet["CidrBlock"],
            subnet["AvailabilityZone"],
            subnet["MapPublicIpOnLaunch"],
            tags(subnet)["checkop:tier"],
        )
        for name, subnet in subnets(ec2, vpc).items()
    }
    assert table == {
        "checkop-public-1a": ("10.20.1.0/24", "us-east-1a", True, "public"),
        "checkop-public-1d": ("10.20.4.0/24", "us-east-1d", True, "public"),
        "checkop-data-1a": ("10.20.11.0/24", "us-east-1a", False, "data"),
        "checkop-data-1d": ("10.20.14.0/24", "us-east-1d", False, "data"),
    }
    for attribute, key in (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")):
        assert ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)[key]["Value"] is True


def test_only_the_public_tier_has_a_way_to_the_internet(ec2: Any, vpc: str) -> None:
    gateway = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
    gateway_id = gateway["InternetGateways"][0]["InternetGatewayId"]
    named = {subnet["SubnetId"]: name for name, subnet in subnets(ec2, vpc).items()}
    ways = {}
    for name, table in route_tables(ec2, vpc).items():
        routes = {r["DestinationCidrBlock"]: r["GatewayId"] for r in table["Routes"] if "DestinationCidrBlock" in r}
        members = {named[entry["SubnetId"]] for entry in table["Associations"] if "SubnetId" in entry}
        ways[name] = (routes, members)
    local = {"10.20.0.0/16": "local"}
    assert ways == {
        "checkop-public": ({**local, "0.0.0.0/0": gateway_id}, {"checkop-public-1a", "checkop-public-1d"}),
        "checkop-data": (local, {"checkop-data-1a", "checkop-data-1d"}),
    }


def test_s3_is_reached_privately_from_both_tiers(ec2: Any, vpc: str) -> None:
    # Interface endpoints that were switched off stay listed as deleted for a while.
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "vpc-endpoint-type", "Values": ["Gateway"]}]
    endpoints = ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    assert [endpoint["ServiceName"] for endpoint in endpoints] == ["com.amazonaws.us-east-1.s3"]
    ids = {table["RouteTableId"] for table in route_tables(ec2, vpc).values()}
    assert set(endpoints[0]["RouteTableIds"]) == ids


def test_every_flow_is_logged_by_a_role_that_can_do_nothing_else(environment: Any, ec2: Any, vpc: str) -> None:
    logs = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    assert [(log["TrafficType"], log["LogGroupName"], log["MaxAggregationInterval"]) for log in logs] == [
        ("ALL", "/checkop/rehearsal/vpc/flow", 60)
    ]
    groups = environment.client("logs").describe_log_groups(logGroupNamePrefix="/checkop/rehearsal/vpc/flow")
    assert [group["retentionInDays"] for group in groups["logGroups"]] == [90]
    policy = environment.client("iam").get_role_policy(RoleName="checkop-flow-logs", PolicyName="checkop")
    actions = {action for s in policy["PolicyDocument"]["Statement"] for action in listed(s["Action"])}
    assert all(action.startswith("logs:") for action in actions)


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_drift_is_told_and_put_right(environment: Any, ec2: Any, vpc: str) -> None:
    tables, nets = route_tables(ec2, vpc), subnets(ec2, vpc)
    gateway = next(
        r["GatewayId"] for r in tables["checkop-public"]["Routes"] if r.get("GatewayId", "").startswith("igw")
    )
    ec2.delete_route(RouteTableId=tables["checkop-public"]["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    ec2.create_route(
        RouteTableId=tables["checkop-data"]["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway
    )
    ec2.modify_subnet_attribute(SubnetId=nets["checkop-data-1a"]["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    ec2.create_tags(
        Resources=[nets["checkop-data-1d"]["SubnetId"]], Tags=[{"Key": "checkop:managed-by", "Value": "me"}]
    )
    logs = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    ec2.delete_flow_logs(FlowLogIds=[log["FlowLogId"] for log in logs])
    iam = environment.client("iam")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    policy = iam.create_policy(PolicyName="Everything", PolicyDocument=json.dumps(everything))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="checkop-flow-logs", PolicyArn=policy)

    told = environment.converge("network", "--check", "--diff").output
    for difference in (
        "Route table checkop-public route 0.0.0.0/0",
        "Route table checkop-data route 0.0.0.0/0",
        "Subnet checkop-data-1a public addresses at launch",
        "VPC checkop enableDnsHostnames",
        "Subnet checkop-data-1d tags",
        "Flow log checkop-flow-logs",
        "IAM role checkop-flow-logs: AttachedPolicies",
    ):
        assert f"after: {difference}\n" in told, difference
    assert environment.converge("network").changed == 1
    assert environment.converge("network", "--check").changed == 0
    assert not iam.list_attached_role_policies(RoleName="checkop-flow-logs")["AttachedPolicies"]


def test_what_aws_cannot_change_is_refused_with_the_way_out(environment: Any) -> None:
    subnets = [
        {"name": "public-1a", "tier": "public", "zone": "us-east-1a", "cidr": "10.20.2.0/24"},
        {"name": "public-1d", "tier": "public", "zone": "us-east-1d", "cidr": "10.20.4.0/24"},
        {"name": "data-1a", "tier": "data", "zone": "us-east-1a", "cidr": "10.20.11.0/24"},
        {"name": "data-1d", "tier": "data", "zone": "us-east-1d", "cidr": "10.20.14.0/24"},
    ]
    run = environment.run("network", extra_vars={"network_subnets": subnets})
    assert run.failed == 1
    assert "network_subnets: public-1a is 10.20.2.0/24 in us-east-1a, but subnet-" in run.output
    assert "add a subnet under a new name" in run.output


def test_a_subnet_that_left_the_inventory_goes_only_when_nothing_lies_in_it(
    environment: Any, ec2: Any, vpc: str
) -> None:
    more = {"name": "data-1b", "tier": "data", "zone": "us-east-1b", "cidr": "10.20.12.0/24"}
    kept = [
        {
            "name": name.removeprefix("checkop-"),
            "tier": tags(net)["checkop:tier"],
            "zone": net["AvailabilityZone"],
            "cidr": net["CidrBlock"],
        }
        for name, net in subnets(ec2, vpc).items()
    ]
    assert environment.converge("network", extra_vars={"network_subnets": [*kept, more]}).changed == 1
    assert "checkop-data-1b" in subnets(ec2, vpc)
    assert environment.converge("network").changed == 1
    assert "checkop-data-1b" not in subnets(ec2, vpc)
