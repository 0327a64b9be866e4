"""What the project's Ansible modules share: parameters, clients that outlive one task, errors as one sentence.

It lies here and not in `module_utils`: mitogen forks a fresh interpreter for every module with module_utils of its own,
and importing boto3 again is the largest cost of an AWS task.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from checkop.aws import Clients
from checkop.errors import CheckopError
from checkop.reconcile import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule

# Options that every module has.
COMMON: Mapping[str, Mapping[str, Any]] = {
    "region": {"type": "str", "required": True},
    "tags": {"type": "dict", "default": {}},
}


@cache
def _clients(region: str, _environment: frozenset[tuple[str, str]]) -> Clients:
    return Clients(region)


def clients(region: str) -> Clients:
    """Give the clients of a region, made anew only when the AWS variables of the environment have changed."""
    environment = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    return _clients(region, environment)


def run(
    module: AnsibleModule,
    work: Callable[[Clients, Plan, dict[str, Any]], Mapping[str, Any] | None],
) -> None:
    """Run a module that makes one system of the environment true, and exit.

    Parameters
    ----------
    module:
        The module; its options include those of `COMMON`.
    work:
        Gets clients, the plan to record differences in, and the parameters; returns further results.
    """
    plan = Plan(check=module.check_mode)
    try:
        results = work(clients(module.params["region"]), plan, module.params)
    except CheckopError as error:
        module.fail_json(msg=str(error), changed=plan.changed and not plan.check)
    except (BotoCoreError, ClientError) as error:
        where = f" while changing {plan.changes[-1].resource}" if plan.changes and not plan.check else ""
        module.fail_json(
            msg=f"AWS refused{where}: {error}. What was done so far stays; run the playbook again to go on.",
            changed=plan.changed and not plan.check,
        )
    module.exit_json(
        changed=plan.changed,
        diff=plan.diff(),
        changes=[change.resource for change in plan.changes],
        **(results or {}),
    )
