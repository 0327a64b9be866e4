"""What the teardown refuses, and in which order it goes on."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from checkop.errors import CheckopError
from checkop.reconcile import Plan
from checkop.teardown.compute import remove_instance
from checkop.teardown.model import Item, Kind, Scope, refuse_protected, remove_all
from checkop.teardown.order import ORDER

TAGS = {"checkop:environment": "staging", "checkop:managed-by": "checkop-environment"}
SCOPE = Scope(TAGS, "CheckOP-staging", "/checkop/staging", frozenset({"kept"}), final_snapshot=False, wait_seconds=2)


class Shelf:
    """A kind whose things are in a list."""

    def __init__(self, *ids: str, refusals: int = 0) -> None:
        self.ids = list(ids)
        self.refusals = refusals

    def kind(self, name: str, log: list[str]) -> Kind:
        def remove(_clients: Any, _scope: Scope, item: Item) -> None:
            if self.refusals:
                self.refusals -= 1
                raise ClientError({"Error": {"Code": "DependencyViolation"}}, "Delete")
            log.append(item.id)
            self.ids.remove(item.id)

        return Kind(name, lambda _clients, _scope: [Item(identifier) for identifier in self.ids], remove)


@pytest.mark.parametrize("confirm", ["production", "", "staging"])
@pytest.mark.parametrize("check", [False, True])
def test_production_is_never_removed(confirm: str, check: bool) -> None:
    with pytest.raises(CheckopError, match="never removed"):
        refuse_protected("production", confirm, check=check)


@pytest.mark.parametrize("confirm", ["", "yes", "Staging", "production"])
def test_only_the_name_confirms(confirm: str) -> None:
    with pytest.raises(CheckopError, match="-e confirm=staging"):
        refuse_protected("staging", confirm, check=False)
    refuse_protected("staging", confirm, check=True)
    refuse_protected("staging", "staging", check=False)


def test_kinds_go_one_after_the_other_and_what_is_kept_stays() -> None:
    log: list[str] = []
    first, second = Shelf("a", "kept", "b"), Shelf("c")
    plan = Plan(check=False)
    remove_all(None, plan, SCOPE, [first.kind("First", log), second.kind("Second", log)])  # type: ignore[arg-type]
    assert log == ["a", "b", "c"]
    assert first.ids == ["kept"]
    assert [change.resource for change in plan.changes] == ["First a", "First b", "Second c"]


def test_a_check_removes_nothing() -> None:
    log: list[str] = []
    shelf, plan = Shelf("a"), Plan(check=True)
    remove_all(None, plan, SCOPE, [shelf.kind("First", log)])  # type: ignore[arg-type]
    assert (log, shelf.ids, plan.changed) == ([], ["a"], True)


def test_what_is_still_in_use_is_tried_again() -> None:
    log: list[str] = []
    remove_all(None, Plan(check=False), SCOPE, [Shelf("a", refusals=1).kind("First", log)])  # type: ignore[arg-type]
    assert log == ["a"]


def test_what_ends_already_is_not_touched() -> None:
    item = Item("i-1", "app", "shutting-down")
    remove_instance(None, SCOPE, item)  # type: ignore[arg-type]


def test_what_does_not_go_is_told() -> None:
    stubborn = Kind("Rock", lambda _clients, _scope: [Item("r", "rock")], lambda _clients, _scope, _item: None)
    with pytest.raises(CheckopError, match=r"Waited 2 s for Rock to be gone, last seen: 1 left: rock \(r\)"):
        remove_all(None, Plan(check=False), SCOPE, [stubborn])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tags", "ours"),
    [
        (TAGS, True),
        ([{"Key": name, "Value": value} for name, value in TAGS.items()], True),
        ({"checkop:environment": "staging"}, False),
        ({**TAGS, "checkop:environment": "production"}, False),
        ([], False),
        (None, False),
    ],
)
def test_both_marks_are_asked_for(tags: Any, ours: bool) -> None:
    assert SCOPE.owns(tags) is ours


@pytest.mark.parametrize(
    ("user", "used"),
    [
        ("Auto Scaling group", "EC2 instance"),
        ("Auto Scaling group", "Launch template"),
        ("EC2 instance", "Elastic IP"),
        ("AMI", "Snapshot"),
        ("Load balancer", "Target group"),
        ("Load balancer", "ACM certificate"),
        ("Load balancer", "S3 bucket"),
        ("RDS instance", "RDS subnet group"),
        ("RDS instance", "RDS parameter group"),
        ("EFS mount target", "EFS file system"),
        ("EFS mount target", "Security group"),
        ("Rules of security group", "Security group"),
        ("Security group", "VPC"),
        ("Network ACL", "Subnet"),
        ("Route table", "Subnet"),
        ("Subnet", "VPC"),
        ("Internet gateway", "VPC"),
        ("Flow log", "Log group"),
        ("Instance profile", "IAM role"),
        ("EC2 instance", "Instance profile"),
    ],
)
def test_users_go_before_what_they_use(user: str, used: str) -> None:
    names = [kind.name for kind in ORDER]
    assert names.index(user) < names.index(used)
