"""The checkop command: exit status, and what it says when something is refused."""

from __future__ import annotations

import argparse

import pytest

from checkop import cli
from checkop.errors import CheckopError


class Probe:
    NAME = "probe"
    HELP = "prove the command line"

    def configure(self, parser):
        parser.add_argument("--outcome", default="0")

    def run(self, args: argparse.Namespace) -> int:
        if args.outcome == "refused":
            raise CheckopError("fleet_max_size is 1: give at least 2")
        if args.outcome == "interrupted":
            raise KeyboardInterrupt
        return int(args.outcome)


@pytest.fixture
def probe(monkeypatch):
    monkeypatch.setattr(cli, "discover", lambda: [Probe()])


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(("outcome", "status"), [("0", 0), ("2", 2), ("refused", 1), ("interrupted", 130)])
def test_exit_status(outcome, status, capsys):
    assert cli.main(["probe", "--outcome", outcome]) == status
    if outcome == "refused":
        assert capsys.readouterr().err == "checkop probe: fleet_max_size is 1: give at least 2\n"


@pytest.mark.usefixtures("probe")
def test_usage_is_status_two(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["nonsense"])
    assert ended.value.code == 2
    assert "probe" in capsys.readouterr().err


def test_every_command_can_explain_itself(capsys):
    found = cli.discover()
    assert {command.NAME for command in found} >= {"bake", "paths", "releases"}
    for command in found:
        with pytest.raises(SystemExit) as ended:
            cli.main([command.NAME, "--help"])
        assert ended.value.code == 0
