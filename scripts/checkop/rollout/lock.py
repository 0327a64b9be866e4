"""Who rolls what since when: one SSM parameter, taken without overwriting, kept alive by a heartbeat.

SSM has no compare-and-swap, so that taking over a dead operator's lock is not atomic; Auto Scaling itself still
allows only
one refresh of a group (StartInstanceRefresh, InstanceRefreshInProgress).
"""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from checkop.errors import CheckopError
from checkop.ledger import timestamp

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# An operator that has not been heard of for so long is taken for dead.
HEARTBEAT_SECONDS = 20
STALE_SECONDS = 90


@dataclass(frozen=True)
class Session:
    """An operator's process: caller's ARN, user, machine, process id and its start."""

    who: str
    user: str
    host: str
    pid: int
    born: str

    @property
    def operator(self) -> str:
        """The person, for a sentence."""
        return f"{self.user}@{self.host}"


def this_session(who: str) -> Session:
    """Describe this process. The start time tells a process id from a later one of the same number."""
    return Session(who, getpass.getuser(), socket.gethostname(), os.getpid(), process_start(os.getpid()))


def process_start(pid: int) -> str:
    """Return when a process of this machine started, in clock ticks since boot (proc(5)), or empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - not a file to resolve
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


@dataclass(frozen=True)
class Holder:
    """The lock's content."""

    release: str
    operation: str
    image: str
    since: str
    heartbeat: str
    who: str
    user: str
    host: str
    pid: int
    born: str
    # Of a `replace`: the group's size before it, and whether its zones were evened out then.
    size: int = 0
    rebalance: bool = False

    def of(self, session: Session) -> bool:
        """Whether this very process holds it."""
        return (self.host, self.pid, self.born) == (session.host, session.pid, session.born)

    def alive(self, session: Session, now: datetime) -> bool:
        """Whether the process that took it still runs, as far as one can see from here."""
        if self.host == session.host:
            start = process_start(self.pid)
            return bool(start) and start == self.born
        return now - datetime.fromisoformat(self.heartbeat) < timedelta(seconds=STALE_SECONDS)

    def sentence(self) -> str:
        """Say who rolls what since when."""
        what = f"release {self.release}, a" if self.release.isdigit() else "the"
        return (
            f"{what} {self.operation} of {self.image}, by {self.user}@{self.host} ({self.who}) since {self.since}, "
            f"last heard of {self.heartbeat}"
        )


def refusal(holder: Holder, session: Session, now: datetime) -> str:
    """Say why nothing else changes the environment while a release is under way, and the way on."""
    if holder.alive(session, now):
        way = "Wait for its end, or take it back: ansible-playbook -i INVENTORY playbooks/rollback.yml."
    else:
        way = (
            "Its operator's process has ended: run the same command again to finish it, or take it back with "
            "playbooks/rollback.yml."
        )
    return f"A release is under way and uses what this playbook changes: {holder.sentence()}. {way}"


class Lock:
    """The parameter ``<prefix>/rollout/lock``.

    Parameters
    ----------
    ssm:
        Client of AWS Systems Manager.
    prefix:
        The inventory's ``ssm_prefix``.
    session:
        This process.
    """

    def __init__(self, ssm: SSMClient, prefix: str, session: Session) -> None:
        self._ssm = ssm
        self._name = f"{prefix}/rollout/lock"
        self.session = session
        self._held: Holder | None = None

    def read(self) -> Holder | None:
        """Return who holds it, or None."""
        try:
            text = self._ssm.get_parameter(Name=self._name)["Parameter"]["Value"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                return None
            raise
        known = {item.name for item in fields(Holder)}
        try:
            data: dict[str, Any] = json.loads(text)
            return Holder(**{key: value for key, value in data.items() if key in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise CheckopError(
                f"The parameter {self._name} cannot be read ({error}). See that no roll is under way (checkop "
                f"releases), then delete it: aws ssm delete-parameter --name {self._name}"
            ) from error

    def take(self, release: str, operation: str, image: str, now: datetime, **before: Any) -> bool:
        """Take a free lock, with what a `replace` notes of the group `before` it; False when somebody was faster."""
        moment = timestamp(now)
        holder = Holder(release, operation, image, moment, moment, **asdict(self.session), **before)
        try:
            self._put(holder, overwrite=False)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterAlreadyExists":
                return False
            raise
        return True

    def take_over(self, holder: Holder, now: datetime) -> bool:
        """Take a dead operator's lock; `since` stays. False when another process took it at the same moment."""
        self._put(replace(holder, heartbeat=timestamp(now), **asdict(self.session)), overwrite=True)
        found = self.read()
        return found is not None and found.of(self.session)

    def beat(self, now: datetime) -> None:
        """Say that this process is alive, when the last word is old enough.

        Raises
        ------
        CheckopError
            As `insist`.
        """
        if self._held is None:
            return
        if now - datetime.fromisoformat(self._held.heartbeat) >= timedelta(seconds=HEARTBEAT_SECONDS):
            self.insist(now)
            self._put(replace(self._held, heartbeat=timestamp(now)), overwrite=True)

    def insist(self, now: datetime) -> None:
        """Insist that this process still holds the lock it took: a machine that slept may have lost it meanwhile.

        Raises
        ------
        CheckopError
            Another process holds it, or took it over and has given it back.
        """
        if self._held is None:
            return
        holder = self.read()
        if holder is not None and not holder.of(self.session):
            raise CheckopError(
                f"This process was not heard of since {self._held.heartbeat} and has lost the lock. Under way now: "
                f"{holder.sentence()}. This process stops, and what it began goes on there; should that process end "
                "too, run the same command again to attach."
            )
        # Deleted by hand, it is taken again; nobody else may have taken over from a process that was just heard of.
        if holder is None and now - datetime.fromisoformat(self._held.heartbeat) >= timedelta(seconds=STALE_SECONDS):
            raise CheckopError(
                f"This process was not heard of since {self._held.heartbeat} and has lost the lock, which is free now: "
                "another one took over and has ended. This process stops; see how it ended with `checkop releases`, "
                "and run the same command again if that is not what you want."
            )

    def holds(self) -> bool:
        """Whether this process holds it, as far as it knows."""
        return self._held is not None

    def give_back(self) -> None:
        """Free the lock if this process holds it; no error when it is free already, or another's."""
        self._held = None
        holder = self.read()
        if holder is None or not holder.of(self.session):
            return
        try:
            self._ssm.delete_parameter(Name=self._name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise

    def _put(self, holder: Holder, *, overwrite: bool) -> None:
        self._ssm.put_parameter(Name=self._name, Value=json.dumps(asdict(holder)), Type="String", Overwrite=overwrite)
        self._held = holder
