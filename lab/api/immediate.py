"""A runtime without processes: everything that the API wants is true at once. For API-only runs and tests."""

import itertools
from collections.abc import Mapping

from moto.ec2.models import ec2_backends

from lab.api import context
from lab.api.hooks import Endpoint, ImageCondition, InstanceCondition, TargetHealth

HEALTHY = TargetHealth("healthy")


class Immediate:
    """`Hooks` whose instances run, images are there and targets are healthy as soon as they are asked for.

    The public attributes override that, by id; addresses count up in 127.0.0.0/8, and nothing answers there.
    """

    def __init__(self) -> None:
        self.conditions: dict[str, InstanceCondition] = {}
        self.images: dict[str, ImageCondition] = {}
        # By target id; None: the balancer does not know the target yet.
        self.health: dict[str, TargetHealth | None] = {}
        # Requests in flight by target id; None: the balancer does not know.
        self.in_flight: dict[str, int | None] = {}
        self.endpoints: dict[str, Endpoint | None] = {}
        self.sizes: dict[str, int] = {}
        self.console: dict[str, str] = {}
        self.rebooted: list[str] = []
        self.released: list[str] = []
        self._public: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def _address(self, block: int) -> str:
        number = next(self._numbers)
        return f"127.99.{block + number // 250}.{1 + number % 250}"

    def instance_condition(self, instance_id: str) -> InstanceCondition:
        """Say that what is wanted is so."""
        if instance_id in self.conditions:
            return self.conditions[instance_id]
        instance = ec2_backends[context.ACCOUNT][context.REGION].get_instance_by_id(instance_id)
        if instance is None or instance.state in ("shutting-down", "terminated"):
            return "gone"
        return "stopped" if instance.state in ("stopping", "stopped") else "running"

    def image_condition(self, image_id: str) -> ImageCondition:
        """Say available."""
        return self.images.get(image_id, "available")

    def reboot_instance(self, instance_id: str) -> None:
        """Note the instance in `rebooted`."""
        self.rebooted.append(instance_id)

    def console_output(self, instance_id: str) -> str:
        """Return what `console` has."""
        return self.console.get(instance_id, "")

    def public_address(self, instance_id: str) -> str:
        """Count up; the same for one instance."""
        return self._public.setdefault(instance_id, self._address(10))

    def elastic_address(self) -> str:
        """Count up."""
        return self._address(100)

    def release_address(self, address: str) -> None:
        """Note the address in `released`."""
        self.released.append(address)

    def target_health(self, target_group_arn: str) -> Mapping[tuple[str, int], TargetHealth]:
        """Say healthy for every target that is asked for, unless `health` says otherwise."""
        return _Health(self.health)

    def target_in_flight(self, target_group_arn: str, target_id: str, port: int) -> int | None:
        """Say that nothing is in flight."""
        return self.in_flight.get(target_id, 0)

    def database_endpoint(self, identifier: str) -> Endpoint | None:
        """Say that it answers on MySQL's own port."""
        return self.endpoints.get(identifier, Endpoint("127.0.0.1", 3306))

    def file_system_bytes(self, file_system_id: str) -> int:
        """Say that it holds next to nothing."""
        return self.sizes.get(file_system_id, 6144)


class _Health(dict[tuple[str, int], TargetHealth]):
    """Any target's health, without a list of the targets."""

    def __init__(self, by_id: Mapping[str, TargetHealth | None]) -> None:
        super().__init__()
        self._by_id = by_id

    def get(self, key: tuple[str, int], default: TargetHealth | None = None) -> TargetHealth | None:  # type: ignore[override]
        """Return the health of a target."""
        return self._by_id.get(key[0], HEALTHY)
