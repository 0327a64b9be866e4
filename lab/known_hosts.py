"""Forgets the SSH host keys of loopback addresses that a new lab uses anew (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HASHED = "|1|"


def forget_addresses(path: Path, addresses: list[str]) -> None:
    """Drop the lines of known_hosts that name one of the addresses, in clear or hashed; no error without a file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return
    kept = [line for line in lines if not _names(line.split(" ")[0], addresses)]
    if kept != lines:
        path.write_text("".join(kept), encoding="utf-8")


def _names(field: str, addresses: list[str]) -> bool:
    if not field.startswith(_HASHED):
        return any(name.strip("[]").split("]:")[0] in addresses for name in field.split(","))
    _, _, salt, digest = field.split("|")
    key, wanted = base64.b64decode(salt), base64.b64decode(digest)
    return any(hmac.new(key, address.encode(), hashlib.sha1).digest() == wanted for address in addresses)
