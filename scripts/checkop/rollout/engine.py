"""The loop that carries a release to its end: look, decide, act, say; and look again.

It may be killed between any two steps. Everything it needs to go on is in AWS: the ledger entry, the lock, the launch
template version with the release's number in its description, and what the release's strategy makes there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from checkop.errors import CheckopError
from checkop.rollout import checks, plan, watch
from checkop.rollout.forecast import planned_seconds
from checkop.rollout.narrate import ALL, held, moving
from checkop.rollout.watch import Act, Decision, Memory

if TYPE_CHECKING:
    from checkop.ledger import Entry
    from checkop.rollout.kit import Tools
    from checkop.rollout.model import Observation
    from checkop.rollout.settings import Settings

# Said again after so many seconds, so that a terminal never looks dead.
SAY_AGAIN_SECONDS = 30
# Seconds between two checks through the balancer while a release waits.
CHECK_AGAIN_SECONDS = 5
# Looks that may fail in a row before the operator's side gives up; Auto Scaling goes on meanwhile.
BLIND_LOOKS = 20
# The same of looks that were refused for good.
REFUSALS = 3
# Answers of AWS that mean: come again.
TRANSIENT = ("Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "Unavailable", "Internal", "Timeout")
# Answers of AWS that mean: it moved meanwhile, look again.
MOVED = frozenset(
    f"{name}{suffix}"
    for name in (
        "InstanceRefreshInProgress",
        "ActiveInstanceRefreshNotFound",
        "ScalingActivityInProgress",
        "ResourceContention",
        "ResourceInUse",
    )
    for suffix in ("", "Fault")
)


def is_refusal(error: Exception) -> bool:
    """Whether AWS would answer the same again: credentials, permissions, values."""
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response["Error"]["Code"]
    return 400 <= status < 500 and code not in MOVED and not any(word in code for word in TRANSIENT)  # noqa: PLR2004


class Strategy(Protocol):
    """How a release reaches the fleet."""

    def decide(self, roll: Roll, observation: Observation, now: float) -> Decision:
        """Look at what else the strategy has made, and say what to do next."""

    def act(self, roll: Roll, decision: Decision, observation: Observation) -> None:
        """Change AWS as decided."""


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
    strategy:
        How it reaches the fleet.
    resumed:
        Whether another process began it.
    """

    def __init__(self, tools: Tools, settings: Settings, entry: Entry, strategy: Strategy, *, resumed: bool) -> None:
        self.tools = tools
        self.settings = settings
        self.entry = entry
        self._strategy = strategy
        self._resumed = resumed
        age = (tools.clock.now() - datetime.fromisoformat(entry.started)).total_seconds()
        now = tools.clock.seconds()
        self._begun = now - max(age, 0.0)
        # How long a release rested at its checkpoints before this process is not known: its time begins anew.
        bound = now if entry.pause == "manual" else self._begun
        self.memory = Memory(started=bound, progress_at=now)
        self._checked_at = now
        self._said = ("", 0.0)
        self._held = 0.0
        self._looked_at = now
        self._hurry = False
        self._marks: dict[str, float] = {}

    def run(self) -> Entry:
        """Carry the release to its end and return its entry; the lock is given back.

        Raises
        ------
        CheckopError
            AWS did not answer for long; the roll goes on there, and running again attaches to it. Or another process
            has taken over meanwhile.
        """
        blind = refused = 0
        while True:
            try:
                # Before the look, also after one that failed: who has lost the lock meanwhile changes nothing any more.
                self.tools.lock.beat(self.tools.clock.now())
                if self._step():
                    return self.entry
                blind = refused = 0
            except (BotoCoreError, ClientError) as error:
                self.tell(f"AWS did not do as asked, trying again: {error}")
                blind += 1
                refused = refused + 1 if is_refusal(error) else 0
                if refused >= REFUSALS or blind >= BLIND_LOOKS:
                    return self._give_up(error)
            if not self._hurry:
                self.tools.clock.sleep(self.settings.poll_seconds)

    def _give_up(self, error: Exception) -> Entry:
        """End a release that AWS refuses before anything was replaced; leave one that replaces to Auto Scaling.

        Raises
        ------
        CheckopError
            Something is being replaced, or AWS takes no word at all: the release stays open.
        """
        replacing = self.entry.refresh or self.entry.first or self.entry.strategy == "blue_green"
        if is_refusal(error) and not replacing:
            self._finish(Decision(Act.FINISH, f"AWS refuses it: {error}", result="aborted"))
            return self.entry
        raise CheckopError(
            f"AWS does not do as asked ({error}). Release {self.entry.release} stays under way there without this "
            "terminal; mend what it says (new credentials, for example) and run the same playbook again to attach to "
            "it."
        ) from error

    def _step(self) -> bool:
        """Look, decide, act once; return whether the release has ended."""
        self._hurry = False
        observation = self.tools.world.observe()
        self._hear()
        decision = self._strategy.decide(self, observation, self.tools.clock.seconds())
        self._mark(observation, decision)
        if decision.point and decision.point != self.entry.waiting:
            self.save(waiting=decision.point)
        self.tell(decision.reason)
        # What was only written down wants the next step at once: a way back is waiting.
        self._hurry = decision.act in {Act.RETURN, Act.CREATE_VERSION}
        if decision.act is Act.FINISH:
            self._finish(decision)
            return True
        if decision.act is Act.CHECK:
            self._check(decision.percent)
        elif decision.act is Act.RETURN:
            self.save(returning=decision.reason)
        elif decision.act is Act.CREATE_VERSION:
            self._create_version(observation)
        elif decision.act is Act.WAIT:
            self._check_again(decision.percent)
        else:
            try:
                self._strategy.act(self, decision, observation)
            except ClientError as error:
                if error.response["Error"]["Code"] not in MOVED:
                    raise
                self.tell("AWS moved on meanwhile, looking again")
        return False

    # --- what every strategy does ------------------------------------------------------------------------------------

    def _create_version(self, observation: Observation) -> None:
        """Make the version, unless a process before this one did: its description carries the release's number."""
        world, group, entry = self.tools.world, observation.group, self.entry
        description = f"release {entry.release} {entry.image}"
        for version in world.template_versions(group.template_id):
            if version.description == description:
                self.save(template_version=version.number)
                return
        made = world.create_template_version(group.template_id, entry.image, description)
        self.save(template_version=made.number)
        self.tell(f"launch template version {made.number} made with {entry.image}")

    def _check(self, percent: int) -> None:
        memory = self.memory
        results = self.tools.ask()
        self._checked_at = self.tools.clock.seconds()
        complaint = checks.complaint(results, self.entry.application_version, all_new=percent >= ALL)
        if not complaint:
            if percent not in memory.checked or memory.check_failing_since is not None:
                self.tell(f"checked through the balancer: {checks.sentence(results)}")
            memory.checked.add(percent)
            memory.check_failing_since = None
            return
        if memory.check_failing_since is None:
            memory.check_failing_since = self.tools.clock.seconds()
        memory.check_complaint = complaint
        self.tell(f"check through the balancer does not pass yet: {complaint}")

    def _check_again(self, percent: int) -> None:
        """Repeat a check that passed, since the balancer's own does not look at readiness; 0: none has to pass now."""
        memory, now = self.memory, self.tools.clock.seconds()
        if not percent:
            memory.check_failing_since = None
        elif memory.check_failing_since is not None or now - self._checked_at >= CHECK_AGAIN_SECONDS:
            self._check(percent)

    def _finish(self, decision: Decision) -> None:
        self.tools.lock.insist(self.tools.clock.now())
        self._marks["finished"] = self.tools.clock.seconds()
        entry = replace(self.entry, timings=self._timings(), waiting="")
        if decision.result == "succeeded":
            self.tools.world.put_parameter("image/in_service", entry.image)
        self.entry = self.tools.ledger.finish(entry, decision.result, decision.reason, self.tools.clock.now())
        self.tools.world.delete_parameter("rollout/word")
        self.tools.lock.give_back()

    def _hear(self) -> None:
        """Hear what an operator has said of this release from another terminal: continue (a checkpoint), or abort."""
        text = self.tools.world.parameter("rollout/word")
        self.memory.word = self.memory.word_of = ""
        if not text:
            return
        word: dict[str, Any] = json.loads(text)
        # A continue is meant for one pause only; said again or late, it does not count for the next one.
        meant = word.get("word") == "abort" or (self.entry.waiting and word.get("waiting") == self.entry.waiting)
        if word.get("release") == self.entry.release and meant:
            self.memory.word, self.memory.word_of = str(word["word"]), str(word.get("operator", "an operator"))

    # --- memory and voice --------------------------------------------------------------------------------------------

    def save(self, **changes: object) -> None:
        """Write something into the release's ledger entry."""
        self.entry = self.tools.ledger.put(replace(self.entry, **changes))  # type: ignore[arg-type]

    def mark_started(self) -> None:
        """Note that replacing began."""
        self._marks.setdefault("started", self.tools.clock.seconds())

    def _mark(self, observation: Observation, decision: Decision) -> None:
        refresh = watch.ours(observation, self.entry, self.entry.template_version)
        if refresh is not None and not self.entry.refresh:
            # Begun by a process that was killed before it could write it down.
            self.entry = replace(self.entry, refresh=refresh.refresh_id)
        now = self.tools.clock.seconds()
        if decision.act is Act.WAIT and refresh is not None and held(observation, refresh):
            self._held += now - self._looked_at
        self._looked_at = now
        sized = self.entry.first and observation.group.desired > 0 and observation.strong()
        if sized or (refresh is not None and refresh.percentage >= ALL):
            self._marks.setdefault("full", now)
        if "full" in self._marks and not moving(observation):
            self._marks.setdefault("settled", now)

    def _timings(self) -> dict[str, float]:
        """Return what forecasts learn from; a release that was not followed from its beginning teaches nothing."""
        marks = self._marks
        if self._resumed or "settled" not in marks:
            return {}
        start = marks.get("started", self._begun)
        return {
            "replacing": round(marks["full"] - start - self._held, 1),
            "ending": round(marks["settled"] - marks["full"], 1),
            "held": round(self._held, 1),
            "planned": round(self._planned(), 1),
            "total": round(marks["finished"] - self._begun, 1),
        }

    def _planned(self) -> float:
        entry = self.entry
        # Of the release, whatever is asked for by whoever follows it now.
        settings = replace(self.settings, strategy="blue_green" if entry.strategy == "blue_green" else "rolling")
        low, high = settings.min_healthy_percent, settings.max_healthy_percent
        layout = plan.make(entry.instances, entry.instances, low, high, settings.checkpoints)
        return planned_seconds(layout, settings, fast=entry.operation == "rollback", first=entry.first)

    def tell(self, text: str) -> None:
        """Say a line of this release, unless it was just said."""
        now = self.tools.clock.seconds()
        said, at = self._said
        if text == said and now - at < SAY_AGAIN_SECONDS:
            return
        self._said = (text, now)
        elapsed = int(now - self._begun)
        self.tools.say(f"{elapsed // 60:3d}:{elapsed % 60:02d}  release {self.entry.release}  {text}")
