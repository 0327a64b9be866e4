"""Which zone the next instance goes to, and which instance leaves first: pure functions.

After the user guide's "Distribute instances across Availability Zones" and "Control which instances terminate".
"""

from collections import Counter
from collections.abc import Collection, Sequence

from lab.api.autoscaling.model import Member


def next_zone(zones: Sequence[str], members: Collection[Member], outdated: Collection[str] = ()) -> str:
    """Return the zone with the fewest of the instances that stay; the first one given when several have.

    `outdated` are ids that an instance refresh is about to replace.
    """
    count = Counter(m.zone for m in members if not m.leaving and m.instance_id not in outdated)
    return min(zones, key=lambda zone: count[zone])


def imbalance(zones: Sequence[str], members: Collection[Member]) -> bool:
    """Return whether one zone has at least two instances more than another, or one runs outside the zones."""
    count = Counter(dict.fromkeys(zones, 0))
    count.update(member.zone for member in members if not member.leaving)
    return max(count.values()) - min(count[zone] for zone in zones) > 1 or any(
        count[zone] for zone in count if zone not in zones
    )


def leaves_first(
    members: Collection[Member],
    zones: Sequence[str],
    policies: Sequence[str],
    configuration: str,
    preferred: Collection[str] = (),
) -> Member | None:
    """Return the instance that scaling in takes, or None when all are protected.

    `preferred` are ids that go before all others (what an instance refresh replaces); `configuration` is the key of the
    configuration that the group launches from.
    """
    candidates = [member for member in members if not member.leaving and not member.protected]
    if not candidates:
        return None
    first = [member for member in candidates if member.instance_id in preferred]
    candidates = first or candidates
    unhealthy = [member for member in candidates if member.health != "Healthy"]
    candidates = unhealthy or candidates

    count = Counter(member.zone for member in members if not member.leaving)
    outside = [member for member in candidates if member.zone not in zones]
    fullest = max(count[member.zone] for member in candidates)
    candidates = outside or [member for member in candidates if count[member.zone] == fullest]

    for policy in [*policies, "Default"]:
        candidates = _by_policy(policy, candidates, configuration)
    return min(candidates, key=lambda member: (member.launched_at, member.instance_id))


def _by_policy(policy: str, members: list[Member], configuration: str) -> list[Member]:
    if policy == "OldestInstance":
        edge = min(member.launched_at for member in members)
        return [member for member in members if member.launched_at == edge]
    if policy == "NewestInstance":
        edge = max(member.launched_at for member in members)
        return [member for member in members if member.launched_at == edge]
    if policy == "OldestLaunchTemplate":
        oldest = min(int(member.launch_template["Version"]) for member in members)
        return [member for member in members if int(member.launch_template["Version"]) == oldest]
    if policy == "Default":
        # What is not of the group's configuration first; ClosestToNextInstanceHour has no meaning without billing.
        return [member for member in members if member.configuration != configuration] or members
    return members
