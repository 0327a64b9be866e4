"""Network ACLs of the tiers: stateless, by CIDR block, the lowest rule number that matches decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from checkop.paths.model import PROTOCOLS, WITH_PORTS
from checkop.provision import lookup
from checkop.reconcile import missing_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import NetworkAclEntryTypeDef, NetworkAclTypeDef

    from checkop.paths.model import AclRule, NetworkAcl
    from checkop.reconcile import Plan

# AWS's own last rule, which denies the rest; it can be neither changed nor removed.
LAST_RULE = 32767
ACL_TAG = "checkop:network-acl"
EVERYTHING = -1

Key = tuple[bool, int]


class NetworkAclsReconciler:
    """Make the network ACLs of a VPC true, and the tiers' subnets theirs.

    Parameters
    ----------
    prefix:
        Name of the VPC; an ACL's ``Name`` tag is ``<prefix>-<name>``.
    """

    def __init__(self, ec2: EC2Client, plan: Plan, prefix: str, tags: Mapping[str, str]) -> None:
        self.ec2 = ec2
        self.plan = plan
        self.prefix = prefix
        self.tags = tags

    def run(self, vpc: str, acls: Iterable[NetworkAcl]) -> dict[str, str]:
        """Make them true and give their ids by short name."""
        pages = self.ec2.get_paginator("describe_network_acls").paginate(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
        existing = [acl for page in pages for acl in page["NetworkAcls"]]
        by_name = {tag_map(acl.get("Tags")).get("Name", ""): acl for acl in existing if not acl["IsDefault"]}
        associations = {
            entry["SubnetId"]: (entry["NetworkAclAssociationId"], acl["NetworkAclId"])
            for acl in existing
            for entry in acl["Associations"]
        }
        ids = {}
        for acl in acls:
            name = f"{self.prefix}-{acl.name}"
            ids[acl.name] = self._acl(vpc, name, acl, by_name.get(name))
            for subnet in lookup.subnets(self.ec2, vpc, self.tags, acl.tier):
                self._associate(name, ids[acl.name], subnet["SubnetId"], associations)
        self._remove({f"{self.prefix}-{name}" for name in ids}, by_name)
        return ids

    def _acl(self, vpc: str, name: str, acl: NetworkAcl, found: NetworkAclTypeDef | None) -> str:
        tags = {**self.tags, "Name": name, ACL_TAG: acl.name}
        entries: Iterable[NetworkAclEntryTypeDef] = ()
        if found is None:
            identifier = self.plan.create(
                f"Network ACL {name}",
                {"tier": acl.tier},
                lambda: self.ec2.create_network_acl(
                    VpcId=vpc, TagSpecifications=[{"ResourceType": "network-acl", "Tags": tag_list(tags)}]
                )["NetworkAcl"]["NetworkAclId"],
            )
        else:
            identifier = found["NetworkAclId"]
            entries = found["Entries"]
            lacking = missing_tags(tag_map(found.get("Tags")), tags)
            self.plan.update(
                f"Network ACL {name} tags",
                {},
                lacking,
                lambda: self.ec2.create_tags(Resources=[identifier], Tags=tag_list(lacking)),
            )
        self._entries(name, identifier, entries, acl.rules)
        return identifier

    def _entries(
        self, name: str, identifier: str, found: Iterable[NetworkAclEntryTypeDef], rules: Iterable[AclRule]
    ) -> None:
        current = {
            (entry["Egress"], entry["RuleNumber"]): _read(entry) for entry in found if entry["RuleNumber"] != LAST_RULE
        }
        wanted = {(rule.direction == "egress", rule.number): _want(rule) for rule in rules}
        for side, egress in (("ingress", False), ("egress", True)):
            self.plan.update(
                f"Network ACL {name} {side}",
                _lines(current, egress=egress),
                _lines(wanted, egress=egress),
                lambda egress=egress: self._apply(identifier, egress, current, wanted),  # type: ignore[misc]
            )

    def _apply(
        self, identifier: str, egress: bool, current: Mapping[Key, dict[str, Any]], wanted: Mapping[Key, dict[str, Any]]
    ) -> None:
        # Write first and remove last, so that no wanted flow is cut in between.
        for key in sorted(wanted):
            if key[0] != egress or current.get(key) == wanted[key]:
                continue
            call = self.ec2.replace_network_acl_entry if key in current else self.ec2.create_network_acl_entry
            call(NetworkAclId=identifier, RuleNumber=key[1], Egress=egress, **wanted[key])
        for key in sorted(set(current) - set(wanted)):
            if key[0] == egress:
                self.ec2.delete_network_acl_entry(NetworkAclId=identifier, RuleNumber=key[1], Egress=egress)

    def _associate(self, name: str, identifier: str, subnet: str, associations: Mapping[str, tuple[str, str]]) -> None:
        # Every subnet has an ACL from its first moment: the VPC's default one.
        association, current = associations[subnet]
        self.plan.update(
            f"Network ACL {name} subnet {subnet}",
            current,
            identifier,
            lambda: self.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=identifier),
        )

    def _remove(self, wanted: set[str], by_name: Mapping[str, NetworkAclTypeDef]) -> None:
        for name, acl in sorted(by_name.items()):
            if ACL_TAG in tag_map(acl.get("Tags")) and name not in wanted:
                identifier = acl["NetworkAclId"]
                self.plan.delete(
                    f"Network ACL {name}",
                    {"name": name},
                    lambda identifier=identifier: self.ec2.delete_network_acl(  # type: ignore[misc]
                        NetworkAclId=identifier
                    ),
                )


def _read(entry: NetworkAclEntryTypeDef) -> dict[str, Any]:
    protocol = int(entry["Protocol"])
    values: dict[str, Any] = {
        "Protocol": str(protocol),
        "RuleAction": entry["RuleAction"],
        "CidrBlock": entry.get("CidrBlock", entry.get("Ipv6CidrBlock", "")),
    }
    if protocol in (PROTOCOLS["tcp"], PROTOCOLS["udp"]):
        ports = entry.get("PortRange", {})
        values["PortRange"] = {"From": int(ports.get("From", 0)), "To": int(ports.get("To", 0))}
    if protocol == PROTOCOLS["icmp"]:
        icmp = entry.get("IcmpTypeCode", {})
        values["IcmpTypeCode"] = {"Type": int(icmp.get("Type", 0)), "Code": int(icmp.get("Code", 0))}
    return values


def _want(rule: AclRule) -> dict[str, Any]:
    values: dict[str, Any] = {
        "Protocol": str(PROTOCOLS[rule.protocol]),
        "RuleAction": rule.action,
        "CidrBlock": str(rule.cidr),
    }
    if rule.protocol in WITH_PORTS:
        values["PortRange"] = {"From": rule.ports.low, "To": rule.ports.high}
    if rule.protocol == "icmp":
        values["IcmpTypeCode"] = {"Type": EVERYTHING, "Code": EVERYTHING}
    return values


def _lines(rules: Mapping[Key, dict[str, Any]], *, egress: bool) -> list[str]:
    names = {str(number): name for name, number in PROTOCOLS.items()}
    lines = []
    for (side, number), values in sorted(rules.items()):
        if side != egress:
            continue
        protocol = names.get(values["Protocol"], values["Protocol"])
        ports = values.get("PortRange")
        span = "" if ports is None else f" {ports['From']}-{ports['To']}"
        lines.append(f"{number} {values['RuleAction']} {protocol}{span} {values['CidrBlock']}")
    return lines
