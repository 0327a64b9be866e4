"""What the AWS API of the rehearsal cloud asks of the runtime that owns the real processes.

The API never starts, stops or measures anything itself. It asks the runtime through `Hooks`, and the runtime reads what
the API wants through the views of `lab.api.views` (level-triggered: compare the two, close the difference).

Rules for an implementation:

- Every method answers from memory, at once, and never calls the API over HTTP: the API's lock is held meanwhile.
- It may be called from any thread, many times, for ids that it has not seen yet.
- After something that it reports has changed, the runtime calls `Cloud.tick()` (or waits for its next one).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

# pending: not there yet. running: its processes run. impaired: runs, but a status check of EC2 would fail.
# stopped: kept, not running. gone: it was there and is no more (it died, or the API wanted it removed).
InstanceCondition = Literal["pending", "running", "impaired", "stopped", "gone"]

# pending: being committed. available: instances can start from it. failed: it never will be.
ImageCondition = Literal["pending", "available", "failed"]

MeasuredHealth = Literal["initial", "healthy", "unhealthy"]


class TargetHealth(NamedTuple):
    """One target as the balancer measures it, in the words of `DescribeTargetHealth`.

    `draining` and `unused` are not measured; the API adds them from what it knows of registrations and listeners.
    """

    state: MeasuredHealth
    # A reason code of Elastic Load Balancing, for example `Target.ResponseCodeMismatch`; empty when healthy.
    reason: str = ""
    description: str = ""


class Endpoint(NamedTuple):
    """Where a database listens, as its clients reach it."""

    host: str
    port: int


class Hooks(Protocol):
    """The runtime below the API."""

    def instance_condition(self, instance_id: str) -> InstanceCondition:
        """Return what is true of an instance now.

        `pending` for one not heard of yet; `gone` once nothing is left of one that the API wants terminated.
        """
        ...

    def image_condition(self, image_id: str) -> ImageCondition:
        """Return how far the commit of an image is that `CreateImage` or `CopyImage` asked for."""
        ...

    def reboot_instance(self, instance_id: str) -> None:
        """Note that an instance is to be restarted (`RebootInstances`); the restart itself happens later."""
        ...

    def console_output(self, instance_id: str) -> str:
        """Return the console's text so far (`GetConsoleOutput`); empty when there is none."""
        ...

    def public_address(self, instance_id: str) -> str:
        """Return the public address of an instance: taken from the pool at the first call, the same ever after.

        The runtime takes it back by itself once the instance is gone.
        """
        ...

    def elastic_address(self) -> str:
        """Take an address from the pool of Elastic IP addresses (`AllocateAddress`)."""
        ...

    def release_address(self, address: str) -> None:
        """Put an Elastic IP address back into the pool (`ReleaseAddress`); no error for one that is not taken."""
        ...

    def target_health(self, target_group_arn: str) -> Mapping[tuple[str, int], TargetHealth]:
        """Return what the balancer measures, by (target id, port); a target it does not know yet is left out."""
        ...

    def target_in_flight(self, target_group_arn: str, target_id: str, port: int) -> int | None:
        """Return how many requests a draining target still answers.

        None until the balancer has really stopped sending it new ones: then 0 ends the wait before the
        deregistration delay does, as with Elastic Load Balancing.
        """
        ...

    def database_endpoint(self, identifier: str) -> Endpoint | None:
        """Return where a DB instance answers; None while it does not (its status stays `creating`)."""
        ...

    def file_system_bytes(self, file_system_id: str) -> int:
        """Return the metered size of a file system in bytes."""
        ...
