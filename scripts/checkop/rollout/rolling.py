"""The rolling strategy: Auto Scaling's instance refresh replaces the fleet in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from checkop.rollout import preferences, watch
from checkop.rollout.watch import Act

if TYPE_CHECKING:
    from checkop.rollout.engine import Roll
    from checkop.rollout.model import Observation
    from checkop.rollout.watch import Decision


class Rolling:
    """Carries out what `watch` decides."""

    def decide(self, roll: Roll, observation: Observation, now: float) -> Decision:
        """Ask the state machine."""
        return watch.decide(observation, roll.entry, roll.memory, roll.settings, now)

    def act(self, roll: Roll, decision: Decision, observation: Observation) -> None:
        """Change AWS as decided."""
        world, group, settings = roll.tools.world, observation.group, roll.settings
        version = roll.entry.template_version or 0
        if decision.act is Act.SIZE:
            roll.mark_started()
            world.size(group, version, settings.min_size, settings.desired_size, settings.max_size)
        elif decision.act is Act.EMPTY:
            world.size(group, version, 0, 0, settings.max_size)
        elif decision.act is Act.START:
            self._start(roll, observation)
        elif decision.act is Act.START_RETURN:
            previous = roll.entry.previous_template_version or 0
            way = preferences.back(settings, group, previous)
            roll.save(refresh=world.start_refresh(group, previous, way))
        elif decision.act is Act.CANCEL:
            world.cancel_refresh()
        elif decision.act is Act.ROLL_BACK:
            self._roll_back(roll, decision.reason)

    @staticmethod
    def _start(roll: Roll, observation: Observation) -> None:
        entry, settings, memory = roll.entry, roll.settings, roll.memory
        version, group = entry.template_version or 0, observation.group
        previous = watch.ours(observation, entry, version)
        done = previous.percentage if previous is not None else 0
        if entry.operation == "rollback":
            chosen = preferences.back(settings, group, version)
        else:
            to_come = [mark for mark in settings.checkpoints if mark > done]
            chosen = preferences.forward(settings, group, version, to_come)
        refresh = roll.tools.world.start_refresh(group, version, chosen)
        roll.mark_started()
        roll.save(refresh=refresh, waiting="")
        # A refresh counts from zero: what came forward in one before it says nothing of this one.
        memory.best, memory.progress_at, memory.paused_at = (-1, -1), roll.tools.clock.seconds(), None
        roll.tell(f"instance refresh {refresh} started")

    @staticmethod
    def _roll_back(roll: Roll, reason: str) -> None:
        if not roll.entry.returning:
            roll.save(returning=reason)
        try:
            roll.tools.world.rollback_refresh()
        except ClientError as error:
            if "Irreversible" not in error.response["Error"]["Code"]:
                raise
            # Auto Scaling cannot take this one back itself: end it, and go back by a refresh of our own.
            roll.tools.world.cancel_refresh()
