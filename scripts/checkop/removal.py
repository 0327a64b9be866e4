"""Deleting what AWS may still hold: a snapshot after its image, a volume or a security group after their instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

# What used it is gone, and EC2 answers these for seconds to minutes more.
HELD = frozenset({"DependencyViolation", "IncorrectState", "InvalidSnapshot.InUse", "VolumeInUse"})
RELEASE_SECONDS = 300.0


def delete(what: str, call: Callable[[], object], *, timeout_seconds: float = RELEASE_SECONDS) -> bool:
    """Delete something, as soon as AWS lets go of it.

    Parameters
    ----------
    what:
        Its id, for messages.
    call:
        Sends the request.
    timeout_seconds:
        How long AWS may hold it.

    Returns
    -------
    bool
        Whether this call removed it; False if it had ended by itself.

    Raises
    ------
    CheckopError
        AWS still holds it; the message has AWS's words.
    """
    removed = True

    def look() -> tuple[bool, str]:
        nonlocal removed
        try:
            call()
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if code in HELD:
                return False, message.rstrip(".")
            if "NotFound" not in code:
                raise
            removed = False
        return True, ""

    wait_until(f"AWS to let go of {what}", look, timeout_seconds=timeout_seconds)
    return removed
