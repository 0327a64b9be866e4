"""Commands read the same data as playbooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from checkop.errors import CheckopError
from checkop.inventory import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab_exports(monkeypatch, tmp_path):
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA operator\n")
    monkeypatch.setenv("LAB_SSH_PUBLIC_KEY_FILE", str(key))
    monkeypatch.setenv("LAB_RESOLVE", '{"checkop.co": "127.100.2.0"}')


def test_production_is_resolved():
    facts = load(ROOT / "inventory/production")
    assert facts["ssm_prefix"] == "/checkop/production"
    assert facts["fleet_name"] == "AUTOChOp"
    assert facts["storage_alarm_bytes"] == 200 * 1024**3


@pytest.mark.usefixtures("lab_exports")
def test_the_rehearsal_overrides_some_facts_and_shares_the_rest():
    production, rehearsal = load(ROOT / "inventory/production"), load(ROOT / "inventory/rehearsal")
    assert rehearsal["ssm_prefix"] == "/checkop/rehearsal"
    assert rehearsal["balancer_resolve"] == {"checkop.co": "127.100.2.0"}
    same = {name for name in production if production[name] == rehearsal.get(name)}
    assert {"network_cidr", "fleet_name", "database_allocated_storage_gb", "dns_records"} <= same
    assert set(production) <= set(rehearsal)


def test_a_folder_that_is_no_inventory_is_refused(tmp_path):
    with pytest.raises(CheckopError, match=r"localhost\.yml"):
        load(tmp_path)


def test_a_value_that_cannot_be_resolved_names_its_variable(tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "localhost.yml").write_text("ungrouped: {hosts: {localhost: {}}}\n")
    (tmp_path / "group_vars" / "all.yml").write_text('fleet_name: "{{ nobody_knows }}"\n')
    with pytest.raises(CheckopError, match=r"fleet_name of .*nobody_knows"):
        load(tmp_path)


def test_every_file_that_hosts_are_pointed_at_is_laid_by_a_role() -> None:
    """No image, no lab and no operator brings what a role of ours is told to read."""
    production = load(ROOT / "inventory/production")
    plays = yaml.safe_load((ROOT / "playbooks" / "host.yml").read_text(encoding="utf-8"))
    pointed = {
        (entry["role"], name)
        for play in plays
        for entry in play.get("roles", [])
        for name, value in entry.get("vars", {}).items()
        if re.fullmatch(r"\{\{ \w+_file \}\}", str(value)) and str(production[str(value)[3:-3]]).startswith("/")
    }
    assert ("checkop_app", "checkop_app_database_ca_file") in pointed
    for role, name in pointed:
        tasks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles" / role).glob("*/*.yml"))
        assert re.search(rf'(dest|path): "\{{\{{ {name} \}}\}}"', tasks), f"{role} lays no {name}"
