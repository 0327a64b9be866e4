"""A second environment beside the first needs one inventory folder, and an interrupted build is finished by a rerun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
SYSTEMS = ("network", "perimeter", "dns", "fleet", "addresses", "hub")
# All that staging says: who it is, its zone, and what the rehearsal looks up from its environment as well.
STAGING = {
    "checkop_environment": "staging",
    "checkop_name_suffix": "-staging",
    "aws_account_id": "123456789012",
    "aws_endpoint_url": "{{ lookup('ansible.builtin.env', 'AWS_ENDPOINT_URL') }}",
    "dns_zone": "staging.checkop.co",
    "fleet_public_key": "{{ lookup('file', lookup('env', 'LAB_SSH_PUBLIC_KEY_FILE')) }}",
    "database_ca_sha256": "0" * 64,
    "perimeter_administrator_cidrs": ["198.51.100.7/32"],
}


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inventory folder as a person would write it: production's facts, and what differs."""
    folder = tmp_path_factory.mktemp("inventory") / "staging"
    variables = folder / "group_vars" / "all"
    variables.mkdir(parents=True)
    (variables / "production").symlink_to(REPOSITORY / "inventory" / "production" / "group_vars" / "all")
    (variables / "staging.yml").write_text(yaml.safe_dump(STAGING))
    (folder / "localhost.yml").symlink_to(REPOSITORY / "inventory" / "production" / "localhost.yml")
    return folder


def count(environment: Any) -> dict[str, int]:
    ec2, iam = environment.client("ec2"), environment.client("iam")
    mine = [{"Name": "tag:checkop:environment", "Values": ["rehearsal"]}]
    return {
        "vpcs": len(ec2.describe_vpcs(Filters=mine)["Vpcs"]),
        "subnets": len(ec2.describe_subnets(Filters=mine)["Subnets"]),
        "groups": len(ec2.describe_security_groups(Filters=mine)["SecurityGroups"]),
        "addresses": len(ec2.describe_addresses(Filters=mine)["Addresses"]),
        "roles": len([role for role in iam.list_roles()["Roles"] if "rehearsal" in role["RoleName"]]),
    }


def test_staging_is_built_beside_the_first_and_neither_touches_the_other(
    environment: Any, staging: Path, make_neighbours: Any
) -> None:
    before = count(environment)
    assert environment.converge(SYSTEMS, "--check", inventory=staging).changed >= 9
    environment.converge("network", inventory=staging)
    make_neighbours(environment.cloud, "-staging", "staging")
    environment.converge(SYSTEMS[1:], inventory=staging)
    assert environment.converge(SYSTEMS, inventory=staging).changed == 0
    assert environment.converge(SYSTEMS).changed == 0, "the first environment is as it was"
    assert count(environment) == before

    ec2, autoscaling = environment.client("ec2"), environment.client("autoscaling")
    mine = [{"Name": "tag:checkop:environment", "Values": ["staging"]}]
    names = {
        tag["Value"] for vpc in ec2.describe_vpcs(Filters=mine)["Vpcs"] for tag in vpc["Tags"] if tag["Key"] == "Name"
    }
    assert names == {"checkop-staging"}
    groups = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert {group["AutoScalingGroupName"] for group in groups} == {"AUTOChOp", "AUTOChOp-staging"}
    zones = {zone["Name"] for zone in environment.client("route53").list_hosted_zones()["HostedZones"]}
    assert {"checkop.co.", "staging.checkop.co."} <= zones


def test_a_build_that_fails_half_way_is_finished_by_running_it_again(fresh_cloud: Any, playbook: Any) -> None:
    # The fourth subnet is refused, as by a quota.
    fresh_cloud.fault(every=4, code="SubnetLimitExceeded", status=400, operation="CreateSubnet", times=1)
    try:
        run = playbook("network")
    finally:
        fresh_cloud.clear_faults()
    assert run.failed == 1
    assert "AWS refused while changing Subnet checkop-data-1d" in run.output
    assert "SubnetLimitExceeded" in run.output
    assert "run the playbook again to go on" in run.output
    again = playbook("network")
    assert (again.returncode, again.changed) == (0, 1), again.output
    assert playbook("network").changed == 0


def test_throttling_is_waited_out(fresh_cloud: Any, playbook: Any) -> None:
    fresh_cloud.reset()
    fresh_cloud.fault(every=4, code="Throttling", service="ec2")
    try:
        run = playbook("network")
    finally:
        fresh_cloud.clear_faults()
    assert (run.returncode, run.changed) == (0, 1), run.output
    assert playbook("network").changed == 0
