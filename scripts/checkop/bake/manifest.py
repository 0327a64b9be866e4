"""The manifest of an image (packages, files, units, inputs), and what two of them differ in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "manifest.json"
PARTS = ("packages", "files", "units", "inputs")
LISTED = 20


@dataclass(frozen=True)
class Difference:
    """What one part of a manifest gained, lost and changed; values are name -> (before, after)."""

    added: dict[str, str]
    removed: dict[str, str]
    changed: dict[str, tuple[str, str]]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed or self.changed)


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Difference:
    """Compare one part of two manifests, both name -> version or description."""
    return Difference(
        added={name: after[name] for name in sorted(after.keys() - before.keys())},
        removed={name: before[name] for name in sorted(before.keys() - after.keys())},
        changed={
            name: (before[name], after[name])
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        },
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Difference]:
    """Compare two manifests, part by part; a list counts as names that are there."""
    return {part: compare(_as_mapping(before.get(part, {})), _as_mapping(after.get(part, {}))) for part in PARTS}


def _as_mapping(part: Any) -> dict[str, str]:
    return dict.fromkeys(part, "") if isinstance(part, list) else dict(part)


def as_json(found: Mapping[str, Difference]) -> dict[str, Any]:
    """Return differences as plain data."""
    return {part: asdict(difference) for part, difference in found.items() if difference}


def lines(found: Mapping[str, Difference]) -> list[str]:
    """Return differences as lines for a person; long lists are cut, and say so."""
    result = []
    for part, difference in found.items():
        if not difference:
            continue
        entries = [f"  + {name} {value}".rstrip() for name, value in difference.added.items()]
        entries += [f"  - {name} {value}".rstrip() for name, value in difference.removed.items()]
        for name, (old, new) in difference.changed.items():
            # Checksums tell a person nothing.
            entries.append(f"  ~ {name} {old} -> {new}" if part == "packages" else f"  ~ {name}")
        result.append(f"{part}: {len(entries)} differ")
        result += entries[:LISTED]
        if len(entries) > LISTED:
            result.append(f"  ... and {len(entries) - LISTED} more")
    return result or ["nothing differs in packages, files, units and inputs"]


def complete(record: Path, additions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest that a bake wrote, and what was known only after it.

    Parameters
    ----------
    record:
        Folder of the bake, ``build/images/<image name>``.
    additions:
        For example ``inputs`` and ``image``.

    Raises
    ------
    CheckopError
        The bake left no manifest.
    """
    path = record / NAME
    if not path.is_file():
        raise CheckopError(f"The bake left no manifest at {path}: image_seal writes it (roles/image_seal).")
    return {**json.loads(path.read_text(encoding="utf-8")), **additions}
