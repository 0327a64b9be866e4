"""READMEs of roles from their argument specs, and whether specs and defaults agree.

A role's variables are said once, in `meta/argument_specs.yml` (Ansible's role argument specification). Everything
else is derived: the README is rendered, `defaults/main.yml` is compared in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SPEC = "meta/argument_specs.yml"
DEFAULTS = "defaults/main.yml"
README = "README.md"

_HEAD = ("Variable", "Type", "Default", "Meaning")


@dataclass(frozen=True)
class Role:
    """A role as its files describe it.

    `options` is the spec's `options` of the entry point `main`, `defaults` the content of defaults/main.yml, and
    `scenarios` the names of its molecule scenarios.
    """

    name: str
    short_description: str
    description: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    defaults: Mapping[str, Any]
    scenarios: tuple[str, ...]


def read(folder: Path, molecule: Path) -> Role:
    """Read a role.

    Parameters
    ----------
    folder:
        The role's folder; its name is the role's.
    molecule:
        The folder of all molecule scenarios, `molecule/<role>-<scenario>/`.

    Raises
    ------
    CheckopError
        The role has no argument spec, or a file is not YAML of the wanted form.
    """
    path = folder / SPEC
    if not path.is_file():
        raise CheckopError(f"role {folder.name} has no {SPEC}: every role describes its variables there.")
    main = _mapping(path).get("argument_specs", {}).get("main")
    if not isinstance(main, dict):
        raise CheckopError(f"{path}: argument_specs.main is missing; it describes the variables of the role.")
    defaults = folder / DEFAULTS
    described = main.get("description", [])
    return Role(
        name=folder.name,
        short_description=str(main.get("short_description", "")),
        description=tuple([described] if isinstance(described, str) else described),
        options=main.get("options", {}),
        defaults=_mapping(defaults) if defaults.is_file() else {},
        scenarios=tuple(
            sorted(
                found.parent.name
                for found in molecule.glob(f"{folder.name}-*/molecule.yml")
                if "-" not in found.parent.name[len(folder.name) + 1 :]
            )
        ),
    )


def disagreements(role: Role) -> Iterator[str]:
    """Say where a role's spec and defaults contradict each other, one sentence for each variable."""
    if not role.short_description:
        yield f"{role.name}: {SPEC} has no short_description."
    for name, option in role.options.items():
        if not name.startswith(f"{role.name}_"):
            yield f"{role.name}: {name} does not begin with the role's name."
        if not option.get("description"):
            yield f"{role.name}: {name} has no description."
        if option.get("required"):
            if name in role.defaults:
                yield f"{role.name}: {name} is required by {SPEC} and has a default in {DEFAULTS}; keep one of them."
        elif name not in role.defaults:
            yield f"{role.name}: {name} is neither required by {SPEC} nor in {DEFAULTS}."
        elif not _templated(role.defaults[name]) and option.get("default") != role.defaults[name]:
            yield (
                f"{role.name}: {name} has the default {option.get('default')!r} in {SPEC} "
                f"and {role.defaults[name]!r} in {DEFAULTS}; make them equal."
            )
    for name in role.defaults:
        if name not in role.options:
            yield f"{role.name}: {name} is in {DEFAULTS} and not in {SPEC}; describe it there."


def render(role: Role) -> str:
    """Render a role's README."""
    lines = [f"# {role.name}", "", role.short_description, ""]
    for paragraph in role.description:
        lines += [str(paragraph).strip(), ""]
    rows = [row for name, option in role.options.items() for row in _rows(name, option, role.defaults)]
    if rows:
        lines += ["## Variables", "", _line(_HEAD), _line(["---"] * len(_HEAD)), *map(_line, rows), ""]
    else:
        lines += ["It takes no variables.", ""]
    if role.scenarios:
        lines += ["## Tests", "", *(f"- `molecule test -s {name}`" for name in role.scenarios), ""]
    lines.append(f"<!-- Made from {SPEC} by `checkop docs`. -->")
    return "\n".join(lines) + "\n"


def _rows(name: str, option: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[list[str]]:
    kind = str(option.get("type", "str"))
    if option.get("elements"):
        kind += f" of {option['elements']}"
    if option.get("required"):
        default = "required"
    elif name in defaults or "default" in option:
        default = f"`{_value(defaults.get(name, option.get('default')))}`"
    else:
        default = ""
    described = option.get("description", "")
    meaning = " ".join([described] if isinstance(described, str) else map(str, described))
    if option.get("choices"):
        meaning += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
    yield [f"`{name}`", kind, default, meaning]
    for inner, below in option.get("options", {}).items():
        yield from _rows(f"{name}{'[]' if option.get('type') == 'list' else ''}.{inner}", below, {})


def _value(value: Any) -> str:
    """Write a value in YAML's flow style, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).strip()
    return text.removesuffix("...").strip()


def _line(cells: list[str] | tuple[str, ...]) -> str:
    """Write a row of a table; a bar inside a cell would end it."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _templated(value: Any) -> bool:
    """Tell whether a default is computed from other variables, so that a spec cannot state it."""
    if isinstance(value, dict):
        return any(map(_templated, value.values()))
    if isinstance(value, list):
        return any(map(_templated, value))
    return isinstance(value, str) and "{{" in value


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CheckopError(f"{path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CheckopError(f"{path} holds a {type(content).__name__}; variables and their values are wanted.")
    return content
