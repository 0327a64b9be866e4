"""Check an inventory's variables against `inventory/schema.yml` (JSON Schema, draft 2020-12)."""

from __future__ import annotations

import datetime as dt
import difflib
import ipaddress
import re
import zoneinfo
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from checkop.errors import CheckopError
from checkop.paths.model import parse_ports
from checkop.validate.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PATH = Path(__file__).parents[3] / "inventory" / "schema.yml"
# Above this share of equal letters one name is taken for a slip of the other; a word of a short list needs fewer.
ALIKE = 0.75
ALIKE_WORDS = 0.6
WORDS = {"true": True, "yes": True, "false": False, "no": False}
# What the playbooks themselves take with -e, beside the inventory's variables.
PLAYBOOK_VARIABLES = frozenset(
    ("confirm", "drift_report", "final_snapshot", "host_group", "image", "instance", "pause", "size", "strategy", "to")
)


def _is_time_zone(value: Any) -> bool:
    return value in zoneinfo.available_timezones()


FORMATS = FormatChecker(formats=())
for _name, _read, _refusal in (
    ("ipv4-network", lambda value: ipaddress.IPv4Network(str(value)), ValueError),
    ("ports", lambda value: parse_ports(value, "port"), CheckopError),
    ("date", lambda value: dt.date.fromisoformat(str(value)), ValueError),
):
    FORMATS.checks(_name, raises=_refusal)(lambda value, read=_read: read(value) is not None)
FORMATS.checks("time-zone")(_is_time_zone)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """Match as JSON Schema means it: in Python's `$` a line break could follow."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError("does not match")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})


@cache
def schema() -> dict[str, Any]:
    """Return the schema."""
    return dict(yaml.safe_load(PATH.read_text(encoding="utf-8")))


@cache
def variables() -> frozenset[str]:
    """Return the names of all variables that an inventory has."""
    return frozenset(schema()["properties"])


def nearest(name: str, known: Iterable[str], alike: float = ALIKE) -> str | None:
    """Give the known name that looks most like a name, if one does."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=alike)
    return found[0] if found else None


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables with the types that the schema wants.

    Templates leave numbers and truth as text, and YAML reads an unquoted date as one.
    """
    return {name: _plain(value, schema()["properties"].get(name, {})) for name, value in data.items()}


def _plain(value: Any, part: Mapping[str, Any]) -> Any:
    part = _resolved(part)
    if isinstance(value, dict):
        known, others = part.get("properties", {}), part.get("additionalProperties") or {}
        return {key: _plain(item, known.get(key, others)) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, part.get("items", {})) for item in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return _scalar(value, part) if isinstance(value, str) else value


def _scalar(text: str, part: Mapping[str, Any]) -> Any:
    kinds = [option.get("type") for option in (part, *part.get("anyOf", ()))]
    numbers = "integer" in kinds or any(isinstance(choice, int) for choice in part.get("enum", ()))
    if numbers and re.fullmatch(r"-?\d+", text):
        return int(text)
    if "number" in kinds and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    return WORDS.get(text.lower(), text) if "boolean" in kinds else text


def _resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in part:
        return dict(schema()["$defs"][part["$ref"].rpartition("/")[2]])
    return part


def check_values(data: Mapping[str, Any]) -> list[Finding]:
    """Give what is wrong with each value by itself.

    Parameters
    ----------
    data:
        As `plain` returns it; names that the schema does not have are left to `check_names`.
    """
    known = {name: value for name, value in data.items() if name in variables()}
    errors = sorted(
        _Validator(schema(), format_checker=FORMATS).iter_errors(known),
        key=lambda error: [str(step) for step in error.path],
    )
    # A value may break its pattern and its format at once.
    return list(dict.fromkeys(finding for error in errors for finding in _findings(error, known)))


def _findings(error: ValidationError, data: Any) -> list[Finding]:
    where = _place(error, data)
    properties = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        allowed = f"a mapping with {', '.join(error.validator_value)}"
        return [Finding(where, f"no {name}", allowed, f"Add {name}") for name in missing]
    if error.validator == "additionalProperties":
        unknown = [name for name in error.instance if name not in properties]
        return [_unknown_key(where, name, properties) for name in unknown]
    if error.validator in ("minItems", "minProperties"):
        least = f"at least {error.validator_value}"
        return [Finding(where, f"{len(error.instance)} entries", least, "Add what is missing")]
    return [Finding(where, show(error.instance), allowed_by(error.schema), _remedy(error))]


def _remedy(error: ValidationError) -> str:
    part, value = dict(error.schema), error.instance
    if error.validator == "enum":
        meant = nearest(str(value), map(str, error.validator_value), ALIKE_WORDS)
        return f"Write {meant}" if meant else "Choose one of them"
    if part.get("format") == "ipv4-network":
        return _better_block(value)
    return (
        "Choose a number in that range"
        if part.get("type") in ("integer", "number") or "anyOf" in part
        else "Correct the value"
    )


def _unknown_key(where: str, name: str, known: Mapping[str, Any]) -> Finding:
    meant = nearest(str(name), known, ALIKE_WORDS)
    # A comma in unquoted text cuts it in two: {description: one, two} has a key `two`.
    remedy = f"Write {meant}" if meant else "Remove it, or put text that holds a comma in quotes"
    return Finding(where, f"the unknown key {name!r}", ", ".join(known), remedy)


def allowed_by(part: Any) -> str:
    """Say in words what a part of the schema allows."""
    part = _resolved(part)
    if "description" in part:
        return str(part["description"])
    if "enum" in part:
        return f"one of {', '.join(repr(one) if one == '' else str(one) for one in part['enum'])}"
    kind = str(part.get("type", "another value"))
    numbers = {"integer": "a whole number", "number": "a number"}
    if kind in numbers:
        bounds = [f" {word} {part[name]}" for word, name in (("from", "minimum"), ("to", "maximum")) if name in part]
        return numbers[kind] + "".join(bounds)
    others = {"boolean": "true or false", "array": "a list: [one, two]", "object": "a mapping, key: value"}
    return others.get(kind, kind)


def _place(error: ValidationError, data: Any) -> str:
    """Name the place of an error: entries of lists by their name or rule number, where they have one."""
    words: list[str] = []
    for step in error.absolute_path:
        data = data[step]
        if not isinstance(step, int):
            words.append(str(step))
            continue
        words[-1] += ":"
        name = data.get("name", data.get("rule")) if isinstance(data, dict) else None
        rule = isinstance(data, dict) and "rule" in data
        words.append(f"entry {step + 1}" if name is None else f"rule {name}" if rule else str(name))
    if "propertyNames" in error.absolute_schema_path:
        words[-1] += ": name"
    return " ".join(words)


def show(value: Any) -> str:
    """Show a value that was found; a private key that was pasted in the wrong place is never shown."""
    if value is None:
        return "nothing"
    if "PRIVATE KEY" in str(value):
        return "a private key"
    return repr(value) if isinstance(value, str) else str(value)


def _better_block(value: Any) -> str:
    try:
        block = ipaddress.IPv4Network(str(value), strict=False)
    except ValueError:
        return "Write the first address of the block and its prefix length"
    if str(block) != str(value):
        return f"Write {block}"
    # Our limits end at /28 for networks and begin at /8 for administrators.
    return "Choose a smaller block" if block.prefixlen < 16 else "Choose a larger block"  # noqa: PLR2004


def check_names(names: Iterable[str]) -> list[Finding]:
    """Give the variables that are missing, and names that nothing reads."""
    present = set(names)
    findings = [
        Finding(name, "nothing", "a value", f"Add it to group_vars of the inventory{_slip(name, present)}")
        for name in sorted(variables() - present)
    ]
    for name in sorted(present - variables() - PLAYBOOK_VARIABLES):
        meant = nearest(name, variables())
        remedy = f"Write {meant}" if meant else "Remove it; the schema, inventory/schema.yml, has all names"
        findings.append(Finding(name, "an unknown variable", "a name of inventory/schema.yml", remedy))
    return findings


def _slip(name: str, present: set[str]) -> str:
    unknown = nearest(name, present - variables())
    return f"; {unknown} stands there instead" if unknown else ""


def check_extra_variables(names: Iterable[str]) -> list[Finding]:
    """Give the variables of the command line that nothing reads: a slip there would silently mean the default."""
    known = variables() | PLAYBOOK_VARIABLES
    findings = []
    for name in sorted(set(names) - known):
        if name.startswith("ansible_"):
            continue
        near = difflib.get_close_matches(name, known, n=3, cutoff=ALIKE_WORDS)
        remedy = f"Write {' or '.join(near)}" if near else "Remove it"
        findings.append(
            Finding(name, "an unknown variable after -e", "a variable of the inventory or of the playbook", remedy)
        )
    return findings
