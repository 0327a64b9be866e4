"""Compare what is wanted with what AWS has: change the difference, or in check mode only tell it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from botocore.exceptions import ClientError

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

T = TypeVar("T")

# Stands for an id, an address or an ARN that AWS gives only when it makes the resource. No AWS id starts like it.
UNKNOWN = "(known after creation)"
# AWS does not know yet what was made a moment ago (EC2 API, "Eventual consistency"), or is still busy with it: S3
# answers OperationAborted while it sets a bucket up.
NOT_YET = frozenset(
    {f"Invalid{kind}.NotFound" for kind in ("Group", "SecurityGroupID", "AllocationID", "InstanceID")}
    | {
        f"Invalid{kind}{word}.NotFound"
        for kind in ("Vpc", "Subnet", "InternetGateway", "RouteTable", "NetworkAcl", "VpcEndpoint")
        for word in ("ID", "Id")
    }
    | {"NoSuchBucket", "OperationAborted"}
)


@dataclass(frozen=True)
class Change:
    """One difference between the wanted state and AWS.

    Parameters
    ----------
    resource:
        What a person calls it, for example ``subnet checkop-public-1a``.
    before:
        Plain data as AWS has it; None: it does not exist.
    after:
        Plain data as wanted; None: it is to go.
    """

    resource: str
    before: Any
    after: Any


class Plan:
    """The differences found so far, in the order in which they are closed.

    Calls that change something are repeated for a minute where AWS has not heard yet of what an earlier one has made.

    Parameters
    ----------
    check:
        True: tell the differences and change nothing. Ids of things that would be made are then placeholders such
        as ``(VPC checkop)``, which no AWS filter matches, so that what hangs on them shows as missing too.
    """

    def __init__(self, *, check: bool) -> None:
        self.check = check
        self.changes: list[Change] = []

    @property
    def changed(self) -> bool:
        """Whether anything differed."""
        return bool(self.changes)

    def create(self, resource: str, after: Any, apply: Callable[[], str]) -> str:
        """Make what is missing and return its id; in check mode return a placeholder."""
        self.changes.append(Change(resource, None, after))
        return f"({resource})" if self.check else retry(apply, NOT_YET)

    def update(self, resource: str, before: T, after: T, apply: Callable[[], object]) -> bool:
        """Change something if `before` and `after` differ; return whether they did."""
        if before == after:
            return False
        self.changes.append(Change(resource, before, after))
        if not self.check:
            retry(apply, NOT_YET)
        return True

    def delete(self, resource: str, before: Any, apply: Callable[[], object]) -> None:
        """Remove something that is not wanted."""
        self.changes.append(Change(resource, before, None))
        if not self.check:
            apply()

    def step(
        self,
        resource: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        apply: Callable[[], T],
    ) -> T | None:
        """Create, update or delete, whichever leads from `before` to `after`; None stands for absent.

        Only the attributes that differ are recorded of an update. Returns what `apply` returned, and None where it
        was not called: nothing differs, or check mode.
        """
        if before == after:
            return None
        if before is not None and after is not None:
            names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
            before = {name: before[name] for name in names if name in before}
            after = {name: after[name] for name in names if name in after}
        self.changes.append(Change(resource, before, after))
        return None if self.check else retry(apply, NOT_YET)

    def fixed(self, resource: str, before: Mapping[str, Any], after: Mapping[str, Any], mend: str) -> None:
        """Compare attributes that AWS cannot change on an existing resource.

        Raises
        ------
        CheckopError
            They differ and this is not a check; a check only records it.
        """
        if before == after:
            return
        if self.check:
            self.changes.append(Change(resource, before, after))
            return
        differences = ", ".join(
            f"{name} is {before.get(name)!r}, wanted {value!r}"
            for name, value in after.items()
            if before.get(name) != value
        )
        raise CheckopError(f"{resource} cannot be changed in place: {differences}. {mend}")

    @staticmethod
    def exists(identifier: str) -> bool:
        """Whether an id is AWS's own, and not the placeholder of something that check mode did not make."""
        return not identifier.startswith("(")

    def diff(self) -> list[dict[str, str]]:
        """Give the differences as Ansible's ``--diff`` prints them."""
        return [
            {
                "before_header": change.resource,
                "after_header": change.resource,
                "before": render(change.before),
                "after": render(change.after),
            }
            for change in self.changes
        ]


def render(value: Any) -> str:
    """Write plain data as YAML for a diff; nothing for None."""
    return "" if value is None else yaml.safe_dump(value, default_flow_style=False, width=110).removesuffix("...\n")


def tag_list(tags: Mapping[str, str], **more: str) -> list[Any]:
    """Give tags in the shape of most AWS APIs: a list of Key and Value, sorted by key."""
    return [{"Key": key, "Value": value} for key, value in sorted({**tags, **more}.items())]


def tag_map(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Give an AWS list of Key and Value as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def missing_tags(current: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Give the wanted tags that are absent or differ; tags that others added are left alone."""
    return {key: value for key, value in wanted.items() if current.get(key) != value}


def present_tags(current: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Give the current values of the tags that are wanted; tags that others added are left out."""
    return {key: current[key] for key in wanted if key in current}


def retry(
    call: Callable[[], T],
    codes: Collection[str],
    *,
    about: str = "",
    seconds: float = 60,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Repeat a call while AWS has not yet heard of something made a moment ago (it is eventually consistent).

    Parameters
    ----------
    call:
        The call, without arguments.
    codes:
        Error codes that mean "not yet".
    about:
        Words that the error's message must hold as well, whatever its case and blanks; many codes mean more than one
        thing.
    seconds:
        How long to try.
    sleep:
        For tests.

    Raises
    ------
    ClientError
        Another error, or the last one when time is up.
    """
    deadline = time.monotonic() + seconds
    pause = 0.5
    while True:
        try:
            return call()
        except ClientError as error:
            told = error.response["Error"]
            meant = _letters(about) in _letters(told.get("Message", ""))
            if told["Code"] not in codes or not meant or time.monotonic() + pause > deadline:
                raise
        sleep(pause)
        pause = min(pause * 2, 5)


def _letters(text: str) -> str:
    return "".join(text.split()).lower()
