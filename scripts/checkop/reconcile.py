"""Compare what AWS has with what the inventory wants, note every difference, and close it unless only asked to check.

Modules of ours share this, so that `--check --diff`, the drift report and a real run say the same in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

# Stands for an id or address that AWS gives only when it makes the resource, where a check run needs a value.
UNKNOWN = "(known after creation)"

Action = Literal["equal", "create", "update", "delete"]


@dataclass(frozen=True)
class Outcome:
    """One resource, compared.

    Parameters
    ----------
    resource:
        What it is and its name, for example ``EFS file system ChOp-Temp``.
    action:
        ``equal``, or what was (in check mode: would be) done.
    before, after:
        Attribute to value: only what differs, empty where there is nothing (a creation has no ``before``).
    """

    resource: str
    action: Action
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


class Reconciler:
    """Notes outcomes and applies changes.

    Parameters
    ----------
    check:
        True: nothing is changed, only noted.
    """

    def __init__(self, *, check: bool) -> None:
        self.check = check
        self.outcomes: list[Outcome] = []

    @property
    def changed(self) -> bool:
        """Whether anything differed."""
        return any(outcome.action != "equal" for outcome in self.outcomes)

    def step(
        self,
        resource: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        apply: Callable[[], T],
    ) -> T | None:
        """Compare one resource and close the difference.

        Parameters
        ----------
        resource:
            What it is and its name.
        before:
            Attributes as they are, the same names as in ``after``; None where the resource does not exist.
        after:
            Attributes as wanted; None where the resource is not wanted.
        apply:
            Makes the change; not called when nothing differs or in check mode.

        Returns
        -------
        T | None
            What ``apply`` returned; None where it was not called.
        """
        outcome = compare(resource, before, after)
        self.outcomes.append(outcome)
        if outcome.action == "equal" or self.check:
            return None
        return apply()

    def fixed(self, resource: str, before: Mapping[str, Any], after: Mapping[str, Any], mend: str) -> None:
        """Compare attributes that AWS cannot change on an existing resource.

        Raises
        ------
        CheckopError
            They differ and this is not a check; a check only notes it.
        """
        outcome = compare(resource, before, after)
        self.outcomes.append(outcome)
        if outcome.action != "equal" and not self.check:
            differences = ", ".join(
                f"{name} is {outcome.before.get(name)!r}, wanted {outcome.after.get(name)!r}"
                for name in sorted({*outcome.before, *outcome.after})
            )
            raise CheckopError(f"{resource} cannot be changed in place: {differences}. {mend}")


def compare(resource: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Outcome:
    """Compare one resource's attributes; both None (absent and not wanted) is equal."""
    if before is None or after is None:
        if before is after:
            return Outcome(resource, "equal")
        if before is None:
            return Outcome(resource, "create", {}, dict(after or {}))
        return Outcome(resource, "delete", dict(before), {})
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not names:
        return Outcome(resource, "equal")
    return Outcome(
        resource,
        "update",
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names if name in after},
    )
