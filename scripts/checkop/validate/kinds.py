"""Kinds of values: what a single variable may hold, apart from what it has to do with others."""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from checkop.errors import CheckopError
from checkop.paths.model import parse_ports
from checkop.validate.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Above this share of equal letters one name is taken for a slip of the other; a word of a short list needs fewer.
ALIKE = 0.75
ALIKE_WORDS = 0.6
# A line break would begin a line of its own in a unit, an environment file or a configuration.
PRINTABLE = r"[^\x00-\x1f\x7f]"


class Kind(Protocol):
    """Tells what is wrong with a value."""

    def check(self, where: str, value: Any) -> list[Finding]:
        """Give the findings about a value that stands at `where`."""


def nearest(name: str, known: Iterable[str], alike: float = ALIKE) -> str | None:
    """Give the known name that looks most like a name, if one does."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=alike)
    return found[0] if found else None


def whole_number(value: Any) -> int | None:
    """Give an integer, also one that a template has left as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    return None


@dataclass(frozen=True)
class Anything:
    """A value that nobody can judge alone."""

    def check(self, where: str, value: Any) -> list[Finding]:
        """Find nothing."""
        return []


@dataclass(frozen=True)
class Text:
    """Text that matches a pattern.

    Parameters
    ----------
    allowed:
        What the pattern means, in words.
    """

    pattern: str = f"{PRINTABLE}+"
    allowed: str = "text without line breaks"

    def check(self, where: str, value: Any) -> list[Finding]:
        """Compare with the pattern."""
        if isinstance(value, str) and re.fullmatch(self.pattern, value):
            return []
        return [Finding(where, _show(value), self.allowed, "Correct the value")]


@dataclass(frozen=True)
class Port:
    """A port, a range of ports, or a word for one, as network ACLs and security groups take it."""

    def check(self, where: str, value: Any) -> list[Finding]:
        """Read it."""
        try:
            parse_ports(value, where)
        except CheckopError:
            allowed = "0-65535, a range such as 8000-8080, ephemeral (1024-65535) or all"
            return [Finding(where, _show(value), allowed, "Correct the port")]
        return []


@dataclass(frozen=True)
class Number:
    """A whole number within limits, both included.

    Parameters
    ----------
    also:
        A value outside the limits that has a meaning of its own.
    """

    low: int = 0
    high: int | None = None
    also: int | None = None

    def check(self, where: str, value: Any) -> list[Finding]:
        """Compare with the limits."""
        number = whole_number(value)
        if number is not None and (number == self.also or self._within(number)):
            return []
        span = f"a whole number from {self.low}" + (f" to {self.high}" if self.high is not None else "")
        allowed = f"{self.also}, or {span}" if self.also is not None else span
        return [Finding(where, _show(value), allowed, "Choose a number in that range")]

    def _within(self, number: int) -> bool:
        return self.low <= number and (self.high is None or number <= self.high)


@dataclass(frozen=True)
class Amount:
    """A number, not necessarily whole, that is at least `low`."""

    low: float = 0

    def check(self, where: str, value: Any) -> list[Finding]:
        """Compare with the limit."""
        try:
            good = not isinstance(value, bool) and float(value) >= self.low
        except (TypeError, ValueError):
            good = False
        return [] if good else [Finding(where, _show(value), f"a number from {self.low:g}", "Correct the value")]


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, where: str, value: Any) -> list[Finding]:
        """Accept YAML's and Ansible's words."""
        if isinstance(value, bool) or str(value).lower() in ("true", "false", "yes", "no"):
            return []
        return [Finding(where, _show(value), "true or false", "Write one of them, without quotes")]


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def check(self, where: str, value: Any) -> list[Finding]:
        """Look it up."""
        if value in self.values or whole_number(value) in self.values:
            return []
        words = ", ".join(repr(one) if one == "" else str(one) for one in self.values)
        meant = nearest(str(value), [str(one) for one in self.values], ALIKE_WORDS)
        return [Finding(where, _show(value), f"one of {words}", f"Write {meant}" if meant else "Choose one of them")]


@dataclass(frozen=True)
class Cidr:
    """An IPv4 CIDR block without host bits.

    Parameters
    ----------
    shortest, longest:
        Limits of the prefix length.
    """

    shortest: int = 0
    longest: int = 32

    def check(self, where: str, value: Any) -> list[Finding]:
        """Read it."""
        allowed = f"an IPv4 CIDR block from /{self.shortest} to /{self.longest}, for example 10.20.1.0/24"
        try:
            block = ipaddress.IPv4Network(str(value))
        except ValueError:
            return [Finding(where, _show(value), allowed, _first_address(value))]
        if self.shortest <= block.prefixlen <= self.longest:
            return []
        size = "smaller" if block.prefixlen < self.shortest else "larger"
        return [Finding(where, _show(value), allowed, f"Choose a {size} block")]


@dataclass(frozen=True)
class Items:
    """A list of values of one kind."""

    kind: Kind
    least: int = 0

    def check(self, where: str, value: Any) -> list[Finding]:
        """Check each item."""
        if not isinstance(value, list):
            return [Finding(where, _show(value), "a list", "Write it as a list: [one, two]")]
        if len(value) < self.least:
            return [Finding(where, f"{len(value)} entries", f"at least {self.least}", "Add what is missing")]
        return [
            finding for index, item in enumerate(value) for finding in self.kind.check(_item(where, index, item), item)
        ]


@dataclass(frozen=True)
class Record:
    """A mapping with known keys.

    Parameters
    ----------
    required, optional:
        Kinds by key.
    """

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)

    def check(self, where: str, value: Any) -> list[Finding]:
        """Check keys and values."""
        if not isinstance(value, dict):
            return [Finding(where, _show(value), f"a mapping with {', '.join(self.required)}", "Write key: value")]
        kinds = {**self.required, **self.optional}
        findings = [
            Finding(where, f"no {key}", f"a mapping with {', '.join(self.required)}", f"Add {key}")
            for key in self.required
            if key not in value
        ]
        for key, item in value.items():
            if key in kinds:
                findings += kinds[key].check(f"{where} {key}", item)
                continue
            meant = nearest(str(key), kinds, ALIKE_WORDS)
            # A comma in unquoted text cuts it in two: {description: one, two} has a key `two`.
            mend = f"Write {meant}" if meant else "Remove it, or put text that holds a comma in quotes"
            findings.append(Finding(where, f"the unknown key {key!r}", ", ".join(kinds), mend))
        return findings


@dataclass(frozen=True)
class Setting:
    """A value of an environment file: text without line breaks, a number, or true or false."""

    def check(self, where: str, value: Any) -> list[Finding]:
        """Look for what ends a line."""
        if isinstance(value, (bool, int, float)) or (isinstance(value, str) and re.fullmatch(f"{PRINTABLE}*", value)):
            return []
        return [Finding(where, _show(value), "text without line breaks, a number, true or false", "Correct the value")]


@dataclass(frozen=True)
class Table:
    """A mapping with keys that match a kind of text and values of one kind."""

    kind: Kind
    keys: Text = field(default_factory=Text)

    def check(self, where: str, value: Any) -> list[Finding]:
        """Check each value."""
        if not isinstance(value, dict):
            return [Finding(where, _show(value), "a mapping", "Write key: value")]
        findings = [finding for key in value for finding in self.keys.check(f"{where}: name", key)]
        return findings + [
            finding for key, item in value.items() for finding in self.kind.check(f"{where} {key}", item)
        ]


def _item(where: str, index: int, item: Any) -> str:
    if isinstance(item, dict):
        name = item.get("name", item.get("rule"))
        if name is not None:
            return f"{where}: {'rule ' if 'rule' in item else ''}{name}"
    return f"{where}: entry {index + 1}"


def _show(value: Any) -> str:
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) else str(value)


def _first_address(value: Any) -> str:
    try:
        return f"Write {ipaddress.IPv4Network(str(value), strict=False)}"
    except ValueError:
        return "Write the first address of the block and its prefix length"
