"""A resource that has our name, but not this environment's tags, is never changed: every kind of the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from checkop.errors import CheckopError
from checkop.monitoring import console_group
from checkop.policies import trust_policy
from checkop.provision.network import Network, NetworkReconciler, Subnet
from checkop.reconcile import Plan
from checkop.resources import engine
from checkop.resources.kind import Context
from checkop.resources.kinds import KINDS, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from checkop.aws import Clients

NAME = "foreign"
TAGS = {"checkop:environment": "production", "checkop:managed-by": "checkop-environment"}
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}
TRUST = trust_policy("ec2.amazonaws.com")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrolCl8HGk9FZmtkJMtncI2xfA0+2dImKg0YllI1dhX other"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOzZ1g0J0yLWMx6m0sbKkKcnS5ERHW0o2Bv8Zq2hJdGf us"


def network(clients: Clients) -> tuple[str, list[str]]:
    ec2 = clients.ec2
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.77.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in ((1, "us-east-1a"), (2, "us-east-1d"))
    ]
    return vpc, subnets


def make_role(clients: Clients) -> dict[str, Any]:
    clients.iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(TRUST))
    clients.iam.put_role_policy(RoleName=NAME, PolicyName="theirs", PolicyDocument=json.dumps(POLICY))
    return {"AssumeRolePolicyDocument": TRUST, "Policies": {}, "AttachedPolicies": []}


def make_profile(clients: Clients) -> dict[str, Any]:
    clients.iam.create_instance_profile(InstanceProfileName=NAME)
    return {"Roles": ["ours"]}


def make_key_pair(clients: Clients) -> dict[str, Any]:
    clients.ec2.import_key_pair(KeyName=NAME, PublicKeyMaterial=KEY.encode())
    return {"PublicKeyMaterial": OTHER_KEY}


def make_template(clients: Clients) -> dict[str, Any]:
    image = clients.ec2.describe_images(Owners=["125523088429"], IncludeDeprecated=True)["Images"][0]["ImageId"]
    clients.ec2.create_launch_template(
        LaunchTemplateName=NAME, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"}
    )
    return {"LaunchTemplateData": {"ImageId": image, "InstanceType": "t3.xlarge"}}


def make_group(clients: Clients) -> dict[str, Any]:
    make_template(clients)
    _, subnets = network(clients)
    clients.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateName": NAME, "Version": "1"},
        MinSize=0,
        MaxSize=0,
        VPCZoneIdentifier=",".join(subnets),
    )
    return {"MinSize": 0, "MaxSize": 4, "VPCZoneIdentifier": ",".join(subnets)}


def make_target_group(clients: Clients) -> dict[str, Any]:
    vpc, _ = network(clients)
    properties: dict[str, Any] = {"Protocol": "HTTP", "Port": 80, "VpcId": vpc}
    clients.elbv2.create_target_group(Name=NAME, **properties)
    return {**properties, "HealthCheckPath": "/health/ready"}


def make_balancer(clients: Clients) -> dict[str, Any]:
    _, subnets = network(clients)
    clients.elbv2.create_load_balancer(Name=NAME, Subnets=subnets)
    return {"Subnets": subnets, "Attributes": {"deletion_protection.enabled": "true"}}


def make_bucket(clients: Clients) -> dict[str, Any]:
    clients.s3.create_bucket(Bucket=NAME)
    theirs: Any = {"TagSet": [{"Key": "Owner", "Value": "them"}]}
    clients.s3.put_bucket_tagging(Bucket=NAME, Tagging=theirs)
    return {"VersioningConfiguration": {"Status": "Enabled"}}


def make_parameter_group(clients: Clients) -> dict[str, Any]:
    properties: dict[str, Any] = {"DBParameterGroupFamily": "mysql8.0", "Description": "theirs"}
    clients.rds.create_db_parameter_group(DBParameterGroupName=NAME, **properties)
    return {**properties, "Parameters": {"max_connections": "9"}}


def make_subnet_group(clients: Clients) -> dict[str, Any]:
    _, subnets = network(clients)
    properties: dict[str, Any] = {"DBSubnetGroupDescription": "theirs", "SubnetIds": subnets}
    clients.rds.create_db_subnet_group(DBSubnetGroupName=NAME, **properties)
    return {**properties, "DBSubnetGroupDescription": "ours"}


def make_database(clients: Clients) -> dict[str, Any]:
    properties: dict[str, Any] = {"Engine": "mysql", "DBInstanceClass": "db.r5.xlarge", "AllocatedStorage": 20}
    clients.rds.create_db_instance(
        DBInstanceIdentifier=NAME, MasterUsername="them", MasterUserPassword="secret-of-them", **properties
    )
    return {**properties, "DeletionProtection": True}


MAKERS: dict[str, Callable[[Clients], dict[str, Any]]] = {
    "autoscaling.group": make_group,
    "ec2.key_pair": make_key_pair,
    "ec2.launch_template": make_template,
    "elbv2.load_balancer": make_balancer,
    "elbv2.target_group": make_target_group,
    "iam.instance_profile": make_profile,
    "iam.role": make_role,
    "rds.db_instance": make_database,
    "rds.db_parameter_group": make_parameter_group,
    "rds.db_subnet_group": make_subnet_group,
    "s3.bucket": make_bucket,
}


def test_every_kind_that_has_tags_is_tried() -> None:
    """What exists within another resource is looked for there, and belongs to whom that belongs."""
    assert set(MAKERS) == {name for name, kind in KINDS.items() if kind.tags and not kind.scope}


@pytest.mark.parametrize("type_name", sorted(MAKERS))
def test_a_foreign_resource_of_our_name_is_refused_and_unchanged(clients: Clients, type_name: str) -> None:
    kind, wanted = kind_of(type_name), MAKERS[type_name](clients)
    client = getattr(clients, kind.service)
    assert kind.find(client, NAME, wanted) is not None
    sent: list[str] = []
    client.meta.events.register("before-call", lambda model, **_: sent.append(model.name))
    plan = Plan(check=False)
    with pytest.raises(CheckopError, match=f"{kind.label} {NAME} exists but does not carry the tags"):
        engine.converge(Context(clients, plan, TAGS), kind, NAME, wanted)
    assert [name for name in sent if not name.startswith(("Describe", "Get", "List", "Head"))] == []
    assert not plan.changed


def test_a_foreign_console_group_is_refused_and_unchanged(clients: Clients) -> None:
    clients.iam.create_group(GroupName=NAME)
    clients.iam.put_group_policy(GroupName=NAME, PolicyName="theirs", PolicyDocument=json.dumps(POLICY))
    with pytest.raises(CheckopError, match=f"IAM group {NAME} exists with the path /, and /checkop/production/"):
        console_group.reconcile(clients.iam, Plan(check=False), NAME, "production", POLICY)
    assert clients.iam.list_group_policies(GroupName=NAME)["PolicyNames"] == ["theirs"]
    assert clients.iam.get_group(GroupName=NAME)["Group"]["Path"] == "/"


@pytest.mark.parametrize(("cidr", "name"), [("10.20.0.0/16", "old"), ("10.99.0.0/16", "checkop")])
def test_no_second_vpc_is_made_beside_one_that_nobody_has_marked(clients: Clients, cidr: str, name: str) -> None:
    vpc = clients.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    clients.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": name}])
    before = len(clients.ec2.describe_vpcs()["Vpcs"])
    wanted = Network("checkop", "10.20.0.0/16", [Subnet("public-1a", "public", "us-east-1a", "10.20.1.0/24")], [])
    with pytest.raises(CheckopError, match=f"{vpc} .* carries no mark of an environment"):
        NetworkReconciler(clients.ec2, Plan(check=False), wanted, TAGS).run()
    assert len(clients.ec2.describe_vpcs()["Vpcs"]) == before
    # Another environment's is another environment's.
    clients.ec2.create_tags(Resources=[vpc], Tags=[{"Key": "checkop:environment", "Value": "staging"}])
    NetworkReconciler(clients.ec2, Plan(check=False), wanted, TAGS).run()
    assert len(clients.ec2.describe_vpcs()["Vpcs"]) == before + 1
