"""Security groups whose rules name each other: all made first, then all filled (Amazon VPC User Guide)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from checkop.errors import CheckopError
from checkop.paths.model import ADMINISTRATORS, WITH_PORTS
from checkop.provision import lookup
from checkop.reconcile import missing_tags, tag_list, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef, SecurityGroupTypeDef

    from checkop.paths.model import Direction, GroupRule, SecurityGroup
    from checkop.reconcile import Plan

# The mark of groups that came from `perimeter_security_groups`: one that left the data is removed again.
GROUP_TAG = "checkop:security-group"
EVERY_PROTOCOL = "-1"
NO_PORT = -1
VISIBLE_SECONDS = 60
# Where IpPermissions keeps each kind of peer: key, field, and what tells the kind apart.
PEERS = (
    ("UserIdGroupPairs", "GroupId", "sg-"),
    ("PrefixListIds", "PrefixListId", "pl-"),
    ("Ipv6Ranges", "CidrIpv6", ":"),
    ("IpRanges", "CidrIp", "."),
)
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")


@dataclass(frozen=True, order=True)
class Rule:
    """A rule as the EC2 API has it: one protocol, one range of ports, one peer.

    Parameters
    ----------
    protocol:
        Name, or ``-1`` for all.
    peer:
        A CIDR block, or a group's id.
    """

    protocol: str
    low: int
    high: int
    peer: str

    def permission(self, description: str = "") -> IpPermissionTypeDef:
        """Give it in the shape of IpPermissions."""
        described: dict[str, str] = {"Description": description} if description else {}
        permission: dict[str, Any] = {"IpProtocol": self.protocol}
        # For ICMP the two are type and code, and -1 means every one.
        if self.protocol in (*WITH_PORTS, "icmp", "icmpv6"):
            permission |= {"FromPort": self.low, "ToPort": self.high}
        for key, field, marker in PEERS:
            if marker in self.peer:
                permission[key] = [{field: self.peer, **described}]
                break
        return cast("IpPermissionTypeDef", permission)


Rules = dict[Rule, str]


@dataclass(frozen=True)
class Side:
    """One direction of one group: the group's id, what a person calls it, and the direction."""

    group: str
    resource: str
    direction: Direction


class SecurityGroupsReconciler:
    """Make the security groups of a VPC true.

    Parameters
    ----------
    prefix:
        Name of the VPC; a group's name in AWS is ``<prefix>-<name>``.
    administrators:
        CIDR blocks that the word ``administrators`` stands for in a rule.
    """

    def __init__(
        self, ec2: EC2Client, plan: Plan, prefix: str, administrators: Sequence[str], tags: Mapping[str, str]
    ) -> None:
        self.ec2 = ec2
        self.plan = plan
        self.prefix = prefix
        self.administrators = administrators
        self.tags = tags

    def run(self, vpc: str, groups: Mapping[str, SecurityGroup]) -> dict[str, str]:
        """Make them true and give their ids by short name."""
        existing = lookup.security_groups(self.ec2, vpc)
        ids = {name: self._group(vpc, group, existing.get(self.name(name))) for name, group in groups.items()}
        if not self.plan.check and any(self.name(name) not in existing for name in groups):
            # A group made just now has AWS's own rule already: everything may leave.
            existing = self._with_new_ones(vpc, groups)
        short = {identifier: name for name, identifier in ids.items()}
        for name, group in groups.items():
            found = existing.get(self.name(name))
            for direction in DIRECTIONS:
                side = Side(ids[name], f"Security group {self.name(name)} {direction}", direction)
                self._side(side, _read(found, direction), dict(self._expand(group.side(direction), ids)), short)
        self._close_default(existing.get("default"))
        self._remove(groups, existing)
        return ids

    def _with_new_ones(self, vpc: str, groups: Iterable[str]) -> dict[str, SecurityGroupTypeDef]:
        found: dict[str, SecurityGroupTypeDef] = {}

        def look() -> tuple[bool, str]:
            nonlocal found
            found = lookup.security_groups(self.ec2, vpc)
            missing = [self.name(short) for short in groups if self.name(short) not in found]
            return not missing, f"{', '.join(missing)} not visible yet"

        wait_until("the new security groups", look, timeout_seconds=VISIBLE_SECONDS)
        return found

    def name(self, short: str) -> str:
        """Give a group's name in AWS."""
        return f"{self.prefix}-{short}"

    def _group(self, vpc: str, group: SecurityGroup, found: SecurityGroupTypeDef | None) -> str:
        name = self.name(group.name)
        tags = {**self.tags, "Name": name, GROUP_TAG: group.name}
        if found is None:
            return self.plan.create(
                f"Security group {name}",
                {"description": group.description},
                lambda: self.ec2.create_security_group(
                    GroupName=name,
                    Description=group.description,
                    VpcId=vpc,
                    TagSpecifications=[{"ResourceType": "security-group", "Tags": tag_list(tags)}],
                )["GroupId"],
            )
        if found["Description"] != group.description:
            raise CheckopError(
                f"perimeter_security_groups: {group.name} is described as {group.description!r}, but "
                f"{found['GroupId']} as {found['Description']!r}, and AWS cannot change that. Restore the "
                "description, or give the group a new name."
            )
        identifier = found["GroupId"]
        lacking = missing_tags(tag_map(found.get("Tags")), tags)
        self.plan.update(
            f"Security group {name} tags",
            {},
            lacking,
            lambda: self.ec2.create_tags(Resources=[identifier], Tags=tag_list(lacking)),
        )
        return identifier

    def _expand(self, rules: Iterable[GroupRule], ids: Mapping[str, str]) -> Iterable[tuple[Rule, str]]:
        for rule in rules:
            protocol = EVERY_PROTOCOL if rule.protocol == "all" else rule.protocol
            low, high = (rule.ports.low, rule.ports.high) if rule.protocol in WITH_PORTS else (NO_PORT, NO_PORT)
            peers = self.administrators if rule.peer == ADMINISTRATORS else [ids.get(rule.peer, rule.peer)]
            for peer in peers:
                yield Rule(protocol, low, high, peer), rule.description

    def _side(self, side: Side, found: Rules, wanted: Rules, short: Mapping[str, str]) -> None:
        def lines(rules: Rules) -> list[str]:
            return sorted(_line(rule, short.get(rule.peer, rule.peer), text) for rule, text in rules.items())

        self.plan.update(side.resource, lines(found), lines(wanted), lambda: self._apply(side, found, wanted))

    def _apply(self, side: Side, found: Rules, wanted: Rules) -> None:
        missing = [rule.permission(wanted[rule]) for rule in sorted(wanted) if rule not in found]
        renamed = [
            rule.permission(wanted[rule]) for rule in sorted(wanted) if found.get(rule, wanted[rule]) != wanted[rule]
        ]
        surplus = [rule.permission() for rule in sorted(found) if rule not in wanted]
        if side.direction == "ingress":
            authorize: Any = self.ec2.authorize_security_group_ingress
            describe: Any = self.ec2.update_security_group_rule_descriptions_ingress
            revoke: Any = self.ec2.revoke_security_group_ingress
        else:
            authorize = self.ec2.authorize_security_group_egress
            describe = self.ec2.update_security_group_rule_descriptions_egress
            revoke = self.ec2.revoke_security_group_egress
        # Open first and close last, so that no wanted flow is cut in between.
        for call, permissions in ((authorize, missing), (describe, renamed), (revoke, surplus)):
            if permissions:
                call(GroupId=side.group, IpPermissions=permissions)

    def _close_default(self, default: SecurityGroupTypeDef | None) -> None:
        # What is launched without a group lands in the VPC's default one: nothing may reach it or leave it.
        if default is None:
            return
        for direction in DIRECTIONS:
            side = Side(default["GroupId"], f"Default security group {direction}", direction)
            self._side(side, _read(default, direction), {}, {})

    def _remove(self, groups: Mapping[str, SecurityGroup], existing: Mapping[str, SecurityGroupTypeDef]) -> None:
        wanted = {self.name(name) for name in groups}
        for name, group in sorted(existing.items()):
            if GROUP_TAG in tag_map(group.get("Tags")) and name not in wanted:
                identifier = group["GroupId"]
                self.plan.delete(
                    f"Security group {name}",
                    {"description": group["Description"]},
                    lambda identifier=identifier: self.ec2.delete_security_group(  # type: ignore[misc]
                        GroupId=identifier
                    ),
                )


def _read(group: SecurityGroupTypeDef | None, direction: Direction) -> Rules:
    if group is None:
        return {}
    permissions: Any = group["IpPermissions"] if direction == "ingress" else group["IpPermissionsEgress"]
    rules = {}
    for permission in permissions:
        protocol = permission["IpProtocol"]
        low, high = permission.get("FromPort", NO_PORT), permission.get("ToPort", NO_PORT)
        for key, field, _ in PEERS:
            for entry in permission.get(key, ()):
                rules[Rule(protocol, low, high, entry[field])] = entry.get("Description", "")
    return rules


def _line(rule: Rule, peer: str, description: str) -> str:
    protocol = "all" if rule.protocol == EVERY_PROTOCOL else rule.protocol
    ports = "" if rule.low < 0 else f" {rule.low}" if rule.low == rule.high else f" {rule.low}-{rule.high}"
    return f"{protocol}{ports} {peer}: {description}"
