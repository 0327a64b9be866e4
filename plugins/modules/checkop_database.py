#!/usr/bin/python
"""Ansible module: the RDS instance with its groups and its secret."""

DOCUMENTATION = r"""
module: checkop_database
short_description: Make an RDS instance, encrypted and reachable with TLS only
description:
  - Makes the subnet group, the parameter group, the secret with a generated password, and the instance.
  - The password goes from Secrets Manager to RDS inside this module, never through a play, a log or a process list.
  - C(amazon.aws.rds_instance) sends any storage that differs, and so tries to shrink what autoscaling has grown.
options:
  identifier: {description: Identifier of the instance and of its subnet group, type: str, required: true}
  engine: {description: Engine as RDS names it, type: str, required: true}
  engine_version: {description: Version; a major one is met by each of its releases, type: str, required: true}
  parameter_group_family: {description: Family of the parameter group, type: str, required: true}
  parameters: {description: Engine parameters beside the defaults, type: dict, required: true}
  instance_class: {description: Instance class, type: str, required: true}
  zone: {description: Availability Zone of an instance without a standby, type: str, required: true}
  multi_az: {description: Whether there is a standby in another zone, type: bool, required: true}
  storage_type: {description: Storage type, type: str, required: true}
  allocated_storage_gb: {description: Storage to begin with; never shrunk, type: int, required: true}
  max_allocated_storage_gb: {description: Ceiling of storage autoscaling, type: int, required: true}
  backup_retention_days: {description: Days that automated backups are kept, type: int, required: true}
  backup_window: {description: UTC window of backups, type: str, required: true}
  maintenance_window: {description: UTC window of maintenance, type: str, required: true}
  deletion_protection: {description: Whether RDS refuses to delete it, type: bool, required: true}
  log_exports: {description: Logs sent to CloudWatch, type: list, elements: str, required: true}
  port: {description: Port of a new instance, type: int, required: true}
  schema: {description: Schema of a new instance, type: str, required: true}
  username: {description: Master user, type: str, required: true}
  secret_name: {description: Name of the secret, type: str, required: true}
  vpc_name: {description: Tag Name of the VPC, type: str, required: true}
  zones: {description: Zones whose data subnets the subnet group spans, type: list, elements: str, required: true}
  security_group: {description: Name of the security group, type: str, required: true}
  apply_immediately: {description: Whether changes skip the maintenance window, type: bool, required: true}
  wait_seconds: {description: Bound of each wait, type: int, required: true}
  region: {description: Region of the instance, type: str, required: true}
  tags: {description: Tags of ownership, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make dbprogressus
  checkop_database:
    identifier: dbprogressus
    engine: mysql
    engine_version: "8.0"
    parameter_group_family: mysql8.0
    parameters: {require_secure_transport: "1"}
    instance_class: db.r5.xlarge
    zone: us-east-1a
    multi_az: false
    storage_type: gp2
    allocated_storage_gb: 217
    max_allocated_storage_gb: 1000
    backup_retention_days: 14
    backup_window: "06:00-07:00"
    maintenance_window: "sun:07:30-sun:08:30"
    deletion_protection: true
    log_exports: [error, slowquery]
    port: 3306
    schema: checkop
    username: checkop
    secret_name: checkop/production/database
    vpc_name: checkop
    zones: [us-east-1a, us-east-1d]
    security_group: checkop-db
    apply_immediately: false
    wait_seconds: 2400
    region: us-east-1
    tags: "{{ aws_tags }}"
"""

RETURN = r"""
endpoint: {description: Host name; empty where a check found none, type: str, returned: success}
port: {description: Port as RDS gives it, type: str, returned: success}
secret_arn: {description: ARN of the secret; empty where a check found none, type: str, returned: success}
changes: {description: Names of what differed, type: list, returned: success}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from checkop.aws import Clients
from checkop.database import groups, instance, secret
from checkop.module import COMMON, run
from checkop.provision import lookup
from checkop.reconcile import Plan

INSTANCE_OPTIONS = {
    "identifier": "str",
    "engine": "str",
    "engine_version": "str",
    "instance_class": "str",
    "zone": "str",
    "multi_az": "bool",
    "storage_type": "str",
    "allocated_storage_gb": "int",
    "max_allocated_storage_gb": "int",
    "backup_retention_days": "int",
    "backup_window": "str",
    "maintenance_window": "str",
    "deletion_protection": "bool",
    "log_exports": "list",
    "port": "int",
    "schema": "str",
    "username": "str",
    "apply_immediately": "bool",
    "wait_seconds": "int",
}
OTHER_OPTIONS = {
    "parameter_group_family": "str",
    "parameters": "dict",
    "secret_name": "str",
    "vpc_name": "str",
    "zones": "list",
    "security_group": "str",
}


def work(clients: Clients, plan: Plan, options: dict[str, Any]) -> dict[str, str]:
    """Make the groups, the secret and the instance, in this order."""
    tags = options["tags"]
    vpc = lookup.vpc_id(clients.ec2, options["vpc_name"], tags, check=plan.check)
    subnets = lookup.zone_subnets(clients.ec2, vpc, tags, "data", options["zones"], check=plan.check)
    wanted = instance.Instance(
        **{name: options[name] for name in INSTANCE_OPTIONS},
        subnet_group=options["identifier"],
        # One group per family: RDS upgrades an engine by giving it a group of the new family.
        parameter_group=f"{options['identifier']}-{options['parameter_group_family'].replace('.', '-')}",
        security_group_id=lookup.security_group_id(clients.ec2, vpc, options["security_group"], check=plan.check),
        tags=tags,
    )
    groups.subnet_group(clients.rds, plan, wanted.subnet_group, subnets, tags)
    groups.parameter_group(
        clients.rds,
        plan,
        wanted.parameter_group,
        family=options["parameter_group_family"],
        parameters=options["parameters"],
        tags=tags,
    )
    found = instance.find(clients.rds, wanted.identifier)
    kept = secret.reconcile(
        clients.secretsmanager,
        plan,
        options["secret_name"],
        username=wanted.username,
        tags=tags,
        set_password=(lambda password: instance.set_password(clients.rds, wanted, password)) if found else None,
    )
    return {**instance.reconcile(clients.rds, plan, wanted, found, kept.password), "secret_arn": kept.arn}


def main() -> None:
    """Run the module."""
    options = {name: {"type": kind, "required": True} for name, kind in (INSTANCE_OPTIONS | OTHER_OPTIONS).items()}
    for name in ("log_exports", "zones"):
        options[name]["elements"] = "str"
    # The name of a secret is none; without this Ansible warns because of the word.
    options["secret_name"]["no_log"] = False
    run(AnsibleModule(argument_spec={**COMMON, **options}, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
