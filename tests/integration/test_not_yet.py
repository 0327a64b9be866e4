"""What AWS has made a moment ago and does not show everywhere yet."""

from __future__ import annotations

from typing import Any

import pytest

from checkop.aws import Clients
from checkop.paths.model import SecurityGroup
from checkop.provision import lookup
from checkop.provision.network import Network, NetworkReconciler, Subnet
from checkop.provision.security_groups import SecurityGroupsReconciler
from checkop.reconcile import Plan
from checkop.resources.engine import converge
from checkop.resources.kind import Context
from checkop.resources.kinds import kind_of

TAGS = {"checkop:environment": "t", "checkop:managed-by": "checkop-environment"}
NETWORK = Network("t", "10.9.0.0/16", [Subnet("public-1a", "public", "us-east-1a", "10.9.1.0/24")], ["s3"])


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("ModifyVpcAttribute", "InvalidVpcID.NotFound"),
        ("AttachInternetGateway", "InvalidInternetGatewayID.NotFound"),
        ("ModifySubnetAttribute", "InvalidSubnetID.NotFound"),
        ("CreateRoute", "InvalidRouteTableID.NotFound"),
        ("CreateVpcEndpoint", "InvalidRouteTableId.NotFound"),
    ],
)
def test_a_network_is_made_though_ec2_learns_of_its_parts_later(
    cloud: Any, clients: Clients, operation: str, code: str
) -> None:
    cloud.fault(every=1, times=1, code=code, status=400, service="ec2", operation=operation)
    NetworkReconciler(clients.ec2, Plan(check=False), NETWORK, TAGS).run()
    again = Plan(check=False)
    NetworkReconciler(clients.ec2, again, NETWORK, TAGS).run()
    assert again.changes == []


def test_a_new_group_that_is_not_listed_yet_loses_the_rule_that_lets_everything_out(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc = clients.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    real, looks = lookup.security_groups, iter(range(100))

    def late(*words: Any) -> dict[str, Any]:
        found = real(*words)
        return {name: group for name, group in found.items() if next(looks) > 2 or name == "default"}

    monkeypatch.setattr(lookup, "security_groups", late)
    group = SecurityGroup("db", "Database", "data", ())
    SecurityGroupsReconciler(clients.ec2, Plan(check=False), "t", [], TAGS).run(vpc, {"db": group})
    assert real(clients.ec2, vpc)["t-db"]["IpPermissionsEgress"] == []


def test_a_bucket_is_set_up_though_s3_is_still_busy_with_it(cloud: Any, clients: Clients) -> None:
    # The first is its creation, the second its tags.
    cloud.fault(every=2, times=1, code="OperationAborted", status=409, service="s3", operation="PUT /t-bucket")
    wanted = {"VersioningConfiguration": {"Status": "Enabled"}}
    converge(Context(clients, Plan(check=False), TAGS), kind_of("s3.bucket"), "t-bucket", wanted)
    again = Plan(check=False)
    converge(Context(clients, again, TAGS), kind_of("s3.bucket"), "t-bucket", wanted)
    assert again.changes == []
