"""READMEs say what the spec says, and a spec that contradicts the defaults is noticed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from checkop import cli, role_docs
from checkop.errors import CheckopError

SPEC = """
argument_specs:
  main:
    short_description: Wash the dishes.
    description:
      - Twice a day.
    options:
      sink_plugs:
        type: list
        elements: dict
        default: []
        description: Plugs that are pulled.
        options:
          size:
            type: int
            required: true
            description: Millimetres.
      sink_water:
        type: str
        choices: [cold, warm]
        default: warm
        description: How warm | it is.
      sink_owner:
        type: str
        required: true
        description: Whose sink it is.
"""
DEFAULTS = "sink_plugs: []\nsink_water: warm\n"


def lay(root: Path, spec: str = SPEC, defaults: str = DEFAULTS) -> Path:
    folder = root / "roles" / "sink"
    for name, text in (("meta/argument_specs.yml", spec), ("defaults/main.yml", defaults)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for scenario in ("sink-default", "sink-alternative", "sink_big-default"):
        path = root / "molecule" / scenario / "molecule.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n", encoding="utf-8")
    return folder


def read(root: Path, **files: str) -> role_docs.Role:
    return role_docs.read(lay(root, **files), root / "molecule")


def docs(root: Path, *options: str) -> int:
    return cli.main(["docs", "--roles", str(root / "roles"), "--molecule", str(root / "molecule"), *options])


def test_the_readme_has_every_variable_and_the_roles_own_scenarios(tmp_path: Path) -> None:
    text = role_docs.render(read(tmp_path))
    assert "# sink\n\nWash the dishes.\n\nTwice a day.\n" in text
    assert "| `sink_plugs` | list of dict | `[]` | Plugs that are pulled. |" in text
    assert "| `sink_plugs[].size` | int | required | Millimetres. |" in text
    assert "| `sink_water` | str | `warm` | How warm \\| it is. One of `cold`, `warm`. |" in text
    assert "| `sink_owner` | str | required | Whose sink it is. |" in text
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- `molecule test -s sink-alternative`",
        "- `molecule test -s sink-default`",
    ]


def test_a_role_that_agrees_with_itself_has_nothing_to_say(tmp_path: Path) -> None:
    assert list(role_docs.disagreements(read(tmp_path))) == []


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        (
            "sink_plugs: []\nsink_water: cold\n",
            "sink_water has the default 'warm' in meta/argument_specs.yml and 'cold'",
        ),
        ("sink_plugs: []\n", "sink_water is neither required"),
        (DEFAULTS + "sink_owner: me\n", "sink_owner is required by meta/argument_specs.yml and has a default"),
        (DEFAULTS + "sink_soap: 1\n", "sink_soap is in defaults/main.yml and not in meta/argument_specs.yml"),
    ],
)
def test_defaults_and_spec_are_compared_in_both_directions(tmp_path: Path, defaults: str, said: str) -> None:
    found = list(role_docs.disagreements(read(tmp_path, defaults=defaults)))
    assert len(found) == 1
    assert said in found[0]


def test_a_computed_default_need_not_stand_in_the_spec(tmp_path: Path) -> None:
    role = read(tmp_path, defaults='sink_plugs: []\nsink_water: "{{ tap }}"\n')
    assert list(role_docs.disagreements(role)) == []


def test_a_variable_has_its_roles_name_and_a_description(tmp_path: Path) -> None:
    role = dataclasses.replace(read(tmp_path), options={"tap": {"required": True}})
    found = " ".join(role_docs.disagreements(dataclasses.replace(role, defaults={})))
    assert "tap does not begin with the role's name" in found
    assert "tap has no description" in found


def test_a_role_without_a_spec_is_refused(tmp_path: Path) -> None:
    (tmp_path / "roles" / "bare").mkdir(parents=True)
    with pytest.raises(CheckopError, match=r"role bare has no meta/argument_specs\.yml"):
        role_docs.read(tmp_path / "roles" / "bare", tmp_path / "molecule")


def test_check_fails_until_the_readme_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lay(tmp_path)
    assert docs(tmp_path, "--check") == 1
    assert "README.md is out of date: run `checkop docs`" in capsys.readouterr().err
    assert not (folder / "README.md").exists()
    assert docs(tmp_path) == 0
    assert docs(tmp_path, "--check") == 0
    (folder / "README.md").write_text("edited", encoding="utf-8")
    assert docs(tmp_path, "--check") == 1


def test_without_roles_it_says_where_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs(tmp_path) == 1
    assert "run this in the repository's root" in capsys.readouterr().err
