"""What an operation works with: AWS, the ledger, the lock, time, and a voice."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from checkop.errors import CheckopError
from checkop.ledger import Ledger
from checkop.rollout import checks
from checkop.rollout.lock import Lock, this_session
from checkop.rollout.nodes import balancer_nodes
from checkop.rollout.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from checkop.aws import Clients
    from checkop.rollout.settings import Settings


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


def tools(clients: Clients, settings: Settings, say: Callable[[str], None], clock: Clock | None = None) -> Tools:
    """Put the real tools together for one fleet.

    Parameters
    ----------
    clients:
        Clients of the fleet's region.
    settings:
        The inventory's.
    say:
        Takes a line for the operator, at once.
    clock:
        By default the machine's.
    """
    world = World(clients, settings)
    nodes: dict[str, str] = {}

    def ask() -> list[checks.ZoneResult]:
        nonlocal nodes
        # Anew at each round: the balancer's addresses change as it scales, and an old one only times out.
        try:
            nodes = balancer_nodes(clients, settings.balancer, settings.resolve, known=nodes)
        except (CheckopError, BotoCoreError, ClientError):
            if not nodes:
                raise
        return checks.ask(
            settings.check_host, nodes, settings.check_paths, settings.check_requests, ca_file=settings.ca_file
        )

    return Tools(
        world=world,
        ledger=Ledger(clients.ssm, settings.ssm_prefix),
        lock=Lock(clients.ssm, settings.ssm_prefix, this_session(world.caller())),
        clock=clock or RealClock(),
        say=say,
        ask=ask,
    )
