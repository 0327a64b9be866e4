"""Run the playbooks in check mode, and collect what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from checkop.drift.report import Report, read
from checkop.errors import CheckopError
from checkop.validate.schema import ALIKE_WORDS, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Where the callback writes its events.
EVENTS_VARIABLE = "CHECKOP_DRIFT_EVENTS"
CALLBACK = "checkop_drift"
TIMEOUT_SECONDS = 900
LAST_LINES = 20


def repository() -> Path:
    """Return the folder that holds `ansible.cfg` and `playbooks/`.

    Raises
    ------
    CheckopError
        The package is installed away from them.
    """
    folder = Path(__file__).resolve().parents[3]
    if not (folder / "ansible.cfg").is_file():
        raise CheckopError(
            f"{folder} has no ansible.cfg: drift is found by the playbooks, so run checkop from a checkout of the "
            "repository, installed with `make setup`."
        )
    return folder


def known_tags(root: Path) -> list[str]:
    """Return the tags of the systems that `playbooks/site.yml` imports, in its order."""
    folder = root / "playbooks"
    tags: list[str] = []
    for entry in yaml.safe_load((folder / "site.yml").read_text(encoding="utf-8")):
        plays = yaml.safe_load((folder / entry["ansible.builtin.import_playbook"]).read_text(encoding="utf-8"))
        tags += [tag for play in plays for tag in play.get("tags", []) if tag != "always"]
    return tags


def _require_known(tags: Sequence[str], known: Sequence[str]) -> None:
    unknown = [tag for tag in tags if tag not in known]
    if unknown:
        near = nearest(unknown[0], known, ALIKE_WORDS)
        raise CheckopError(
            f"--tags has {', '.join(unknown)}, which no system carries; known are {', '.join(known)}."
            + (f" Write {near}." if near else "")
        )


def compare(
    inventories: Sequence[Path],
    *,
    tags: Sequence[str] = (),
    extra_vars: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Report:
    """Run `site.yml --check --diff`, which changes nothing, and read what would change.

    Parameters
    ----------
    inventories:
        Folders or files of the inventory.
    tags:
        Systems to compare; none: all.
    extra_vars:
        As for ``ansible-playbook -e``.
    environment:
        The process environment; by default the real one.

    Returns
    -------
    Report
        What differs.

    Raises
    ------
    CheckopError
        A tag is none of a system.
    """
    root = repository()
    if tags:
        _require_known(tags, known_tags(root))
    with tempfile.TemporaryDirectory(prefix="checkop-drift-") as folder:
        events = Path(folder) / "events"
        events.touch()
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            str(root / "playbooks" / "site.yml"),
            "--check",
            "--diff",
        ]
        for inventory in inventories:
            command += ["-i", str(inventory.resolve())]
        if tags:
            command += ["--tags", ",".join(tags)]
        for variables in extra_vars:
            command += ["-e", variables]
        try:
            finished = subprocess.run(
                command,
                cwd=root,
                env={
                    **(os.environ if environment is None else environment),
                    "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
                    "ANSIBLE_CALLBACKS_ENABLED": CALLBACK,
                    EVENTS_VARIABLE: str(events),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CheckopError(f"The playbooks have not ended in {TIMEOUT_SECONDS} s. Does AWS answer?") from error
        report = read(json.loads(line) for line in events.read_text(encoding="utf-8").splitlines())
    if finished.returncode != 0 and not report.error:
        report.error = "ansible-playbook:\n" + "\n".join(finished.stdout.splitlines()[-LAST_LINES:])
    return report
