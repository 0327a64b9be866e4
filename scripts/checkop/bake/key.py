"""The bake key: one hash of everything that goes into an image. The same key means the same image."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from checkop.bake.request import Request

# What is fetched from there counts by its checksum: the same bytes from another place are the same.
PLACES = ("application_ar", "database_ca_source")
# Where the roles of a host and their variables are named, and what runs around them.
ROLE_LIST = "playbooks/host.yml"
PLAYBOOKS = ("playbooks/bake.yml", ROLE_LIST, "playbooks/seal.yml")
FOLDERS = {"packer": "packer", "tests": "tests/image"}
SEAL = "image_seal"
# The builder's own facts that Packer reads from the inventory.
BUILDER_FACTS = (
    "fleet_root_device",
    "fleet_root_volume_gb",
    "fleet_root_volume_type",
    "image_ssh_username",
    "ansible_python_interpreter",
)
IGNORED_SUFFIXES = frozenset({".pyc"})
IGNORED_FOLDERS = frozenset({"__pycache__", "molecule"})
# A plugin that imports our package runs on the controller and leaves nothing on a host.
CONTROLLER_IMPORT = re.compile(r"^\s*(from|import) checkop\b", re.MULTILINE)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


@dataclass(frozen=True)
class Key:
    """The digest, and the digest of each part by name, so that a difference can be named."""

    digest: str
    parts: dict[str, str]


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def hash_files(root: Path, files: Iterable[Path]) -> str:
    """Return one hash of files: their names below `root`, whether they may be executed, and what is in them."""
    listed = []
    for path in sorted(files):
        executable = bool(path.stat().st_mode & 0o100)
        listed.append([str(path.relative_to(root)), executable, hashlib.sha256(path.read_bytes()).hexdigest()])
    return hash_text(json.dumps(listed))


def files_below(folder: Path) -> list[Path]:
    """Return the files below a folder that can matter to an image."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in IGNORED_SUFFIXES and not IGNORED_FOLDERS & set(path.parts)
    ]


def host_roles(root: Path) -> list[str]:
    """Return the roles of a host in their order, as playbooks/host.yml names them, with the seal.

    Raises
    ------
    CheckopError
        The playbook names a role that does not exist.
    """
    plays = yaml.safe_load((root / ROLE_LIST).read_text(encoding="utf-8"))
    names = [entry["role"] for play in plays for entry in play.get("roles", [])] + [SEAL]
    missing = [name for name in names if not (root / "roles" / name).is_dir()]
    if missing:
        raise CheckopError(f"{ROLE_LIST} names roles that do not exist: {', '.join(missing)}.")
    return names


def host_variables(root: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inventory's values that reach a host: those named in an expression of playbooks/host.yml or seal.yml.

    Values that hold other variables are templated already, so that a change anywhere behind them shows.
    """
    names = set(BUILDER_FACTS)
    for playbook in PLAYBOOKS:
        for expression in EXPRESSION.findall((root / playbook).read_text(encoding="utf-8")):
            names.update(IDENTIFIER.findall(expression))
    return {name: values[name] for name in sorted(names) if name in values and not name.startswith(PLACES)}


def compute(root: Path, values: Mapping[str, Any], request: Request, source_ami_id: str) -> Key:
    """Hash all inputs of a bake.

    Parameters
    ----------
    root:
        The repository.
    values:
        The inventory's variables.
    request:
        What is to be baked.
    source_ami_id:
        The AMI that the builder starts from.

    Returns
    -------
    Key
        The git revision is no part of it: a commit that touches no input changes nothing in the image.
    """
    parts = {f"role {name}": hash_files(root, files_below(root / "roles" / name)) for name in host_roles(root)}
    parts["playbooks"] = hash_files(root, [root / name for name in PLAYBOOKS])
    parts |= {name: hash_files(root, files_below(root / folder)) for name, folder in FOLDERS.items()}
    plugins = [
        path for path in files_below(root / "plugins") if not CONTROLLER_IMPORT.search(path.read_text(encoding="utf-8"))
    ]
    parts["plugins"] = hash_files(root, plugins)
    variables = host_variables(root, values)
    variables["application_version"] = request.version
    parts["inventory"] = hash_text(json.dumps(variables, sort_keys=True, default=str))
    parts["application archive"] = request.sha256
    parts["source AMI"] = source_ami_id
    return Key(hash_text(json.dumps(parts, sort_keys=True)), parts)


def git_revision(root: Path) -> str:
    """Return the repository's commit id, with ``-dirty`` where the tree has changes; ``unknown`` outside of git."""
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode != 0:
        return "unknown"
    status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("-dirty" if status.stdout.strip() else "")
