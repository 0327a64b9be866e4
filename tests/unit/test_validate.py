"""What cannot work is refused with its variable, what was found, what is allowed, and the mend."""

from __future__ import annotations

import copy
import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from checkop import inventory
from checkop.validate import check_extra_variables, report, validate
from checkop.validate.finding import Finding
from checkop.validate.schema import PLAYBOOK_VARIABLES, variables

REPOSITORY = Path(__file__).parents[2]
FILLED_IN = {
    "aws_account_id": "210987654321",
    "balancer_access_logs_bucket": "checkop-production-access-logs-210987654321",
    "image_manifest_bucket": "checkop-production-manifests-210987654321",
    "host_package_bucket": "checkop-production-packages-210987654321",
    "fleet_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrolCl8HGk9FZmtkJMtncI2xfA0+2dImKg0YllI1dhX operator",
    "perimeter_administrator_cidrs": ["198.51.100.7/32"],
    "database_ca_sha256": "0" * 64,
}


@pytest.fixture(scope="module")
def production() -> dict[str, Any]:
    return inventory.load(REPOSITORY / "inventory" / "production") | FILLED_IN


@pytest.fixture
def data(production: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(production)


def put(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Set a place such as ``network_subnets.2.cidr``; ``+`` at the end of a path appends to a list."""
    *way, last = path.split(".")
    place: Any = data
    for key in way:
        place = place[int(key) if key.isdigit() else key]
    if last == "+":
        place.append(value)
    else:
        place[int(last) if last.isdigit() else last] = value
    return data


def test_production_filled_in_is_fine(data: dict[str, Any]) -> None:
    assert [str(finding) for finding in validate(data)] == []


def test_production_as_it_stands_asks_for_what_only_the_operator_knows() -> None:
    findings = validate(inventory.load(REPOSITORY / "inventory" / "production"))
    assert {finding.variable for finding in findings} == {
        "aws_account_id",
        "balancer_access_logs_bucket",
        "database_ca_sha256",
        "fleet_public_key",
        "host_package_bucket",
        "image_manifest_bucket",
    }


def test_the_catalogue_knows_exactly_the_inventory(production: dict[str, Any]) -> None:
    assert set(variables()) == set(production)


KEY = FILLED_IN["fleet_public_key"]
SECURITY_KEY = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t ana"
PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----"
# Each kind of bad input and its neighbours: place, value, then words of the message, its variable first.
CASES = [
    ("network_subnets.1.cidr", "10.20.1.128/25", "network_subnets: public-1d", "overlaps public-1a", "Move"),
    ("network_subnets.3.cidr", "10.20.11.0/24", "network_subnets: data-1d", "overlaps data-1a", "Move one of the two"),
    ("network_subnets.0.cidr", "10.20.1.0/29", "network_subnets: public-1a cidr", "/16 to /28", "a larger block"),
    ("network_cidr", "10.20.0.0/30", "network_cidr", "'10.20.0.0/30'", "Choose a larger block"),
    ("network_cidr", "10.0.0.0/8", "network_cidr", "/16 to /28", "Choose a smaller block"),
    ("network_subnets.0.cidr", "10.20.1.5/24", "network_subnets: public-1a cidr", "10.20.1.5/24", "Write 10.20.1.0"),
    ("network_subnets.0.cidr", "10.20.1", "network_subnets: public-1a cidr", "IPv4 CIDR", "Write the first address"),
    ("network_subnets.2.cidr", "10.21.11.0/24", "network_subnets: data-1a", "outside the VPC", "10.20.0.0/16"),
    ("network_subnets.1.zone", "us-east-1b", "fleet_zones", "us-east-1d, where network_subnets has no public", "Add a"),
    ("network_subnets.3.zone", "us-east-1b", "fleet_zones", "no data subnet", "Add a data subnet in us-east-1d"),
    ("network_subnets.0.zone", "us-west-2a", "network_subnets: public-1a", "aws_region us-east-1", "Correct the zone"),
    ("hub_zone", "us-east-1c", "hub_zone", "no public subnet", "us-east-1a, us-east-1d"),
    ("database_zone", "us-east-1f", "database_zone", "no data subnet", "Add a data subnet in us-east-1f"),
    ("network_subnets.1.name", "public-1a", "network_subnets: public-1a", "2 entries of this name", "Rename"),
    ("network_subnets.0.tier", "publik", "network_subnets: public-1a tier", "one of public, data", "Write public"),
    ("perimeter_network_acls.1.egress", [], "perimeter_wanted_flows: app -> db tcp 3306", "replies", "ephemeral"),
    ("perimeter_network_acls.0.ingress.3.ports", "32768-61000", "perimeter_wanted_flows", "1024-32767", "replies"),
    ("perimeter_network_acls.0.ingress.1.rule", 100, "public ingress rule 100", "2 rules of this", "example 101"),
    ("perimeter_network_acls.0.ingress.0.rule", 32767, "public ingress: rule 32767 rule", "1 to 32766", "Choose"),
    ("perimeter_network_acls.0.tier", "data", "perimeter_network_acls", "2 ACLs for tier data", "Merge them"),
    ("perimeter_network_acls.0.ingress.0.cdir", "0.0.0.0/0", "public ingress: rule 100", "'cdir'", "Write cidr"),
    ("perimeter_network_acls.0.ingress.0.ports", "http", "ingress: rule 100 ports", "'http'", "ephemeral (1024-65535)"),
    ("perimeter_network_acls.0.ingress.0.action", "alow", "ingress: rule 100 action", "allow, deny", "Write allow"),
    ("perimeter_network_acls.0.ingress.0.protocol", 6, "ingress: rule 100 protocol", "found 6", "tcp, udp, icmp, all"),
    ("perimeter_security_groups.1.ingress.0.from", "abl", "groups: app ingress", "'abl'", "Write alb"),
    ("perimeter_security_groups.1.ingress.0.from", "10.20.1.0/24", "app ingress", "the address range", "Name the"),
    ("perimeter_security_groups.0.name", "lb", "perimeter_security_groups", "no group alb", "Add group alb"),
    ("perimeter_security_groups.0.ingress.0.description", "é", "alb ingress: entry 1 description", "'é'", "Correct"),
    ("perimeter_security_groups.0.ingress.0.HTTPS", None, "alb ingress: entry 1", "'HTTPS'", "in quotes"),
    ("perimeter_security_groups.0.ingress.0.port", 8080, "internet -> alb tcp 80", "no rule", "Add"),
    ("perimeter_security_groups.1.ingress.0.from", "base", "flows: alb -> app tcp 80", "app ingress", ""),
    ("perimeter_wanted_flows.0.to", "abl", "perimeter_wanted_flows: to", "'abl'", "Write alb"),
    ("perimeter_administrator_cidrs", ["0.0.0.0/0"], "perimeter_administrator_cidrs: entry 1", "/8 to /32", "smaller"),
    ("perimeter_administrator_cidrs", [], "flows: administrators", "is empty", "Name the admin"),
    ("perimeter_forbidden_flows.0.to", "alb", "flows: internet -> alb tcp 80", "open by", "Remove or narrow"),
    ("fleet_max_size", 1, "fleet_max_size", "at least fleet_desired_size 2", "Raise fleet_max_size"),
    ("fleet_min_size", 3, "fleet_desired_size", "at least fleet_min_size 3", "lower fleet_min_size"),
    ("fleet_min_size", "two", "fleet_min_size", "'two'", "a whole number from 0"),
    ("fleet_min_size", True, "fleet_min_size", "found True", "a whole number"),
    ("fleet_scheduled_actions.0.max_size", 6, "month-end-peak max_size", "at most fleet_max_size 4", "addresses"),
    ("fleet_scheduled_actions.0.min_size", 5, "month-end-peak desired_size", "at least min_size 5", "Raise"),
    ("fleet_scheduled_actions.0.recurrence", "0 6 28", "month-end-peak recurrence", "five cron fields", "Correct"),
    ("fleet_zones", ["us-east-1a", "us-east-1a"], "fleet_zones: us-east-1a", "2 entries", "Rename or remove"),
    ("fleet_drain_timeout_seconds", 10, "fleet_drain_timeout_seconds", "from 30 to 7200", "Choose"),
    ("fleet_public_key", "AAAA", "fleet_public_key", "an OpenSSH public key", "Correct"),
    ("fleet_maintenance_max_healthy_percent", 100, "fleet_maintenance_max_healthy_percent", "more than", "Move"),
    ("database_max_allocated_storage_gb", 200, "database_max_allocated_storage_gb", "at least 239 GB", "Raise"),
    ("database_max_allocated_storage_gb", 217, "database_max_allocated_storage_gb", "found 217 GB", "217"),
    ("database_backup_retention_days", 0, "database_backup_retention_days", "from 1 to 35", "Choose"),
    ("dns_records.5.name", "checkop.com", "dns_records: checkop.com MX", "outside the zone", "end in .checkop.co"),
    ("dns_records.4.name", "notcheckop.co", "dns_records: notcheckop.co", "outside the zone", "Correct the name"),
    ("dns_records.4.name", "www.checkop.co", "dns_records: www.checkop.co A", "2 entries of this name", "remove"),
    ("dns_records.5.values", ["mail.checkop.co."], "dns_records: checkop.co MX", "'mail.checkop.co.'", "10 mail"),
    ("dns_records.7.values", ["issue amazon.com"], "dns_records: checkop.co CAA", "'issue amazon.com'", "0 issue"),
    ("dns_records.2.values", ["192.0.2.1"], "dns_records: checkop.co A", "an alias with ttl or values", "Remove"),
    ("dns_records.5.ttl", -1, "dns_records: checkop.co ttl", "2147483647", "Choose"),
    ("dns_records.2.type", "TXT", "dns_records: checkop.co TXT", "aliases of type A", "Correct the type"),
    ("dns_records.2.type", "AA", "dns_records: checkop.co type", "one of A, AAAA", "Write"),
    ("balancer_health_timeout_seconds", 10, "balancer_health_timeout_seconds", "less than", "Shorten"),
    ("balancer_slow_start_seconds", 10, "balancer_slow_start_seconds", "0, or a whole number from 30 to 900", "Choose"),
    ("balancer_certificate_file", "/tmp/c.pem", "balancer_certificate_file", "both files, or neither", "missing"),
    ("fleet_warmup_seconds", 1800, "fleet_warmup_seconds", "less than rollout_step_timeout_seconds", "Shorten"),
    ("rollout_checkpoints", [100, 50], "rollout_checkpoints", "rising", "Put them in order"),
    ("rollout_min_healthy_percent", 150, "rollout_min_healthy_percent", "from 0 to 100", "Choose"),
    ("monitoring_log_groups.0.retention_days", 8, "application/debug retention_days", "1, 3, 5, 7", "Choose one"),
    ("monitoring_alarms.4.period_seconds", 90, "monitoring_alarms: fleet-cpu", "multiple of 60", "Choose one"),
    ("monitoring_alarms.4.datapoints", 4, "monitoring_alarms: fleet-cpu datapoints", "at most periods 3", "Lower it"),
    ("monitoring_alarms.4.statistic", "p101", "monitoring_alarms: fleet-cpu statistic", "p99", ""),
    ("monitoring_alarms.4.name", "fleet-memory", "monitoring_alarms: fleet-memory", "2 entries", "Rename"),
    ("monitoring_alarms.4.dimensions", {"A": "{flet}"}, "monitoring_alarms: fleet-cpu dimensions", "{fleet}", "Name"),
    ("monitoring_rollout_alarms.0", "checkop-x", "monitoring_rollout_alarms", "monitoring_alarms", "add the alarm"),
    ("monitoring_metric_filters.0.log_group", "no", "monitoring_metric_filters: error-lines", "log_groups", "Correct"),
    ("monitoring_dashboard_log_groups.0", "no", "monitoring_dashboard_log_groups", "log_groups", "Correct"),
    ("aws_account_id", 123, "aws_account_id", "twelve digits, in quotes", "Correct"),
    ("aws_tags.checkop:environment", "staging", "aws_tags: checkop:environment", "'production'", ""),
    ("storage_folders.+", {"name": "uploads", "keep_days": 1}, "storage_folders: uploads", "2 entries", "Rename"),
    ("image_kms_key_id", "alias/images", "image_kms_key_id", "'alias/images'", "the ARN of a KMS key"),
    ("image_share_accounts", ["123456789012"], "image_share_accounts", "image_kms_key_id is empty", "Name a KMS key"),
    ("image_copy_regions", ["us-east-1"], "image_copy_regions", "other regions than aws_region", "Leave it out"),
    ("database_maintenance_window", "sun:06:30-sun:07:30", "database_maintenance_window", "overlaps", "Move one"),
    ("database_backup_window", "06:00-06:10", "database_backup_window", "10 minutes", "Widen the window"),
    ("database_backup_window", "25:00-26:00", "database_backup_window", "'25:00-26:00'", "hh:mm-hh:mm in UTC"),
    ("database_backup_window", "23:50-00:10", "database_backup_window", "20 minutes", "Widen the window"),
    ("database_maintenance_window", "sat:23:30-sun:06:15", "database_maintenance_window", "overlaps", "Move one"),
    ("database_identifier", "DBprogressus", "database_identifier", "a-z", "Correct"),
    ("database_engine_version", "5.7; rm -rf /", "database_engine_version", "8.0.43", "Correct"),
    ("database_storage_type", "io1", "database_storage_type", "gp2, gp3", "Choose"),
    ("fleet_root_volume_type", "io2", "fleet_root_volume_type", "gp3, gp2", ""),
    ("database_parameters.require_secure_transport", "0", "database_parameters require_secure_transport", "TLS", ""),
    ("balancer_target_group", "AUTOChOp-of-twenty-seven-ch", "balancer_target_group", "1 to 26", "Correct"),
    ("host_time_zone", "America/Bogta", "host_time_zone", "'America/Bogta'", "IANA time zone"),
    ("fleet_schedule_time_zone", "Bogota", "fleet_schedule_time_zone", "'Bogota'", "IANA time zone"),
    ("rollout_freeze", {"reason": "x", "until": "soon"}, "rollout_freeze until", "'soon'", "2026-12-31"),
    ("rollout_freeze", {"until": "2026-02-30"}, "rollout_freeze until", "'2026-02-30'", "2026-12-31"),
    ("aws_tags.Cost&Center", "1", "aws_tags: name", "'Cost&Center'", "_.:/=+-@"),
    ("aws_tags.aws:owner", "1", "aws_tags: name", "'aws:owner'", "not start with aws:"),
    ("aws_tags.Owner", "A (B)", "aws_tags Owner", "'A (B)'", "_.:/=+-@"),
    ("monitoring_log_groups.0.name", "aplicación", "monitoring_log_groups", "'aplicación'", "._-/#"),
    ("monitoring_log_files.0.log_group", "aplication/error", "log_files", "monitoring_log_groups", "Correct"),
    ("perimeter_administrator_cidrs", ["10.0.0.1"], "administrator_cidrs: entry 1", "'10.0.0.1'", "10.0.0.1/32"),
    ("storage_mount_path", "/", "storage_mount_path", "'/'", "/mnt/chop-temp"),
    ("storage_mount_path", "/etc/checkop", "storage_mount_path", "'/etc/checkop'", "/mnt/chop-temp"),
    ("application_port", 80, "application_port", "from 1024 to 65535", "Choose"),
    ("image_source_owner", "999999999999", "image_source_owner", "125523088429", "image_source_id"),
    ("fleet_max_size", 1000000000, "fleet_max_size", "from 1 to 500", "Choose"),
    ("host_administrators", [{"name": "a b", "keys": [KEY]}], "host_administrators: a b name", "'a b'", "user name"),
    ("host_administrators", [{"name": "ana", "keys": []}], "host_administrators: ana keys", "0 entries", "Add"),
    ("host_administrators", [{"name": "ana", "keys": [SECURITY_KEY]}], "ana keys: entry 1", "sk-ssh", "ssh-ed25519"),
    ("host_administrators", [{"name": "ana", "keys": [PRIVATE_KEY]}], "ana keys: entry 1", "a private key", ""),
    ("host_package_keys", [{"key": "a b", "fingerprint": "00"}], "host_package_keys: entry 1 key", "'a b'", "URL"),
    ("checkop_environment", "Prod", "checkop_environment", "'Prod'", "a-z, 0-9 and hyphens"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), [(path, value, words) for path, value, *words in CASES])
def test_what_cannot_work_is_refused(data: dict[str, Any], path: str, value: Any, words: list[str]) -> None:
    lines = [str(finding) for finding in validate(put(data, path, value))]
    assert any(all(word in line for word in words) for line in lines), lines


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("application_user", "root"),
        ("application_user", "checkop\nExecStartPre=/bin/touch /root/x"),
        ("application_user", "-x"),
        ("application_user", "wheel"),
        ("application_uid", 0),
        ("application_uid", 999),
        ("application_command", ["/usr/bin/python2.7\nExecStartPre=/bin/true"]),
        ("application_version", "1.0.0\n"),
        ("application_settings", {"LD_PRELOAD": "/tmp/x.so"}),
        ("application_settings", {"PATH": "/tmp"}),
        ("application_settings", {"a b": "1"}),
        ("application_settings", {"1X": "1"}),
        ("application_settings", {"GREETING": "a\nLD_PRELOAD=/tmp/x.so"}),
        ("database_ca_file", "/etc/pki/tls/certs/rds.pem\nPATH=/tmp"),
        ("host_time_servers", ["169.254.169.123\ncmdallow all"]),
        ("host_locale", "C\nLD_PRELOAD=/tmp/x.so"),
        ("host_aws_endpoint_url", "http://127.0.0.1\nX=1"),
        ("storage_mount_path", "/mnt/chop-temp\nX=1"),
        ("monitoring_namespace", "CheckOP\nX"),
        ("ssm_prefix", "/checkop/production\n"),
    ],
)
def test_nothing_becomes_a_line_or_a_privilege_of_its_own(data: dict[str, Any], variable: str, value: Any) -> None:
    findings = validate({**data, variable: value})
    assert any(finding.variable.startswith(variable) for finding in findings), findings


def test_a_private_key_in_the_wrong_place_is_not_shown(data: dict[str, Any]) -> None:
    for variable, value in (
        ("fleet_public_key", PRIVATE_KEY),
        ("host_administrators", [{"name": "a", "keys": [PRIVATE_KEY]}]),
    ):
        assert "b3BlbnNzaC1rZXk" not in report(validate({**data, variable: value}))


def test_a_freeze_ends_at_a_date_or_its_text(data: dict[str, Any]) -> None:
    # Unquoted, YAML reads a date.
    for until in ("2026-12-31", dt.date(2026, 12, 31)):
        assert validate({**data, "rollout_freeze": {"reason": "year end", "until": until}}) == []


def test_what_a_template_needs_is_named_before_the_template(data: dict[str, Any]) -> None:
    broken = {**data, "network_subnets": [{"name": "x"}]}
    del broken["perimeter_subnet_cidrs"]
    unresolved = {"perimeter_subnet_cidrs": "'dict object' has no attribute 'cidr'"}
    findings = validate(broken, unresolved)
    assert {finding.variable for finding in findings} == {"network_subnets: x"}
    (finding,) = validate({name: data[name] for name in data if name != "perimeter_subnet_cidrs"}, unresolved)
    assert finding.variable == "perimeter_subnet_cidrs"


def test_every_file_of_variables_names_the_schema_for_editors() -> None:
    for path in sorted((REPOSITORY / "inventory").glob("*/group_vars/all/*.yml")):
        (line,) = [line for line in path.read_text(encoding="utf-8").splitlines() if "yaml-language-server" in line]
        relative = line.partition("$schema=")[2]
        assert (path.parent / relative).resolve() == (REPOSITORY / "inventory" / "schema.yml"), path


def test_settings_of_the_application_are_posix_names_with_plain_values(data: dict[str, Any]) -> None:
    assert validate({**data, "application_settings": {"GREETING": "hola, señora", "_x1": 5, "DEBUG": True}}) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("imge", "image"), ("balancer_idle_timeout_secnds", "balancer_idle_timeout_seconds"), ("strategie", "strategy")],
)
def test_a_variable_of_the_command_line_that_nothing_reads_is_refused(name: str, near: str) -> None:
    (finding,) = check_extra_variables([name, "image", "fleet_max_size", "ansible_user"])
    assert (finding.variable, near in finding.mend) == (name, True)


def test_the_known_variables_of_playbooks_are_those_that_playbooks_read() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "playbooks").glob("*.yml"))
    assert {name for name in PLAYBOOK_VARIABLES if re.search(rf"\b{name}\b", text)} == PLAYBOOK_VARIABLES
    read = set(re.findall(r"\{\{ *([a-z_]+)\b", text)) | set(re.findall(r"'-?-?[a-z-]+', ([a-z_]+)\]", text))
    ours = {name for name in read if not name.startswith("ansible_")}
    assert (
        ours
        - set(variables())
        - PLAYBOOK_VARIABLES
        - {"configure_hosts", "drift_comparison", "groups", "playbook_dir", "teardown_done"}
        == set()
    )


def test_images_are_shared_under_a_key_of_ones_own_and_not_copied_besides(data: dict[str, Any]) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    shared = {**data, "image_kms_key_id": key, "image_share_accounts": ["210987654321"]}
    assert validate(shared) == validate(data)
    lines = [str(finding) for finding in validate({**shared, "image_copy_regions": ["eu-west-1"]})]
    assert any("image_copy_regions" in line and "Empty one of the two" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("fleet_max_sise", "fleet_max_size"), ("netwrok_cidr", "network_cidr"), ("dns_record", "dns_records")],
)
def test_an_unknown_name_is_refused_with_the_nearest_known(data: dict[str, Any], name: str, meant: str) -> None:
    data[name] = 1
    findings = validate(data)
    assert [finding.variable for finding in findings] == [name]
    assert findings[0].mend == f"Write {meant}"


def test_an_unknown_name_that_looks_like_none_is_refused_when_it_begins_like_ours(data: dict[str, Any]) -> None:
    data["fleet_colour"] = "green"
    assert [finding.variable for finding in validate(data)] == ["fleet_colour"]


def test_a_name_that_is_nobodys_is_left_alone(data: dict[str, Any]) -> None:
    # Given on the command line to playbooks that take it: -e image=latest.
    assert validate(data | {"image": "latest", "pause": "manual", "host_group": "autochop"}) == []


def test_a_misspelt_variable_is_told_once_as_missing_and_once_as_unknown(data: dict[str, Any]) -> None:
    data["fleet_max_sise"] = data.pop("fleet_max_size")
    findings = {finding.variable: finding for finding in validate(data)}
    assert "fleet_max_sise stands there instead" in findings["fleet_max_size"].mend
    assert findings["fleet_max_sise"].mend == "Write fleet_max_size"


def test_numbers_that_a_template_left_as_text_are_numbers(data: dict[str, Any]) -> None:
    assert validate(data | {"fleet_max_size": "4", "database_allocated_storage_gb": "217"}) == []


def test_the_report_says_that_nothing_was_sent() -> None:
    text = report([Finding("a", "1", "2", "Write 2")])
    assert text.splitlines() == [
        "The inventory cannot work (1 found), and nothing was sent to AWS:",
        "- a: found 1; allowed is 2. Write 2.",
    ]
