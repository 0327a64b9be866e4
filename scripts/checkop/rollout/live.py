"""What Ansible's action plugins call: an operation with its options, and a voice; answers in Ansible's words.

The plugins run on the operator's machine inside Ansible's worker, so that `say` reaches the terminal while the task
runs. A
module could not: Ansible shows what a module printed only when it has ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from checkop.aws import Clients
from checkop.errors import CheckopError
from checkop.rollout import back, operations, replacing, scaling
from checkop.rollout.kit import tools
from checkop.rollout.settings import from_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from checkop.rollout.begin import Outcome
    from checkop.rollout.kit import Tools
    from checkop.rollout.settings import Settings


def rollout(kit: Tools, settings: Settings, options: Mapping[str, Any], check: bool) -> Outcome:
    """Put an image into service."""
    chosen = {name: options[name] for name in ("pause", "strategy") if options.get(name)}
    return operations.rollout(kit, replace(settings, **chosen), options["image"], check=check)


def rollback(kit: Tools, settings: Settings, options: Mapping[str, Any], check: bool) -> Outcome:
    """Bring an earlier release back."""
    return back.rollback(kit, settings, str(options.get("release") or ""), check=check)


def scale(kit: Tools, settings: Settings, options: Mapping[str, Any], check: bool) -> Outcome:
    """Give the fleet another size."""
    return scaling.scale(kit, settings, options["size"], check=check)


def replace_instance(kit: Tools, settings: Settings, options: Mapping[str, Any], check: bool) -> Outcome:
    """Replace one instance."""
    return replacing.replace_instance(kit, settings, options["instance"], check=check)


WORK: dict[str, Callable[[Tools, Settings, Mapping[str, Any], bool], Outcome]] = {
    "rollout": rollout,
    "rollback": rollback,
    "scale": scale,
    "replace": replace_instance,
}

_COMMON: dict[str, Any] = {
    "region": {"type": "str", "required": True},
    "settings": {"type": "dict", "required": True},
}
# Argument specs of the modules, by operation (ansible-core developer guide, "Argument spec").
SPECS: dict[str, dict[str, Any]] = {
    "rollout": {
        **_COMMON,
        "image": {"type": "str", "default": "latest"},
        "pause": {"type": "str", "choices": ["automatic", "manual"]},
        "strategy": {"type": "str", "choices": ["rolling", "blue_green"]},
    },
    "rollback": {**_COMMON, "release": {"type": "str", "default": ""}},
    "scale": {**_COMMON, "size": {"type": "int", "required": True}},
    "replace": {**_COMMON, "instance": {"type": "str", "required": True}},
}


def perform(
    operation: str,
    options: Mapping[str, Any],
    *,
    check: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run an operation and answer as a module would.

    Parameters
    ----------
    operation:
        Key of `WORK`.
    options:
        The task's options: `region`, `settings` (the inventory's `rollout_settings`) and the operation's own.
    check:
        Ansible's check mode.
    say:
        Takes a line for the operator, at once.
    """
    try:
        settings = from_options(options["settings"])
        kit = tools(Clients(options["region"]), settings, lambda line: say(f"rollout: {line}"))
        outcome = WORK[operation](kit, settings, options, check)
    except CheckopError as error:
        # Readable here; in Ansible's own answer the lines run into one.
        for line in str(error).splitlines():
            say(f"rollout: {line}")
        return {"failed": True, "changed": False, "msg": str(error)}
    except (BotoCoreError, ClientError) as error:
        return {
            "failed": True,
            "changed": False,
            "msg": f"AWS answered: {error}. Run the same playbook again to go on.",
        }
    say(f"rollout: {outcome.message}")
    answer: dict[str, Any] = {"changed": outcome.changed, "msg": outcome.message, "failed": outcome.failed}
    if outcome.forecast:
        answer["forecast"] = list(outcome.forecast)
    if outcome.entry is not None:
        answer |= {"release": outcome.entry.release, "result": outcome.entry.result, "image": outcome.entry.image}
    return answer
