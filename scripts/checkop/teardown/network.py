"""The VPC and everything in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.reconcile import tag_map
from checkop.teardown.compute import named
from checkop.teardown.model import Item, Kind

if TYPE_CHECKING:
    from checkop.aws import Clients
    from checkop.teardown.model import Scope


def find_flow_logs(clients: Clients, scope: Scope) -> list[Item]:
    """Flow logs."""
    pages = clients.ec2.get_paginator("describe_flow_logs").paginate()
    found = [log for page in pages for log in page["FlowLogs"] if scope.owns(log.get("Tags"))]
    return named(found, "FlowLogId")


def find_endpoints(clients: Clients, scope: Scope) -> list[Item]:
    """VPC endpoints, gateways and interfaces."""
    pages = clients.ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=scope.filters)
    found = [endpoint for page in pages for endpoint in page["VpcEndpoints"] if endpoint["State"].lower() != "deleted"]
    return named(found, "VpcEndpointId")


def find_security_groups(clients: Clients, scope: Scope) -> list[Item]:
    """Security groups with their rules."""
    pages = clients.ec2.get_paginator("describe_security_groups").paginate(Filters=scope.filters)
    return [Item(group["GroupId"], group["GroupName"], group) for page in pages for group in page["SecurityGroups"]]


def find_referring_rules(clients: Clients, scope: Scope) -> list[Item]:
    """Security groups that still have rules: groups that name each other can only go when no rule does."""
    return [
        item
        for item in find_security_groups(clients, scope)
        if item.detail["IpPermissions"] or item.detail["IpPermissionsEgress"]
    ]


def remove_rules(clients: Clients, _scope: Scope, item: Item) -> None:
    """Revoke all rules of a group."""
    if item.detail["IpPermissions"]:
        clients.ec2.revoke_security_group_ingress(GroupId=item.id, IpPermissions=item.detail["IpPermissions"])
    if item.detail["IpPermissionsEgress"]:
        clients.ec2.revoke_security_group_egress(GroupId=item.id, IpPermissions=item.detail["IpPermissionsEgress"])


def find_subnets(clients: Clients, scope: Scope) -> list[Item]:
    """Subnets."""
    pages = clients.ec2.get_paginator("describe_subnets").paginate(Filters=scope.filters)
    return named([subnet for page in pages for subnet in page["Subnets"]], "SubnetId")


def find_network_acls(clients: Clients, scope: Scope) -> list[Item]:
    """Network ACLs; a VPC's default one goes with the VPC."""
    pages = clients.ec2.get_paginator("describe_network_acls").paginate(Filters=scope.filters)
    acls: list[Any] = [acl for page in pages for acl in page["NetworkAcls"] if not acl["IsDefault"]]
    return [Item(acl["NetworkAclId"], tag_map(acl["Tags"]).get("Name", ""), acl) for acl in acls]


def remove_network_acl(clients: Clients, _scope: Scope, item: Item) -> None:
    """Give the subnets of an ACL back to the VPC's default one, then delete it."""
    default = clients.ec2.describe_network_acls(
        Filters=[{"Name": "vpc-id", "Values": [item.detail["VpcId"]]}, {"Name": "default", "Values": ["true"]}]
    )["NetworkAcls"][0]["NetworkAclId"]
    for association in item.detail["Associations"]:
        clients.ec2.replace_network_acl_association(
            AssociationId=association["NetworkAclAssociationId"], NetworkAclId=default
        )
    clients.ec2.delete_network_acl(NetworkAclId=item.id)


def find_route_tables(clients: Clients, scope: Scope) -> list[Item]:
    """Route tables; a VPC's main one goes with the VPC."""
    pages = clients.ec2.get_paginator("describe_route_tables").paginate(Filters=scope.filters)
    tables: list[Any] = [table for page in pages for table in page["RouteTables"]]
    return [
        Item(table["RouteTableId"], tag_map(table["Tags"]).get("Name", ""), table["Associations"])
        for table in tables
        if not any(association.get("Main") for association in table["Associations"])
    ]


def remove_route_table(clients: Clients, _scope: Scope, item: Item) -> None:
    """Take a route table off its subnets, then delete it."""
    for association in item.detail:
        clients.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    clients.ec2.delete_route_table(RouteTableId=item.id)


def find_gateways(clients: Clients, scope: Scope) -> list[Item]:
    """Internet gateways with the VPCs that they are attached to."""
    pages = clients.ec2.get_paginator("describe_internet_gateways").paginate(Filters=scope.filters)
    return [
        Item(gateway["InternetGatewayId"], detail=[attachment["VpcId"] for attachment in gateway["Attachments"]])
        for page in pages
        for gateway in page["InternetGateways"]
    ]


def remove_gateway(clients: Clients, _scope: Scope, item: Item) -> None:
    """Detach and delete an internet gateway."""
    for vpc in item.detail:
        clients.ec2.detach_internet_gateway(InternetGatewayId=item.id, VpcId=vpc)
    clients.ec2.delete_internet_gateway(InternetGatewayId=item.id)


def find_vpcs(clients: Clients, scope: Scope) -> list[Item]:
    """VPCs."""
    pages = clients.ec2.get_paginator("describe_vpcs").paginate(Filters=scope.filters)
    return named([vpc for page in pages for vpc in page["Vpcs"]], "VpcId")


KINDS = (
    Kind("Flow log", find_flow_logs, lambda clients, _scope, item: clients.ec2.delete_flow_logs(FlowLogIds=[item.id])),
    Kind(
        "VPC endpoint",
        find_endpoints,
        lambda clients, _scope, item: clients.ec2.delete_vpc_endpoints(VpcEndpointIds=[item.id]),
    ),
    Kind("Rules of security group", find_referring_rules, remove_rules),
    Kind(
        "Security group",
        find_security_groups,
        lambda clients, _scope, item: clients.ec2.delete_security_group(GroupId=item.id),
    ),
    Kind("Network ACL", find_network_acls, remove_network_acl),
    Kind("Route table", find_route_tables, remove_route_table),
    Kind("Subnet", find_subnets, lambda clients, _scope, item: clients.ec2.delete_subnet(SubnetId=item.id)),
    Kind("Internet gateway", find_gateways, remove_gateway),
    Kind("VPC", find_vpcs, lambda clients, _scope, item: clients.ec2.delete_vpc(VpcId=item.id)),
)
