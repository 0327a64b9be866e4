"""The VPC: a private address space cut into subnets with their own routes (Amazon VPC User Guide)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from checkop.errors import CheckopError
from checkop.provision import lookup
from checkop.reconcile import missing_tags, tag_list, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import RouteTableTypeDef, RouteTypeDef, SubnetTypeDef

    from checkop.reconcile import Plan

ANYWHERE = "0.0.0.0/0"
AVAILABLE_SECONDS = 120
TIER_TAG = "checkop:tier"


@dataclass(frozen=True)
class Subnet:
    """A subnet as the inventory states it: short name, tier (``public`` or ``data``), zone and CIDR block."""

    name: str
    tier: str
    zone: str
    cidr: str


@dataclass(frozen=True)
class Network:
    """A VPC as the inventory states it.

    Parameters
    ----------
    name:
        The VPC's ``Name`` tag, and the prefix of the names of all that lies in it.
    gateway_endpoints:
        Short service names, for example ``s3``; every route table gets a route to each.
    """

    name: str
    cidr: str
    subnets: Sequence[Subnet]
    gateway_endpoints: Sequence[str]


class NetworkReconciler:
    """Make a `Network` true, part by part.

    Parameters
    ----------
    tags:
        Tags of everything made; ``checkop:environment`` among them marks ownership.
    """

    def __init__(self, ec2: EC2Client, plan: Plan, network: Network, tags: Mapping[str, str]) -> None:
        self.ec2 = ec2
        self.plan = plan
        self.network = network
        self.tags = tags

    def run(self) -> dict[str, Any]:
        """Make it true, and give the ids: ``vpc_id``, and ``subnets`` and ``route_tables`` by name."""
        vpc = self.vpc()
        gateway = self.internet_gateway(vpc)
        subnets = {subnet.name: self.subnet(vpc, subnet) for subnet in self.network.subnets}
        self.remove_other_subnets(vpc)
        tables = {tier: self.route_table(vpc, tier, gateway, subnets) for tier in self.tiers()}
        self.gateway_endpoints(vpc, list(tables.values()))
        return {"vpc_id": vpc, "subnets": subnets, "route_tables": tables}

    def tiers(self) -> list[str]:
        """Give the tiers that have subnets."""
        return sorted({subnet.tier for subnet in self.network.subnets})

    def specification(self, kind: str, name: str, **more: str) -> list[Any]:
        """Give the TagSpecifications of a new resource."""
        extra = {key.replace("__", ":"): value for key, value in more.items()}
        return [{"ResourceType": kind, "Tags": tag_list({**self.tags, **extra}, Name=name)}]

    def tag(self, resource: str, identifier: str, current: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Add the tags that are missing (EC2 CreateTags)."""
        lacking = missing_tags(current, wanted)
        before = {key: current[key] for key in lacking if key in current}
        self.plan.update(
            f"{resource} tags",
            before,
            lacking,
            lambda: self.ec2.create_tags(Resources=[identifier], Tags=tag_list(lacking)),
        )

    def vpc(self) -> str:
        """The VPC itself, with DNS names, which RDS and EFS clients need (EC2 CreateVpc, ModifyVpcAttribute)."""
        name, cidr = self.network.name, self.network.cidr
        found = lookup.find_vpc(self.ec2, name, self.tags)
        if found is not None and found["CidrBlock"] != cidr:
            raise CheckopError(
                f"network_cidr is {cidr}, but VPC {name} ({found['VpcId']}) has {found['CidrBlock']}, and AWS cannot "
                "change that. Restore the value, or build a new environment beside this one."
            )
        if found is None:
            self._require_no_other(name, cidr)
            identifier = self.plan.create(f"VPC {name}", {"cidr": cidr}, lambda: self._make_vpc(name, cidr))
            values = {"enableDnsSupport": True, "enableDnsHostnames": False}
        else:
            identifier = found["VpcId"]
            self.tag(f"VPC {name}", identifier, tag_map(found.get("Tags")), {**self.tags, "Name": name})
            values = {
                "enableDnsSupport": self._vpc_attribute(identifier, "enableDnsSupport"),
                "enableDnsHostnames": self._vpc_attribute(identifier, "enableDnsHostnames"),
            }
        # AWS takes one attribute a call.
        self.plan.update(
            f"VPC {name} enableDnsSupport",
            values["enableDnsSupport"],
            True,
            lambda: self.ec2.modify_vpc_attribute(VpcId=identifier, EnableDnsSupport={"Value": True}),
        )
        self.plan.update(
            f"VPC {name} enableDnsHostnames",
            values["enableDnsHostnames"],
            True,
            lambda: self.ec2.modify_vpc_attribute(VpcId=identifier, EnableDnsHostnames={"Value": True}),
        )
        return identifier

    def _require_no_other(self, name: str, cidr: str) -> None:
        """Refuse to make a second VPC beside one that is most likely meant, but is marked as nobody's.

        Raises
        ------
        CheckopError
            A VPC without the mark of an environment has our name or our CIDR block (outside check mode).
        """
        pages = self.ec2.get_paginator("describe_vpcs").paginate()
        for vpc in (vpc for page in pages for vpc in page["Vpcs"]):
            tags = tag_map(vpc.get("Tags"))
            alike = tags.get("Name") == name or vpc["CidrBlock"] == cidr
            if alike and lookup.ENVIRONMENT_TAG not in tags and not self.plan.check:
                marks = " ".join(f"Key={key},Value={value}" for key, value in self.tags.items())
                raise CheckopError(
                    f"VPC {name}: {vpc['VpcId']} ({vpc['CidrBlock']}, Name {tags.get('Name', 'none')}) carries no "
                    "mark of an environment, and a second VPC beside it is not made unasked. If it is to be managed "
                    f"from here: aws ec2 create-tags --resources {vpc['VpcId']} --tags {marks} Key=Name,Value={name}; "
                    "if not, choose another network_name and network_cidr."
                )

    def _make_vpc(self, name: str, cidr: str) -> str:
        made = self.ec2.create_vpc(CidrBlock=cidr, TagSpecifications=self.specification("vpc", name))
        identifier = made["Vpc"]["VpcId"]
        filters: list[Any] = [{"Name": "vpc-id", "Values": [identifier]}]
        _await_available(f"VPC {identifier}", lambda: self.ec2.describe_vpcs(Filters=filters)["Vpcs"])
        return identifier

    def _vpc_attribute(self, identifier: str, attribute: Literal["enableDnsSupport", "enableDnsHostnames"]) -> bool:
        answer: Mapping[str, Any] = self.ec2.describe_vpc_attribute(VpcId=identifier, Attribute=attribute)
        return bool(answer[attribute[0].upper() + attribute[1:]]["Value"])

    def internet_gateway(self, vpc: str) -> str:
        """The way out of the public tier (EC2 CreateInternetGateway, AttachInternetGateway)."""
        name = self.network.name
        resource = f"Internet gateway {name}"
        pages = self.ec2.get_paginator("describe_internet_gateways").paginate(Filters=lookup.named(self.tags, name))
        found = lookup.only([gateway for page in pages for gateway in page["InternetGateways"]], resource, self.tags)
        attached: list[str] = []
        if found is None:
            identifier = self.plan.create(
                resource,
                {"name": name},
                lambda: self.ec2.create_internet_gateway(
                    TagSpecifications=self.specification("internet-gateway", name)
                )["InternetGateway"]["InternetGatewayId"],
            )
        else:
            identifier = found["InternetGatewayId"]
            attached = [attachment["VpcId"] for attachment in found["Attachments"]]
            self.tag(resource, identifier, tag_map(found.get("Tags")), self.tags)
        self.plan.update(
            f"{resource} attachment",
            attached,
            [vpc],
            lambda: self.ec2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc),
        )
        return identifier

    def subnet(self, vpc: str, wanted: Subnet) -> str:
        """A subnet (EC2 CreateSubnet); only those of the public tier give public addresses at launch."""
        name = f"{self.network.name}-{wanted.name}"
        resource = f"Subnet {name}"
        tags = {**self.tags, TIER_TAG: wanted.tier, "Name": name}
        found = self._find_subnet(vpc, name, resource)
        public = wanted.tier == "public"
        if found is None:
            maps_public = False
            identifier = self.plan.create(
                resource,
                {"cidr": wanted.cidr, "zone": wanted.zone, "tier": wanted.tier},
                lambda: self._make_subnet(vpc, wanted, name),
            )
        else:
            identifier = found["SubnetId"]
            maps_public = found["MapPublicIpOnLaunch"]
            has = (found["CidrBlock"], found["AvailabilityZone"])
            if has != (wanted.cidr, wanted.zone):
                raise CheckopError(
                    f"network_subnets: {wanted.name} is {wanted.cidr} in {wanted.zone}, but {identifier} has "
                    f"{has[0]} in {has[1]}, and AWS cannot change that. Restore the values, or add a subnet under "
                    "a new name and move what lies in this one."
                )
            self.tag(resource, identifier, tag_map(found.get("Tags")), tags)
        self.plan.update(
            f"{resource} public addresses at launch",
            maps_public,
            public,
            lambda: self.ec2.modify_subnet_attribute(SubnetId=identifier, MapPublicIpOnLaunch={"Value": public}),
        )
        return identifier

    def _find_subnet(self, vpc: str, name: str, resource: str) -> SubnetTypeDef | None:
        pages = self.ec2.get_paginator("describe_subnets").paginate(Filters=lookup.named(self.tags, name, vpc_id=vpc))
        found: SubnetTypeDef | None = lookup.only([s for page in pages for s in page["Subnets"]], resource, self.tags)
        return found

    def _make_subnet(self, vpc: str, wanted: Subnet, name: str) -> str:
        made = self.ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=wanted.cidr,
            AvailabilityZone=wanted.zone,
            TagSpecifications=self.specification("subnet", name, checkop__tier=wanted.tier),
        )
        identifier = made["Subnet"]["SubnetId"]
        filters: list[Any] = [{"Name": "subnet-id", "Values": [identifier]}]
        _await_available(f"subnet {identifier}", lambda: self.ec2.describe_subnets(Filters=filters)["Subnets"])
        return identifier

    def remove_other_subnets(self, vpc: str) -> None:
        """Remove subnets of ours that left the inventory; AWS refuses while anything lies in one."""
        wanted = {f"{self.network.name}-{subnet.name}" for subnet in self.network.subnets}
        for tier in ("public", "data"):
            for subnet in lookup.subnets(self.ec2, vpc, self.tags, tier):
                name, identifier = tag_map(subnet.get("Tags")).get("Name", ""), subnet["SubnetId"]
                if name in wanted:
                    continue
                self.plan.delete(
                    f"Subnet {name}",
                    {"cidr": subnet["CidrBlock"], "zone": subnet["AvailabilityZone"], "tier": tier},
                    lambda identifier=identifier: self.ec2.delete_subnet(SubnetId=identifier),  # type: ignore[misc]
                )

    def route_table(self, vpc: str, tier: str, gateway: str, subnets: Mapping[str, str]) -> str:
        """The routes of a tier: the public one leads to the internet, the data one stays inside (CreateRouteTable)."""
        name = f"{self.network.name}-{tier}"
        resource = f"Route table {name}"
        pages = self.ec2.get_paginator("describe_route_tables").paginate(
            Filters=lookup.named(self.tags, name, vpc_id=vpc)
        )
        found: RouteTableTypeDef | None = lookup.only(
            [table for page in pages for table in page["RouteTables"]], resource, self.tags
        )
        routes: Sequence[RouteTypeDef] = []
        associated: set[str] = set()
        if found is None:
            identifier = self.plan.create(
                resource,
                {"tier": tier},
                lambda: self.ec2.create_route_table(
                    VpcId=vpc, TagSpecifications=self.specification("route-table", name)
                )["RouteTable"]["RouteTableId"],
            )
        else:
            identifier = found["RouteTableId"]
            routes = found["Routes"]
            associated = {entry["SubnetId"] for entry in found["Associations"] if "SubnetId" in entry}
            self.tag(resource, identifier, tag_map(found.get("Tags")), self.tags)
        self._routes(resource, identifier, routes, {ANYWHERE: gateway} if tier == "public" else {})
        for subnet in self.network.subnets:
            if subnet.tier == tier and subnets[subnet.name] not in associated:
                self._associate(f"{resource} subnet {subnet.name}", identifier, subnets[subnet.name])
        return identifier

    def _routes(self, resource: str, table: str, routes: Sequence[RouteTypeDef], wanted: Mapping[str, str]) -> None:
        # Routes of the VPC itself and of gateway endpoints (to a prefix list) are AWS's own business.
        current = {
            route["DestinationCidrBlock"]: _target(route)
            for route in routes
            if "DestinationCidrBlock" in route and route.get("GatewayId") != "local"
        }
        for cidr, gateway in wanted.items():
            if cidr not in current:
                self.plan.create(
                    f"{resource} route {cidr}",
                    gateway,
                    lambda cidr=cidr, gateway=gateway: str(  # type: ignore[misc]
                        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=cidr, GatewayId=gateway)
                    ),
                )
                continue
            self.plan.update(
                f"{resource} route {cidr}",
                current[cidr],
                gateway,
                lambda cidr=cidr, gateway=gateway: self.ec2.replace_route(  # type: ignore[misc]
                    RouteTableId=table, DestinationCidrBlock=cidr, GatewayId=gateway
                ),
            )
        for cidr in sorted(set(current) - set(wanted)):
            self.plan.delete(
                f"{resource} route {cidr}",
                current[cidr],
                lambda cidr=cidr: self.ec2.delete_route(  # type: ignore[misc]
                    RouteTableId=table, DestinationCidrBlock=cidr
                ),
            )

    def _associate(self, resource: str, table: str, subnet: str) -> None:
        found = self.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
        associations = [
            entry
            for other in found["RouteTables"]
            for entry in other["Associations"]
            if entry.get("SubnetId") == subnet
        ]
        if not associations:
            self.plan.create(
                resource,
                table,
                lambda: self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"],
            )
            return
        identifier = associations[0]["RouteTableAssociationId"]
        self.plan.update(
            resource,
            associations[0]["RouteTableId"],
            table,
            lambda: self.ec2.replace_route_table_association(AssociationId=identifier, RouteTableId=table),
        )

    def gateway_endpoints(self, vpc: str, tables: Sequence[str]) -> None:
        """Private ways to AWS services that cost nothing (EC2 CreateVpcEndpoint, type Gateway)."""
        region = self.ec2.meta.region_name
        wanted = {f"com.amazonaws.{region}.{service}": service for service in self.network.gateway_endpoints}
        pages = self.ec2.get_paginator("describe_vpc_endpoints").paginate(
            Filters=[*lookup.owned(self.tags, vpc_id=vpc), {"Name": "vpc-endpoint-type", "Values": ["Gateway"]}]
        )
        gone = ("deleting", "deleted")
        found = {e["ServiceName"]: e for page in pages for e in page["VpcEndpoints"] if e["State"].lower() not in gone}
        for service, short in wanted.items():
            resource = f"Gateway endpoint {self.network.name}-{short}"
            if service not in found:
                self.plan.create(
                    resource,
                    {"service": service, "route tables": len(tables)},
                    lambda service=service, short=short: self.ec2.create_vpc_endpoint(  # type: ignore[misc]
                        VpcId=vpc,
                        VpcEndpointType="Gateway",
                        ServiceName=service,
                        RouteTableIds=list(tables),
                        TagSpecifications=self.specification("vpc-endpoint", f"{self.network.name}-{short}"),
                    )["VpcEndpoint"]["VpcEndpointId"],
                )
                continue
            identifier, has = found[service]["VpcEndpointId"], set(found[service]["RouteTableIds"])
            self.plan.update(
                f"{resource} route tables",
                sorted(has),
                sorted(tables),
                lambda identifier=identifier, has=has: self.ec2.modify_vpc_endpoint(  # type: ignore[misc]
                    VpcEndpointId=identifier,
                    AddRouteTableIds=sorted(set(tables) - has),
                    RemoveRouteTableIds=sorted(has - set(tables)),
                ),
            )
        for service in sorted(set(found) - set(wanted)):
            identifier = found[service]["VpcEndpointId"]
            self.plan.delete(
                f"Gateway endpoint {service}",
                {"service": service},
                lambda identifier=identifier: self.ec2.delete_vpc_endpoints(  # type: ignore[misc]
                    VpcEndpointIds=[identifier]
                ),
            )


def _await_available(what: str, describe: Callable[[], Sequence[Any]]) -> None:
    """Wait for something new, described by a filter.

    EC2's own waiters describe by id, which is an error, and their end, as long as EC2 does not know it everywhere.
    """

    def look() -> tuple[bool, str]:
        found = describe()
        state = found[0]["State"] if found else "not visible yet"
        return state == "available", state

    wait_until(what, look, timeout_seconds=AVAILABLE_SECONDS)


def _target(route: RouteTypeDef) -> str:
    for key in ("GatewayId", "NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId"):
        value = route.get(key)
        if value:
            return str(value)
    return "unknown target"
