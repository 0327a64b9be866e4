#!/usr/bin/python
"""Ansible module: make the IAM role and instance profile of a kind of host true."""

DOCUMENTATION = r"""
module: checkop_instance_role
short_description: Make a host's IAM role with exactly one policy, and its instance profile
description:
  - The policy names what a host of the environment needs and nothing else; other policies on the role are removed.
  - Follows the IAM API (CreateRole, PutRolePolicy, CreateInstanceProfile).
options:
  name: {description: Name of role and instance profile, type: str, required: true}
  kind: {description: What the host is, type: str, required: true, choices: [fleet, hub]}
  group: {description: Auto Scaling group of the fleet; unused for the hub, type: str, default: ""}
  ssm_prefix: {description: Path of the parameters that hosts read, type: str, required: true}
  secret_name: {description: Name of the database's secret, type: str, required: true}
  log_prefix: {description: Path of the log groups that hosts write to, type: str, required: true}
  metric_namespace: {description: CloudWatch namespace that hosts write to, type: str, required: true}
  file_system: {description: Name of the file system that hosts mount, type: str, required: true}
  account_id: {description: The account's id, type: str, required: true}
  region: {description: AWS region, type: str, required: true}
  tags: {description: Tags of everything made, type: dict, default: {}}
author: [CheckOP operations]
"""

EXAMPLES = r"""
- name: Make the fleet's role
  checkop_instance_role:
    name: checkop-production-fleet
    kind: fleet
    group: AUTOChOp
    ssm_prefix: /checkop/production
    secret_name: checkop/production/database
    log_prefix: /checkop/production
    metric_namespace: CheckOP/production
    file_system: ChOp-Temp
    account_id: "123456789012"
    region: us-east-1
    tags: {"checkop:environment": production}
"""

RETURN = r"""
changes: {description: What was or would be changed, type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule

from checkop.module import COMMON, run
from checkop.policies import trust_policy
from checkop.resources import engine, host_policies
from checkop.resources.kind import Context
from checkop.resources.kinds import kind_of

SPEC = {
    "name": {"type": "str", "required": True},
    "kind": {"type": "str", "required": True, "choices": ["fleet", "hub"]},
    "group": {"type": "str", "default": ""},
    "ssm_prefix": {"type": "str", "required": True},
    "secret_name": {"type": "str", "required": True, "no_log": False},
    "log_prefix": {"type": "str", "required": True},
    "metric_namespace": {"type": "str", "required": True},
    "file_system": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
}


def work(clients, plan, params):
    """Make role and profile."""
    tags = params["tags"]
    scope = host_policies.Scope(
        region=params["region"],
        account_id=params["account_id"],
        environment=tags["checkop:environment"],
        ssm_prefix=params["ssm_prefix"],
        secret_name=params["secret_name"],
        log_prefix=params["log_prefix"],
        metric_namespace=params["metric_namespace"],
        file_system_arn=host_policies.file_system_arn(clients.efs, params["file_system"], tags, check=plan.check),
    )
    if params["kind"] == "fleet":
        statements = host_policies.fleet_statements(scope, params["group"])
    else:
        statements = host_policies.host_statements(scope)
    name, context = params["name"], Context(clients, plan, tags)
    role = {
        "AssumeRolePolicyDocument": trust_policy("ec2.amazonaws.com"),
        "Description": f"What instances of the {params['kind']} may do",
        "Policies": {"checkop": {"Version": "2012-10-17", "Statement": statements}},
        "AttachedPolicies": [],
    }
    engine.converge(context, kind_of("iam.role"), name, role)
    engine.converge(context, kind_of("iam.instance_profile"), name, {"Roles": [name]})


if __name__ == "__main__":
    run(AnsibleModule(argument_spec={**COMMON, **SPEC}, supports_check_mode=True), work)
