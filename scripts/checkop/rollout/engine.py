"""The loop that carries a release to its end: look, decide, act, say; and look again.

It may be killed between any two steps. Everything it needs to go on is in AWS: the ledger entry, the lock, the
launch template
version with the release's number in its description, and the refresh with that version in its DesiredConfiguration.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from checkop.errors import CheckopError
from checkop.rollout import checks, preferences, watch
from checkop.rollout.watch import Act, Decision, Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from checkop.ledger import Entry, Ledger
    from checkop.rollout.lock import Lock
    from checkop.rollout.model import Observation
    from checkop.rollout.settings import Settings
    from checkop.rollout.world import World

# Said again after so many seconds, so that a terminal never looks dead.
SAY_AGAIN_SECONDS = 30
# Looks that may fail in a row before the operator's side gives up; Auto Scaling goes on meanwhile.
BLIND_LOOKS = 20
# Answers of AWS that mean: it moved meanwhile, look again.
MOVED = frozenset(
    {
        "InstanceRefreshInProgress",
        "InstanceRefreshInProgressFault",
        "ActiveInstanceRefreshNotFound",
        "ActiveInstanceRefreshNotFoundFault",
        "ScalingActivityInProgress",
        "ScalingActivityInProgressFault",
        "ResourceContention",
        "ResourceContentionFault",
    }
)


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""

    def seconds(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(timezone.utc)

    def seconds(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass
class Tools:
    """What the engine works with.

    `ask` asks the balancer's zones and returns their results; `say` takes a line for the operator.
    """

    world: World
    ledger: Ledger
    lock: Lock
    clock: Clock
    say: Callable[[str], None]
    ask: Callable[[], list[checks.ZoneResult]]

    def tell(self, text: str) -> None:
        """Say a line outside of a release's own."""
        self.say(text)


class Roll:
    """One release on its way.

    Parameters
    ----------
    tools:
        AWS, the ledger, the lock, the clock.
    settings:
        Of this release.
    entry:
        Its ledger entry, as read or just written.
    resumed:
        Whether another process began it.
    """

    def __init__(self, tools: Tools, settings: Settings, entry: Entry, *, resumed: bool) -> None:
        self.tools = tools
        self.settings = settings
        self.entry = entry
        self._resumed = resumed
        age = (tools.clock.now() - datetime.fromisoformat(entry.started)).total_seconds()
        now = tools.clock.seconds()
        self._begun = now - max(age, 0.0)
        # How long a release rested at its checkpoints before this process is not known: its time begins anew.
        bound = now if entry.pause == "manual" else self._begun
        self._memory = Memory(started=bound, progress_at=now)
        self._said = ("", 0.0)
        self._held = 0.0
        self._marks: dict[str, float] = {}

    def run(self) -> Entry:
        """Carry the release to its end and return its entry; the lock is given back.

        Raises
        ------
        CheckopError
            AWS did not answer for long; the roll goes on there, and running again attaches to it.
        """
        blind = 0
        while True:
            try:
                observation = self.tools.world.observe()
                self._memory.word = self._word(observation)
                decision = watch.decide(
                    observation, self.entry, self._memory, self.settings, self.tools.clock.seconds()
                )
                self._mark(observation, decision)
                done = self._carry_out(decision, observation)
                self.tools.lock.beat(self.tools.clock.now())
                blind = 0
            except (BotoCoreError, ClientError) as error:
                blind += 1
                self._tell(f"AWS did not do as asked, trying again: {error}")
                if blind >= BLIND_LOOKS:
                    raise CheckopError(
                        f"AWS has not answered {blind} times in a row ({error}). Release {self.entry.release} goes "
                        "on without this terminal; run the same playbook again to attach to it."
                    ) from error
                done = False
            if done:
                return self.entry
            self.tools.clock.sleep(self.settings.poll_seconds)

    # --- one act each ------------------------------------------------------------------------------------------------

    def _carry_out(self, decision: Decision, observation: Observation) -> bool:
        self._tell(decision.reason)
        act = decision.act
        if act is Act.FINISH:
            self._finish(decision)
            return True
        if act is Act.CHECK:
            self._check(decision.percent)
        elif act is Act.RETURN:
            self._save(returning=decision.reason)
        elif act is not Act.WAIT:
            try:
                self._change(decision, observation)
            except ClientError as error:
                if error.response["Error"]["Code"] not in MOVED:
                    raise
                self._tell("AWS moved on meanwhile, looking again")
        return False

    def _change(self, decision: Decision, observation: Observation) -> None:
        world, group, entry = self.tools.world, observation.group, self.entry
        if decision.act is Act.CREATE_VERSION:
            self._create_version(observation)
        elif decision.act is Act.SIZE:
            world.size(
                group,
                entry.template_version or 0,
                self.settings.min_size,
                self.settings.desired_size,
                self.settings.max_size,
            )
        elif decision.act is Act.EMPTY:
            world.size(group, entry.template_version or 0, 0, 0, self.settings.max_size)
        elif decision.act is Act.START:
            self._start(observation)
        elif decision.act is Act.START_RETURN:
            way = preferences.back(self.settings, group)
            self._save(refresh=world.start_refresh(group, entry.previous_template_version or 0, way))
        elif decision.act is Act.CANCEL:
            world.cancel_refresh()
        elif decision.act is Act.ROLL_BACK:
            self._roll_back(decision.reason)

    def _create_version(self, observation: Observation) -> None:
        """Make the version, unless a process before this one did: its description carries the release's number."""
        world, group, entry = self.tools.world, observation.group, self.entry
        description = f"release {entry.release} {entry.image}"
        for version in world.template_versions(group.template_id):
            if version.description == description:
                self._save(template_version=version.number)
                return
        source = entry.previous_template_version or 1
        number = world.create_template_version(group.template_id, source, entry.image, description)
        self._save(template_version=number)
        self._tell(f"launch template version {number} made from version {source} with {entry.image}")

    def _start(self, observation: Observation) -> None:
        previous = watch.ours(observation, self.entry, self.entry.template_version)
        done = previous.percentage if previous is not None else 0
        if self.entry.operation == "rollback":
            chosen = preferences.back(self.settings, observation.group)
        else:
            chosen = preferences.forward(self.settings, [mark for mark in self.settings.checkpoints if mark > done])
        refresh = self.tools.world.start_refresh(observation.group, self.entry.template_version or 0, chosen)
        self._save(refresh=refresh)
        self.tools.world.delete_parameter("rollout/word")
        now = self.tools.clock.seconds()
        self._marks.setdefault("started", now)
        # A refresh counts from zero: what came forward in one before it says nothing of this one.
        self._memory.best, self._memory.progress_at, self._memory.paused_at = (-1, -1), now, None
        self._tell(f"instance refresh {refresh} started")

    def _roll_back(self, reason: str) -> None:
        if not self.entry.returning:
            self._save(returning=reason)
        try:
            self.tools.world.rollback_refresh()
        except ClientError as error:
            if "Irreversible" not in error.response["Error"]["Code"]:
                raise
            # Auto Scaling cannot take this one back itself: end it, and go back by a refresh of our own.
            self.tools.world.cancel_refresh()

    def _check(self, percent: int) -> None:
        memory = self._memory
        results = self.tools.ask()
        complaint = checks.complaint(results, self.entry.application_version, all_new=percent >= watch.ALL)
        if not complaint:
            memory.checked.add(percent)
            memory.check_failing_since = None
            self._tell(f"checked through the balancer: {checks.sentence(results)}")
            return
        if memory.check_failing_since is None:
            memory.check_failing_since = self.tools.clock.seconds()
        memory.check_complaint = complaint
        self._tell(f"check through the balancer does not pass yet: {complaint}")

    def _finish(self, decision: Decision) -> None:
        self._marks["finished"] = self.tools.clock.seconds()
        entry = replace(self.entry, timings=self._timings())
        if decision.result == "succeeded":
            self.tools.world.put_parameter("image/in_service", entry.image)
        self.entry = self.tools.ledger.finish(entry, decision.result, decision.reason, self.tools.clock.now())
        self.tools.world.delete_parameter("rollout/word")
        self.tools.lock.give_back()

    # --- memory and voice --------------------------------------------------------------------------------------------

    def _save(self, **changes: object) -> None:
        self.entry = self.tools.ledger.put(replace(self.entry, **changes))  # type: ignore[arg-type]

    def _word(self, observation: Observation) -> str:
        """Read the operator's word for the checkpoint that is held now, or empty."""
        if not self.settings.manual or self.entry.first or self.entry.returning:
            return ""
        text = self.tools.world.parameter("rollout/word")
        if not text:
            return ""
        data = json.loads(text)
        refresh = watch.ours(observation, self.entry, self.entry.template_version)
        if data.get("release") != self.entry.release or refresh is None:
            return ""
        meant = data.get("word") == "abort" or data.get("refresh") == refresh.refresh_id
        return str(data.get("word", "")) if meant else ""

    def _mark(self, observation: Observation, decision: Decision) -> None:
        refresh = watch.ours(observation, self.entry, self.entry.template_version)
        if decision.act is Act.WAIT and refresh is not None and watch.held(observation, refresh):
            self._held += self.settings.poll_seconds
        full = refresh is not None and refresh.percentage >= watch.ALL
        if (full or (self.entry.first and observation.strong())) and "full" not in self._marks:
            self._marks["full"] = self.tools.clock.seconds()

    def _timings(self) -> dict[str, float]:
        marks = self._marks
        if self._resumed or "full" not in marks:
            return {}
        start = marks.get("started", self._begun)
        return {
            "replacing": round(marks["full"] - start - self._held, 1),
            "held": round(self._held, 1),
            "total": round(marks["finished"] - self._begun, 1),
        }

    def _tell(self, text: str) -> None:
        now = self.tools.clock.seconds()
        said, at = self._said
        if text == said and now - at < SAY_AGAIN_SECONDS:
            return
        self._said = (text, now)
        elapsed = int(now - self._begun)
        self.tools.say(f"{elapsed // 60:3d}:{elapsed % 60:02d}  release {self.entry.release}  {text}")
