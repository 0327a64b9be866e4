"""The blue/green strategy: a second group takes the traffic by shares, and the way back is a change of shares.

blue (AUTOChOp) serves; green, a copy with the new image, comes up beside it and takes 10, 50, 100 percent, each
checked and
held. After the hold blue, without traffic by then, is refreshed to the new image all at once, takes the traffic
again, and
green goes. Until blue's refresh begins the way back is instant.
"""

# ruff: noqa: PLR0911 - a function for each state, a return for each way out of it

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.rollout import preferences, watch
from checkop.rollout.colours import GreenWorld
from checkop.rollout.narrate import ALL, describe, foreign
from checkop.rollout.watch import Act, Decision, bounded, mixed, paused, still_mixed, trouble

if TYPE_CHECKING:
    from checkop.ledger import Entry, Result
    from checkop.rollout.colours import Colours
    from checkop.rollout.engine import Roll
    from checkop.rollout.model import Observation
    from checkop.rollout.settings import Settings
    from checkop.rollout.watch import Memory
    from checkop.rollout.world import World


class BlueGreen:
    """Carries out what `decide` decides.

    Parameters
    ----------
    world:
        The fleet.
    settings:
        Names, shares, times.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.green = GreenWorld(world, settings)

    def decide(self, roll: Roll, observation: Observation, now: float) -> Decision:
        """Look at green, and ask the state machine."""
        return decide(observation, self.green.look(), roll.entry, roll.memory, roll.settings, now)

    def act(self, roll: Roll, decision: Decision, observation: Observation) -> None:
        """Change AWS as decided."""
        world, group = roll.tools.world, observation.group
        version = roll.entry.template_version or 0
        if decision.act is Act.CREATE_TARGET_GROUP:
            roll.mark_started()
            self.green.create_target_group(world.tags(world.target_group_arn()))
        elif decision.act is Act.CREATE_GROUP:
            self.green.create_group(group, version)
        elif decision.act is Act.WEIGH:
            self.green.weigh(decision.percent)
            roll.memory.share_set = decision.percent
            roll.memory.paused_at = None
            if roll.entry.waiting:
                roll.save(waiting="")
        elif decision.act is Act.PROMOTE:
            at_once = preferences.without_traffic(roll.settings, group, version)
            roll.save(refresh=world.start_refresh(group, version, at_once))
        elif decision.act is Act.START_RETURN:
            previous = roll.entry.previous_template_version or 0
            at_once = preferences.without_traffic(roll.settings, group, previous)
            roll.save(refresh=world.start_refresh(group, previous, at_once))
        elif decision.act is Act.ROLL_BACK:
            world.rollback_refresh()
        elif decision.act is Act.EMPTY_GREEN:
            self.green.empty()
        elif decision.act is Act.DELETE_GROUP:
            self.green.delete_group()
        elif decision.act is Act.DETACH:
            self.green.weigh(None)
            roll.memory.share_set = None
        elif decision.act is Act.DELETE_TARGET_GROUP:
            self.green.delete_target_group()


def decide(  # noqa: PLR0917 - both halves, the release, and time
    observation: Observation, green: Colours, entry: Entry, memory: Memory, settings: Settings, now: float
) -> Decision:
    """Say what to do next; the same as `watch.decide` with the green half beside it."""
    if entry.template_version is None:
        return Decision(Act.CREATE_VERSION, f"image {entry.image} needs a launch template version of its own")
    if memory.share != green.share:
        memory.share, memory.share_since, memory.progress_at = green.share, now, now
    if not green.even and green.share is not None:
        return Decision(Act.WEIGH, "the listeners disagree about green's share", percent=green.share)
    taken = _traffic_taken(observation, green, entry, memory)
    if taken is not None:
        return taken
    if entry.returning:
        return _back(observation, green, entry, memory, settings, now)
    if memory.interference:
        return Decision(Act.RETURN, memory.interference)
    refresh = watch.ours(observation, entry, entry.template_version)
    if refresh is None:
        found = trouble(observation, entry, memory, settings, now)
        if found:
            return Decision(Act.RETURN, found)
        return _forward(observation, green, memory, settings, now)
    if refresh.active:
        return bounded(
            memory, settings, now, f"green serves; blue gets the image too, without traffic: {refresh.percentage} %"
        )
    if refresh.status == "Successful":
        return _home(observation, green, entry, memory, settings, now)
    return Decision(Act.RETURN, f"blue could not get the image: refresh {refresh.status}, {refresh.reason}")


def _traffic_taken(observation: Observation, green: Colours, entry: Entry, memory: Memory) -> Decision | None:
    """Judge whether somebody else has changed the shares; give green the traffic back that blue cannot serve.

    A release that was interfered with is never called a success: it goes back.
    """
    versions = (entry.template_version, entry.previous_template_version)
    refreshes = [watch.ours(observation, entry, version) for version in versions]
    replaced = any(refresh is not None and refresh.active for refresh in refreshes)
    expected = ALL if replaced else memory.share_set
    if expected is None or green.share == expected or not green.target_group_arn:
        memory.share_odd = 0
        return None
    memory.share_odd += 1
    # The first look after a change of our own may still see what was before it.
    if not replaced and memory.share_odd == 1:
        return Decision(Act.WAIT, "the listeners have other shares than were set, looking again")
    found = "none" if green.share is None else f"{green.share} %"
    memory.interference = f"somebody else changed the listeners: green has {found} of the traffic, {expected} % was set"
    # The balancer checks no target of a group that no listener leads to, so that health is unknown by then.
    serving = sum(instance.in_service for instance in green.group.instances) if green.group is not None else 0
    if replaced and serving >= observation.group.desired:
        return Decision(Act.WEIGH, f"{memory.interference}; blue is being replaced, green gets it back", percent=ALL)
    return None


def _forward(observation: Observation, green: Colours, memory: Memory, settings: Settings, now: float) -> Decision:
    if not green.target_group_arn:
        return Decision(Act.CREATE_TARGET_GROUP, "green gets a target group like blue's")
    if green.share is None:
        # Without a listener that knows it, a target group's targets are not checked.
        return Decision(Act.WEIGH, "green is made known to the listeners, with no traffic yet", percent=0)
    if green.group is None:
        return Decision(Act.CREATE_GROUP, f"green gets {observation.group.desired} instances of the new image")
    healthy = green.healthy()
    if healthy < observation.group.desired:
        text = f"green comes up: {healthy} of {observation.group.desired} healthy, {green.share} % of the traffic"
        if now - memory.progress_at > settings.step_timeout_seconds:
            return Decision(Act.RETURN, f"green did not get healthy within {settings.step_timeout_seconds} s: {text}")
        return Decision(Act.WAIT, text)
    return _shares(green.share, memory, settings, now)


def _shares(share: int, memory: Memory, settings: Settings, now: float) -> Decision:
    following = next((weight for weight in settings.weights if weight > share), None)
    if share not in settings.weights and following is not None:
        return Decision(Act.WEIGH, f"green takes {following} % of the traffic", percent=following)
    if share not in memory.checked:
        return Decision(Act.CHECK, f"green has {share} % of the traffic", percent=share)
    if following is not None and settings.manual:
        return paused(f"{share} % of the traffic on green", Act.WEIGH, memory, settings, now, percent=following)
    rest = settings.checkpoint_delay_seconds if following is not None else settings.hold_seconds
    left = rest - (now - memory.share_since)
    # Nothing is expected to come forward while a share is held.
    memory.progress_at = now
    if left > 0:
        text = f"green has {share} % of the traffic, held for {rest} s; the way back is instant"
        return Decision(Act.WAIT, text, percent=share)
    if following is not None:
        return Decision(Act.WEIGH, f"green takes {following} % of the traffic", percent=following)
    return Decision(Act.PROMOTE, "the hold is over: blue, without traffic, gets the image too")


def _home(  # noqa: PLR0917 - as `decide`
    observation: Observation, green: Colours, entry: Entry, memory: Memory, settings: Settings, now: float
) -> Decision:
    """Blue has the image: it takes the traffic again, and green goes."""
    version = entry.template_version
    strangers = observation.group.strangers(version)
    lasting = mixed(observation, version, memory, settings, now)
    left = f"not all of blue is replaced: {foreign(strangers, version)}" if lasting else ""
    if green.share:
        if left:
            return Decision(Act.RETURN, left)
        if strangers or not observation.full():
            return bounded(memory, settings, now, f"blue comes to full strength: {describe(observation, version)}")
        return Decision(Act.WEIGH, "blue takes the traffic again", percent=0)
    found = trouble(observation, entry, memory, settings, now) or left
    if found and green.group is not None and green.group.desired:
        return Decision(Act.RETURN, found)
    if ALL + 1 not in memory.checked:
        return Decision(Act.CHECK, "blue has the traffic again", percent=ALL + 1)
    done = _clean_up(green, memory, settings, now, "succeeded", f"{observation.group.desired} instances healthy")
    return _looked_at(done, observation, version, memory, settings, now)


def _back(  # noqa: PLR0917 - as `decide`
    observation: Observation, green: Colours, entry: Entry, memory: Memory, settings: Settings, now: float
) -> Decision:
    """The way back: blue must hold the old release at full strength, then it takes all traffic, and green goes."""
    forward = watch.ours(observation, entry, entry.template_version)
    back = watch.ours(observation, entry, entry.previous_template_version)
    if forward is not None and forward.status in {"Pending", "InProgress", "Baking"}:
        return Decision(Act.ROLL_BACK, entry.returning)
    if any(refresh is not None and refresh.active for refresh in (forward, back)):
        return bounded(memory, settings, now, "blue gets the release before it again, without traffic")
    version = entry.previous_template_version
    # Without a refresh of blue nothing of it was replaced: it takes the traffic back at once, whatever it is.
    lasting = forward is not None and mixed(observation, version, memory, settings, now)
    again = forward is not None and (forward.status != "RollbackSuccessful" or (lasting and bool(green.share)))
    if again and back is None:
        if green.share not in {None, ALL}:
            return Decision(Act.WEIGH, "green serves while blue goes back", percent=ALL)
        memory.mixed_since.clear()
        return Decision(Act.START_RETURN, entry.returning)
    if back is not None and back.status != "Successful":
        return Decision(Act.FINISH, f"{entry.returning}; and the way back ended {back.status}", result="failed")
    waiting = forward is not None and bool(observation.group.strangers(version)) and not lasting
    if green.share and (waiting or not observation.full()):
        return bounded(memory, settings, now, "blue comes to full strength before it takes the traffic back")
    if green.share:
        return Decision(Act.WEIGH, f"all traffic goes back to blue at once: {entry.returning}", percent=0)
    done = _clean_up(green, memory, settings, now, "rolled_back", entry.returning)
    return _looked_at(done, observation, version, memory, settings, now)


def _looked_at(  # noqa: PLR0917 - as `decide`
    done: Decision, observation: Observation, version: int | None, memory: Memory, settings: Settings, now: float
) -> Decision:
    """Let a release end well only when all that is in service runs what it should."""
    if done.act is not Act.FINISH or not observation.group.strangers(version):
        return done
    if not mixed(observation, version, memory, settings, now):
        return Decision(Act.WAIT, f"still {foreign(observation.group.strangers(version), version)}")
    return Decision(Act.FINISH, still_mixed(observation, version, done.reason), result="failed")


def _clean_up(  # noqa: PLR0917 - as `decide`
    green: Colours, memory: Memory, settings: Settings, now: float, result: Result, reason: str
) -> Decision:
    """Green's instances finish their open requests while the listeners still know them; then all of it goes."""
    if green.group is not None:
        if green.group.desired:
            return Decision(Act.EMPTY_GREEN, "green finishes its open requests and goes")
        if green.group.instances:
            return bounded(memory, settings, now, f"{len(green.group.instances)} of green's instances finish and end")
        return Decision(Act.DELETE_GROUP, "green's group goes")
    if green.share is not None:
        return Decision(Act.DETACH, "the listeners forget green")
    if green.target_group_arn:
        return Decision(Act.DELETE_TARGET_GROUP, "green's target group goes")
    return Decision(Act.FINISH, reason, result=result)
