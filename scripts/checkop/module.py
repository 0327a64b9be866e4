"""What every Ansible module of ours has in common: clients, one error shape, one result shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from checkop.aws import Clients
from checkop.errors import CheckopError
from checkop.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from checkop.reconcile import Outcome

    Work = Callable[[Clients, Reconciler, Mapping[str, Any]], Mapping[str, Any]]

# Options of every module that changes AWS.
COMMON_OPTIONS: dict[str, Any] = {
    "region": {"type": "str", "required": True},
    "tags": {"type": "dict", "required": True},
}


def run(module: Any, work: Work) -> None:
    """Run a module's work and end the module.

    The result has ``changed``, ``resources`` (every resource compared, equal ones too: the drift report reads it),
    ``diff`` (for ``--diff``) and whatever the work returns.

    Parameters
    ----------
    module:
        The AnsibleModule, whose options include `COMMON_OPTIONS`.
    work:
        Called with the clients, the reconciler and the options; returns values for the play.
    """
    reconciler = Reconciler(check=module.check_mode)
    try:
        values = work(Clients(module.params["region"]), reconciler, module.params)
    except CheckopError as error:
        module.fail_json(msg=str(error), **result(reconciler.outcomes))
    except (BotoCoreError, ClientError) as error:
        module.fail_json(msg=f"AWS answered: {error}", **result(reconciler.outcomes))
    else:
        module.exit_json(**result(reconciler.outcomes), **values)


def result(outcomes: list[Outcome]) -> dict[str, Any]:
    """Shape outcomes as an Ansible result."""
    changes = [outcome for outcome in outcomes if outcome.action != "equal"]
    return {
        "changed": bool(changes),
        "resources": [
            {
                "resource": outcome.resource,
                "action": outcome.action,
                "before": dict(outcome.before),
                "after": dict(outcome.after),
            }
            for outcome in outcomes
        ],
        "diff": [
            {
                "before_header": outcome.resource,
                "after_header": f"{outcome.resource} ({outcome.action})",
                "before": dict(outcome.before),
                "after": dict(outcome.after),
            }
            for outcome in changes
        ],
    }
