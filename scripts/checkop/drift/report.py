"""What differs between AWS and the inventory, resource by resource: from the roles' diffs to text and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Kind = Literal["missing", "unexpected", "differs"]
ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """One resource that differs.

    Parameters
    ----------
    system:
        The system of the environment, as the playbooks name it.
    resource:
        What it is and its name.
    kind:
        ``missing`` in AWS, ``unexpected`` there, or ``differs``.
    before, after:
        As AWS has it and as the inventory wants it; None for absent.
    """

    system: str
    resource: str
    kind: Kind
    before: Any
    after: Any


@dataclass
class Report:
    """The whole comparison.

    Parameters
    ----------
    systems:
        Systems compared, in order.
    differences:
        What differs.
    error:
        Why the comparison could not be finished; empty when it could.
    """

    systems: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    error: str = ""

    @property
    def equal(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return bool(self.systems) and not self.differences and not self.error


def read(events: Iterable[Mapping[str, Any]]) -> Report:
    """Build the report from the events that the callback `checkop_drift` wrote.

    Parameters
    ----------
    events:
        Each with ``system``, ``task``, ``status`` (``ok``, ``failed``), ``changed``, and ``diff`` or ``message``.
    """
    report = Report()
    for event in events:
        system = event["system"]
        if system not in report.systems:
            report.systems.append(system)
        if event["status"] == "failed":
            report.error = f"{system}: {event['task']}: {event['message']}"
        elif event["changed"]:
            report.differences += differences(system, event["task"], event.get("diff") or [])
    return report


def differences(system: str, task: str, diff: Any) -> list[Difference]:
    """Turn one task's diff into differences; a changed task without a diff is one of its own."""
    entries = [diff] if isinstance(diff, Mapping) else list(diff)
    found = []
    for entry in entries:
        before, after = parse(entry.get("before")), parse(entry.get("after"))
        kind: Kind = "missing" if before is None else "unexpected" if after is None else "differs"
        found.append(Difference(system, entry.get("before_header") or task, kind, before, after))
    return found or [Difference(system, task, "differs", None, None)]


def parse(text: Any) -> Any:
    """Read one side of a diff; our modules write YAML, others plain text. Nothing stands for absent."""
    if not isinstance(text, str):
        return text or None
    if not text.strip():
        return None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def lines(before: Any, after: Any, path: str = "") -> list[str]:
    """Say what differs, one line for each attribute, with dots between the names of nested ones."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = []
        for name in sorted({**before, **after}, key=str):
            if before.get(name) != after.get(name):
                inner = f"{path}.{name}" if path else str(name)
                found += lines(before.get(name, ABSENT), after.get(name, ABSENT), inner)
        return found
    return [f"{path or 'value'}: {_short(before)}, inventory: {_short(after)}"]


def _short(value: Any) -> str:
    if value in (ABSENT, None):
        return "nothing"
    if isinstance(value, (Mapping, list)):
        return str(yaml.safe_dump(value, default_flow_style=True, width=10_000)).strip()
    return str(value)


def as_text(report: Report, inventory: str) -> list[str]:
    """Write the report for a person: every system, and under it what differs."""
    text = []
    for system in report.systems:
        found = [difference for difference in report.differences if difference.system == system]
        text.append(f"{system}: {'equal' if not found else ''}".rstrip())
        for difference in found:
            text.append(f"  {difference.resource}: {difference.kind}")
            if difference.kind == "differs" and difference.after is not None:
                text += [f"    {line}" for line in lines(difference.before, difference.after)]
    if report.error:
        text.append(f"The comparison ended early, in {report.error}")
    elif report.equal:
        text.append(f"AWS equals {inventory} in what was compared: {', '.join(report.systems)}.")
    else:
        number = len(report.differences)
        text.append(
            f"{number} resource{'s' if number != 1 else ''} differ{'s' if number == 1 else ''} from {inventory}. "
            f"To make AWS equal it: ansible-playbook -i {inventory} playbooks/site.yml"
        )
    return text


def as_data(report: Report, inventory: str) -> dict[str, Any]:
    """Write the report for a machine."""
    return {
        "inventory": inventory,
        "equal": report.equal,
        "error": report.error,
        "systems": {
            system: sum(difference.system == system for difference in report.differences) for system in report.systems
        },
        "differences": [
            {
                "system": difference.system,
                "resource": difference.resource,
                "kind": difference.kind,
                "aws": difference.before,
                "inventory": difference.after,
            }
            for difference in report.differences
        ],
    }


def exit_status(report: Report) -> int:
    """Return 0 for equal, 2 for drift, 1 for a comparison that could not be finished."""
    if report.error:
        return 1
    return 2 if report.differences else 0


def merge(values: Sequence[Any]) -> list[Any]:
    """Flatten the diffs of a loop's items into one list."""
    merged: list[Any] = []
    for value in values:
        merged += [value] if isinstance(value, Mapping) else list(value or [])
    return merged
