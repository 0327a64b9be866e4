"""The ledger: what was rolled out, when, by whom, and how it ended. One SSM parameter a release, versioned by SSM.

Follows SSM PutParameter, GetParameter and GetParametersByPath: a standard parameter holds 4 KB and keeps its last 100
versions, so that an entry's own history can be read back too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from checkop.errors import CheckopError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_ssm import SSMClient

# rolling: under way. succeeded: in service after it. rolled_back: the release before it is in service again.
# aborted: ended before anything was replaced. failed: neither way could be finished; a person has to look.
Result = Literal["rolling", "succeeded", "rolled_back", "aborted", "failed"]

ENTRY_BYTES = 4096


@dataclass(frozen=True)
class Entry:
    """One release.

    `release` is the number that people say, four digits. `image` and `template_version` are what it brings, the
    `previous_...` ones what it replaced. Times are ISO 8601 in UTC. `timings` are seconds by phase.
    """

    release: str
    operation: Literal["rollout", "rollback"]
    image: str
    who: str
    operator: str
    started: str
    strategy: str = "rolling"
    # `manual`: each checkpoint waits for the operator's word.
    pause: str = "automatic"
    image_name: str = ""
    application_version: str = ""
    git_revision: str = ""
    template_version: int | None = None
    # Release that a rollback brings back.
    of_release: str = ""
    previous_release: str = ""
    previous_image: str = ""
    previous_template_version: int | None = None
    # Newest refresh of the group before this release; ours are those after it.
    refresh_before: str = ""
    refresh: str = ""
    # The group was empty: it gets its size instead of a refresh.
    first: bool = False
    instances: int = 0
    # Steps that the percentages made of it.
    steps: int = 0
    result: Result = "rolling"
    reason: str = ""
    # Why the release is being taken back, from the moment that was decided.
    returning: str = ""
    # The pause at which it waits for an operator's word.
    waiting: str = ""
    finished: str = ""
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it has not ended yet."""
        return self.result == "rolling"

    @property
    def seconds(self) -> float | None:
        """How long it took, or None while it is under way."""
        if not self.finished:
            return None
        return (datetime.fromisoformat(self.finished) - datetime.fromisoformat(self.started)).total_seconds()

    @property
    def step_seconds(self) -> float:
        """How long one step of replacing took, without what was held; 0 when it was not measured."""
        return self.timings.get("replacing", 0.0) / max(self.steps, 1)

    def to_json(self) -> str:
        """Return the parameter's value: JSON without what is at its default.

        Raises
        ------
        CheckopError
            The entry does not fit into a parameter of 4 KB even with its reasons cut.
        """
        defaults = {item.name: item.default for item in fields(self)}
        data = {key: value for key, value in asdict(self).items() if value not in (defaults[key], {}, None)}
        text = json.dumps(data, separators=(",", ":"))
        # A reason may quote a whole answer of AWS; its beginning says enough.
        for length in (400, 100, 30):
            if len(text) > ENTRY_BYTES:
                data |= {key: str(data[key])[:length] for key in ("reason", "returning") if key in data}
                text = json.dumps(data, separators=(",", ":"))
        if len(text) > ENTRY_BYTES:
            raise CheckopError(
                f"Release {self.release} makes a ledger entry of {len(text)} bytes; SSM allows {ENTRY_BYTES}. Shorten "
                "the image's name or the caller's role name."
            )
        return text


def from_json(text: str) -> Entry:
    """Read an entry; fields that a newer version wrote are left out.

    Raises
    ------
    CheckopError
        The text is no ledger entry.
    """
    known = {item.name for item in fields(Entry)}
    try:
        data: dict[str, Any] = json.loads(text)
        return Entry(**{key: value for key, value in data.items() if key in known})
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckopError(f"A ledger entry cannot be read ({error}): {text[:200]}") from error


def timestamp(moment: datetime) -> str:
    """Return a moment as the ledger writes it: UTC, to the second."""
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds")


def number(release: str) -> int:
    """Return the number of a release as people may write it: ``7``, ``0007`` or ``release 7``.

    Raises
    ------
    CheckopError
        It holds no number from 1 to 9999.
    """
    digits = release.lower().removeprefix("release").strip()
    if not digits.isdigit() or not 1 <= int(digits) <= 9999:  # noqa: PLR2004 - four digits
        raise CheckopError(
            f"{release!r} is no release; give its number, for example 7 or 0007 (see: checkop releases)."
        )
    return int(digits)


def next_release(entries: Sequence[Entry]) -> str:
    """Return the number after the highest of the ledger."""
    return f"{max((int(entry.release) for entry in entries), default=0) + 1:04d}"


def in_service(entries: Sequence[Entry]) -> Entry | None:
    """Return the newest release that succeeded: the one in service."""
    return next((entry for entry in newest_first(entries) if entry.result == "succeeded"), None)


def newest_first(entries: Sequence[Entry]) -> list[Entry]:
    """Sort entries by number, the newest first."""
    return sorted(entries, key=lambda entry: entry.release, reverse=True)


def taken_back(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return image to the release that ended with its way back, for images whose newest release ended so.

    A release that failed counts as one that was rolled back; a rollback takes back the image that it replaces.
    """
    newest: dict[str, Entry | None] = {}
    for entry in newest_first(entries):
        if entry.operation == "rollback":
            if entry.result != "aborted" and entry.previous_image not in {"", entry.image}:
                newest.setdefault(entry.previous_image, entry)
        elif entry.returning or entry.result in {"rolled_back", "failed"}:
            newest.setdefault(entry.image, entry)
        if entry.result == "succeeded":
            newest.setdefault(entry.image, None)
    return {image: entry for image, entry in newest.items() if entry is not None}


def last_good(entries: Sequence[Entry]) -> Entry | None:
    """Return the newest release that succeeded with another image than the one in service: the default way back."""
    current = in_service(entries)
    if current is None:
        return None
    # What was already taken back is no way back: after 1, 2, back to 1, the last good before 1 is not 2.
    passed = {current.image, *taken_back(entries)}
    return next(
        (entry for entry in newest_first(entries) if entry.result == "succeeded" and entry.image not in passed), None
    )


def find(entries: Sequence[Entry], release: str) -> Entry:
    """Return one release.

    Raises
    ------
    CheckopError
        There is none of that number.
    """
    wanted = f"{number(release):04d}"
    for entry in entries:
        if entry.release == wanted:
            return entry
    known = ", ".join(entry.release for entry in newest_first(entries)[:10]) or "none yet"
    raise CheckopError(f"Release {wanted} is not in the ledger. It knows: {known} (all of them: checkop releases).")


class Ledger:
    """The entries below ``<prefix>/releases``.

    Parameters
    ----------
    ssm:
        Client of AWS Systems Manager.
    prefix:
        The inventory's ``ssm_prefix``, for example ``/checkop/production``.
    """

    def __init__(self, ssm: SSMClient, prefix: str) -> None:
        self._ssm = ssm
        self._path = f"{prefix}/releases"

    def entries(self) -> list[Entry]:
        """Read all entries, the newest first; ten parameters a page (SSM GetParametersByPath)."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=self._path)
        return newest_first([from_json(item["Value"]) for page in pages for item in page["Parameters"]])

    def get(self, release: str) -> Entry | None:
        """Read one entry, or None when there is none."""
        try:
            answer = self._ssm.get_parameter(Name=f"{self._path}/{release}")
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                return None
            raise
        return from_json(answer["Parameter"]["Value"])

    def put(self, entry: Entry) -> Entry:
        """Write an entry; SSM keeps the versions before it.

        Raises
        ------
        CheckopError
            It would be larger than 4 KB.
        """
        self._ssm.put_parameter(
            Name=f"{self._path}/{entry.release}",
            Description=f"Release {entry.release}: {entry.operation} of {entry.image}",
            Value=entry.to_json(),
            Type="String",
            Overwrite=True,
        )
        return entry

    def finish(self, entry: Entry, result: Result, reason: str, moment: datetime) -> Entry:
        """Write how a release ended."""
        return self.put(replace(entry, result=result, reason=reason, finished=timestamp(moment)))
