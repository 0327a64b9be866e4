"""What a group needs of the other services."""

from typing import Protocol

from lab.api.autoscaling.model import Group, Member


class LaunchError(Exception):
    """A launch was refused; the message is the API's."""


class Surroundings(Protocol):
    """The other services, as a group needs them."""

    def resolve(self, launch_template: dict[str, str]) -> dict[str, str]:
        """Return a specification with id, name and a numbered version; raise LaunchError when there is none."""
        ...

    def launch(self, group: Group, launch_template: dict[str, str], subnet_id: str) -> Member:
        """Launch an instance; raise LaunchError when EC2 refuses."""
        ...

    def zone_of(self, subnet_id: str) -> str:
        """Return the zone of a subnet."""
        ...

    def instance_state(self, instance_id: str) -> str:
        """Return the state name of EC2, `terminated` for one that is not there."""
        ...

    def impaired(self, instance_id: str) -> bool:
        """Return whether a status check of EC2 fails."""
        ...

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance; no error when it is gone."""
        ...

    def register(self, target_group: str, instance_id: str) -> None:
        """Register a target; no error when the target group is gone."""
        ...

    def deregister(self, target_group: str, instance_id: str) -> None:
        """Deregister a target; no error when it is not registered."""
        ...

    def draining(self, target_group: str, instance_id: str) -> bool:
        """Return whether a deregistered target still answers requests."""
        ...

    def target_state(self, target_group: str, instance_id: str) -> str:
        """Return the state of a target's health."""
        ...

    def alarms(self) -> frozenset[str]:
        """Return the names of the alarms in state ALARM."""
        ...
