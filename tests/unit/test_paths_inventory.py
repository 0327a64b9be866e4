"""The inventory's own perimeter is right, and nothing in it is wider than a wanted flow needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from checkop import cli, inventory
from checkop.paths import model
from checkop.paths.proof import Prover, prove

REPOSITORY = Path(__file__).parents[2]
PRODUCTION = REPOSITORY / "inventory" / "production"


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return inventory.load(PRODUCTION) | {"perimeter_administrator_cidrs": ["198.51.100.7/32"]}


def test_every_flow_of_production_is_as_it_should_be(data: dict[str, Any]) -> None:
    verdicts = prove(model.parse(data))
    assert [str(verdict) for verdict in verdicts if not verdict.ok] == []
    assert len(verdicts) >= 25


def test_production_has_no_security_group_rule_that_no_wanted_flow_needs(data: dict[str, Any]) -> None:
    perimeter = model.parse(data)
    prover = Prover(perimeter)
    for flow in perimeter.wanted:
        prover.judge(flow, wanted=True)
    assert prover.unused() == []


def test_the_command_tells_each_flow_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    # Production names its administrators only when an operator has filled them in.
    assert cli.main(["paths", "-i", str(PRODUCTION)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "ok      app -> db tcp 3306: passes" in lines
    refused = [line for line in lines if line.startswith("REFUSED")]
    assert all("perimeter_administrator_cidrs is empty" in line for line in refused)
    assert len(refused) == 2


def test_the_command_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["paths", "-i", str(PRODUCTION), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["unused"] == [
        "security group app ingress: tcp 22 from administrators",
        "security group base ingress: tcp 22 from administrators",
    ]
    by_flow = {entry["flow"]: entry for entry in answer["flows"]}
    assert by_flow["app -> db tcp 3306"] == {
        "flow": "app -> db tcp 3306",
        "wanted": True,
        "passes": True,
        "ok": True,
        "because": [],
    }
