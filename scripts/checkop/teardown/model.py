"""Kinds of resources that can be removed, and the engine that removes them one kind after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checkop import removal
from checkop.errors import CheckopError
from checkop.ownership import ENVIRONMENT_TAG, MANAGED_BY_TAG, owned
from checkop.reconcile import retry, tag_map
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from checkop.aws import Clients
    from checkop.reconcile import Plan

# Environments that no command of this project removes.
PROTECTED = frozenset({"production"})
# AWS still counts something that was removed a moment ago as a user of this one.
STILL_IN_USE = (
    *removal.HELD,
    "InvalidIPAddress.InUse",
    "ResourceInUse",
    "ResourceInUseException",
    "DeleteConflict",
    "InvalidGroup.InUse",
    "FileSystemInUse",
    "InvalidDBSubnetGroupStateFault",
    "InvalidDBParameterGroupStateFault",
    "InvalidDBParameterGroupState",
    # A final snapshot wants an instance that is not being modified.
    "InvalidDBInstanceState",
)


@dataclass(frozen=True)
class Scope:
    """What belongs to the environment.

    Parameters
    ----------
    tags:
        The inventory's ``aws_tags``: only what carries both marks is removed.
    dashboard:
        Name of the dashboard, which takes no tags and is known by a mark in its text.
    ssm_prefix:
        Path below which every SSM parameter is this environment's.
    keep:
        Ids of things that carry the marks and were yet not made here, such as a hosted zone that was taken over.
    final_snapshot:
        Whether databases leave a snapshot behind, and their secrets can be restored for a while.
    wait_seconds:
        Bound of the wait for each kind.
    """

    tags: Mapping[str, str]
    dashboard: str
    ssm_prefix: str
    keep: frozenset[str]
    final_snapshot: bool
    wait_seconds: int

    @property
    def environment(self) -> str:
        """``checkop_environment``."""
        return self.tags[ENVIRONMENT_TAG]

    def owns(self, tags: Any) -> bool:
        """Say whether tags, as a mapping or as AWS's list, are this environment's."""
        return owned(tags if isinstance(tags, dict) else tag_map(tags), self.tags)

    @property
    def marks(self) -> dict[str, str]:
        """The two tags that mark ownership."""
        return {name: self.tags[name] for name in (ENVIRONMENT_TAG, MANAGED_BY_TAG)}

    @property
    def filters(self) -> list[Any]:
        """EC2 filters for both marks."""
        return [{"Name": f"tag:{name}", "Values": [self.tags[name]]} for name in self.marks]


@dataclass(frozen=True)
class Item:
    """One resource: its id, a name for people, and what its removal needs to know besides."""

    id: str
    name: str = ""
    detail: Any = None

    def __str__(self) -> str:
        """Name and id."""
        return f"{self.name} ({self.id})" if self.name and self.name != self.id else self.id


@dataclass(frozen=True)
class Kind:
    """How one kind of resource is found and removed.

    Parameters
    ----------
    name:
        For people.
    find:
        Returns what the scope owns and AWS has not removed yet.
    remove:
        Asks AWS to remove one; it may take its time.
    """

    name: str
    find: Callable[[Clients, Scope], list[Item]]
    remove: Callable[[Clients, Scope, Item], Any]


def refuse_protected(environment: str, confirm: str, *, check: bool) -> None:
    """Prove that this environment may be removed and that the person means it.

    Raises
    ------
    CheckopError
        The environment is protected, or (not in a check) its name was not given as confirmation.
    """
    if environment in PROTECTED:
        raise CheckopError(
            f"checkop_environment is {environment!r}, which is never removed by this project. Name the inventory of a "
            "rehearsal or staging environment with -i."
        )
    if confirm != environment and not check:
        given = f"confirm is {confirm!r}" if confirm else "Nothing was confirmed"
        raise CheckopError(
            f"{given}, but everything of environment {environment!r} is about to be removed. See what with --check, "
            f"then run again with -e confirm={environment}"
        )


def remove_all(clients: Clients, plan: Plan, scope: Scope, kinds: Sequence[Kind]) -> None:
    """Remove every kind in order, each only when the one before it is gone.

    A run that was stopped is gone on with by running it again: what is gone is not found any more.

    Raises
    ------
    CheckopError
        A kind is not gone in time.
    """
    for kind in kinds:
        items = [item for item in kind.find(clients, scope) if item.id not in scope.keep]
        for item in items:
            plan.step(
                f"{kind.name} {item}",
                {"id": item.id},
                None,
                lambda kind=kind, item=item: retry(  # type: ignore[misc]
                    lambda: kind.remove(clients, scope, item), STILL_IN_USE, seconds=scope.wait_seconds
                ),
            )
        if items and not plan.check:
            _await_gone(clients, scope, kind, {item.id for item in items})


def _await_gone(clients: Clients, scope: Scope, kind: Kind, ids: set[str]) -> None:
    def look() -> tuple[bool, str]:
        left = [str(item) for item in kind.find(clients, scope) if item.id in ids]
        return not left, f"{len(left)} left: {', '.join(left)}"

    wait_until(f"{kind.name} to be gone", look, timeout_seconds=scope.wait_seconds, interval_seconds=10)
