"""What a rehearsal has made, read back from the API by the names that the inventory gives."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from checkop.inventory import load
from checkop.monitoring import log_groups
from lab import drains

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def present(facts: Mapping[str, Any]) -> dict[str, bool]:
    """Return, for each system of the operator's document, whether the API shows it.

    Parameters
    ----------
    facts:
        Variables of the inventory; endpoint and credentials come from the process environment.
    """
    session = boto3.session.Session(region_name=facts["aws_region"])

    def client(service: str) -> Any:
        return session.client(service)  # type: ignore[call-overload]

    owned = [{"Name": "tag:checkop:environment", "Values": [facts["checkop_environment"]]}]
    ec2 = client("ec2")

    def instances(name: str) -> list[Any]:
        filters = [
            *owned,
            {"Name": "tag:Name", "Values": [name]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        return [i for r in ec2.describe_instances(Filters=filters)["Reservations"] for i in r["Instances"]]

    def fleet() -> bool:
        zones = {i["Placement"]["AvailabilityZone"] for i in instances(facts["fleet_name"])}
        return zones == set(facts["fleet_zones"])

    def addressed() -> bool:
        holders = {a.get("InstanceId") for a in ec2.describe_addresses(Filters=owned)["Addresses"]}
        return {i["InstanceId"] for i in [*instances(facts["fleet_name"]), *instances(facts["hub_name"])]} <= holders

    def zone() -> bool:
        zones = client("route53").list_hosted_zones_by_name(DNSName=facts["dns_zone"])["HostedZones"]
        return bool(zones) and zones[0]["ResourceRecordSetCount"] == len(facts["dns_records"])

    def logs() -> bool:
        prefix = facts["monitoring_log_prefix"]
        names = {log_groups.full_name(prefix, group["name"]) for group in facts["monitoring_log_groups"]}
        return log_groups.find(client("logs"), names).keys() == names

    acls = [*owned, {"Name": "default", "Values": ["false"]}]
    checks: dict[str, Callable[[], object]] = {
        "EC2 AUTOChOp": fleet,
        "EC2 Base ChOp": lambda: instances(facts["hub_name"]),
        "Elastic Load Balancing": lambda: client("elbv2").describe_load_balancers(Names=[facts["balancer_name"]])[
            "LoadBalancers"
        ],
        "Elastic IP": addressed,
        "Route 53": zone,
        "EFS": lambda: [
            f for f in client("efs").describe_file_systems()["FileSystems"] if f.get("Name") == facts["storage_name"]
        ],
        "RDS": lambda: client("rds").describe_db_instances(DBInstanceIdentifier=facts["database_identifier"])[
            "DBInstances"
        ],
        "AMI": lambda: ec2.describe_images(Owners=["self"], Filters=owned)["Images"],
        "CloudWatch": logs,
        "VPC": lambda: ec2.describe_vpcs(Filters=owned)["Vpcs"],
        "Security groups": lambda: (
            len(ec2.describe_security_groups(Filters=owned)["SecurityGroups"])
            == len(facts["perimeter_security_groups"])
        ),
        "Network ACLs": lambda: (
            len(ec2.describe_network_acls(Filters=acls)["NetworkAcls"]) == len(facts["perimeter_network_acls"])
        ),
    }
    return {name: bool(check()) for name, check in checks.items()}


def main(argv: list[str] | None = None) -> int:
    """Print which systems are present, and how long instances took to leave, as JSON."""
    parser = argparse.ArgumentParser(description="Say which systems of the operator's document exist.")
    parser.add_argument("-i", "--inventory", type=Path, required=True)
    facts = load(parser.parse_args(argv).inventory)
    autoscaling = boto3.session.Session(region_name=facts["aws_region"]).client("autoscaling")
    found = {"systems": present(facts), "drains_seconds": drains.seconds(autoscaling, facts["fleet_name"])}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
