"""Check the properties of a resource against botocore's service model, before the first call.

botocore itself checks types and required members only. The service models also hold enumerations, patterns, lengths and
limits, and the names of all members: what is outside of them is refused here, all faults of a resource at once.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError
from checkop.reconcile import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

INTEGERS = ("integer", "long")
NUMBERS = (*INTEGERS, "float", "double")
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def members(client: Any, operation: str) -> dict[str, Any]:
    """Return the input members of an operation, by name (botocore's service model); none for no operation."""
    if not operation:
        return {}
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return dict(model.input_shape.members) if model.input_shape else {}


def required(client: Any, operation: str) -> list[str]:
    """Return the names of the input members that an operation demands."""
    if not operation:
        return []
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return list(model.input_shape.required_members) if model.input_shape else []


def check(resource: str, shapes: Mapping[str, Shape], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties with the types that AWS wants; templates of Ansible give numbers and truth as text.

    Parameters
    ----------
    resource:
        What a person calls it, for messages.
    shapes:
        Name of each property that is known to its shape.
    properties:
        As the task gives them.

    Raises
    ------
    CheckopError
        One or more are unknown, of a wrong type or outside AWS's limits; each is named with what is allowed.
    """
    faults: list[str] = []
    unknown = [name for name in properties if name not in shapes]
    faults += [_unknown(name, shapes) for name in unknown]
    checked = {
        name: _value(name, shapes[name], value, faults) for name, value in properties.items() if name not in unknown
    }
    if faults:
        raise CheckopError(f"{resource}: {'; '.join(faults)}. Nothing was changed; correct the task or its variables.")
    return checked


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 3, 0.5)
    choice = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
    return f"{name} is not a property that AWS knows here ({choice})"


def _value(path: str, shape: Any, value: Any, faults: list[str]) -> Any:
    containers = {"structure": _structure, "list": _list, "map": _map}
    scalars = {"boolean": _boolean, "string": _text, **dict.fromkeys(NUMBERS, _number)}
    if shape.type_name in containers:
        return containers[shape.type_name](path, shape, value, faults)
    if isinstance(value, dict | list) and shape.type_name in scalars:
        faults.append(f"{path} is {value!r}, allowed is a {shape.type_name}")
        return value
    return scalars[shape.type_name](path, shape, value, faults) if shape.type_name in scalars else value


def _map(path: str, shape: Any, value: Any, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        faults.append(f"{path} is {value!r}, allowed is a mapping")
        return value
    return {key: _value(f"{path}.{key}", shape.value, item, faults) for key, item in value.items()}


def _structure(path: str, shape: Any, value: Any, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        faults.append(f"{path} is {value!r}, allowed is a mapping of {', '.join(shape.members)}")
        return value
    faults += [f"{path}.{_unknown(name, shape.members)}" for name in value if name not in shape.members]
    faults += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
    return {
        name: _value(f"{path}.{name}", shape.members[name], item, faults)
        for name, item in value.items()
        if name in shape.members
    }


def _list(path: str, shape: Any, value: Any, faults: list[str]) -> Any:
    if not isinstance(value, list | tuple):
        faults.append(f"{path} is {value!r}, allowed is a list")
        return value
    _within(path, "entries", len(value), shape.metadata, faults)
    return [_value(f"{path}[{index}]", shape.member, item, faults) for index, item in enumerate(value)]


def _boolean(path: str, _shape: Any, value: Any, faults: list[str]) -> Any:
    if isinstance(value, bool):
        return value
    truth = TRUTH.get(str(value).lower())
    if truth is None:
        faults.append(f"{path} is {value!r}, allowed are true and false")
    return truth


def _number(path: str, shape: Any, value: Any, faults: list[str]) -> Any:
    whole = shape.type_name in INTEGERS
    number: float | None = None
    if not isinstance(value, bool):
        with suppress(ValueError):
            number = int(str(value)) if whole else float(str(value))
    if number is None:
        faults.append(f"{path} is {value!r}, allowed is {'a whole number' if whole else 'a number'}{_limits(shape)}")
        return value
    _within(path, "", number, shape.metadata, faults)
    return number


def _text(path: str, shape: Any, value: Any, faults: list[str]) -> Any:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # An id that a check can only foretell has no shape yet.
    if not Plan.exists(text):
        return text
    allowed = shape.metadata.get("enum")
    if allowed and text not in allowed:
        near = difflib.get_close_matches(text, allowed, 3, 0.6)
        faults.append(f"{path} is {text!r}, allowed are {', '.join(near or allowed)}")
        return text
    _within(path, "characters", len(text), shape.metadata, faults)
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, text):
        faults.append(f"{path} is {text!r}, allowed is the pattern {pattern}")
    return text


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(rf"\A(?:{pattern})\Z", text) is not None
    except re.error:
        # Some patterns are Java's, which Python cannot read; AWS judges these itself.
        return True


def _within(path: str, unit: str, found: float, limits: Mapping[str, Any], faults: list[str]) -> None:
    low, high = limits.get("min"), limits.get("max")
    if (low is not None and found < low) or (high is not None and found > high):
        what = f"has {found} {unit}" if unit else f"is {found}"
        faults.append(f"{path} {what}, allowed are{_bounds(low, high)}")


def _limits(shape: Any) -> str:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    return _bounds(low, high).replace(" ", " of ", 1) if low is not None or high is not None else ""


def _bounds(low: Any, high: Any) -> str:
    if high is None:
        return f" {low} or more"
    return f" {low or 0} to {high}"


def placeholders(value: Any) -> Iterator[str]:
    """Give the ids in a value that a check could only foretell."""
    if isinstance(value, dict):
        for item in value.values():
            yield from placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from placeholders(item)
    elif isinstance(value, str) and not Plan.exists(value):
        yield value
