"""The loop that closes the difference between what the API wants and what runs.

Level-triggered: every pass reads all views anew, so nothing depends on having seen a particular request. A pass costs
no process: it only compares data in memory, and starts jobs where something differs.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from lab.balancer import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.addresses import Pool
    from lab.api import Cloud
    from lab.api.hooks import Endpoint, ImageCondition, InstanceCondition, TargetHealth
    from lab.balancer import Balancer
    from lab.database import Databases
    from lab.filesystem import FileSystems
    from lab.images import Images
    from lab.instances import Instances
    from lab.jobs import Jobs

log = logging.getLogger(__name__)

# Longest sleep of an idle loop, seconds.
_SWEEP_SECONDS = 5.0
_SHORTEST_SLEEP_SECONDS = 0.02


class Runtime:
    """Everything that really runs, and what the API asks of it: implements `lab.api.hooks.Hooks`."""

    def __init__(
        self,
        *,
        instances: Instances,
        images: Images,
        file_systems: FileSystems,
        databases: Databases,
        balancer: Balancer,
        elastic: Pool,
        jobs: Jobs,
    ) -> None:
        self.instances = instances
        self.images = images
        self.file_systems = file_systems
        self.databases = databases
        self.balancer = balancer
        self.jobs = jobs
        self._elastic = elastic
        # Fault: deregistered targets are cut off at once.
        self.drain_broken = False

    def instance_condition(self, instance_id: str) -> InstanceCondition:
        """See `Hooks`."""
        return self.instances.condition(instance_id)

    def image_condition(self, image_id: str) -> ImageCondition:
        """See `Hooks`."""
        return self.images.condition(image_id)

    def reboot_instance(self, instance_id: str) -> None:
        """See `Hooks`."""
        self.instances.request_reboot(instance_id)

    def console_output(self, instance_id: str) -> str:
        """See `Hooks`."""
        return self.instances.console(instance_id)

    def public_address(self, instance_id: str) -> str:
        """See `Hooks`."""
        return self.instances.address(instance_id)

    def elastic_address(self) -> str:
        """See `Hooks`."""
        return self._elastic.take()

    def release_address(self, address: str) -> None:
        """See `Hooks`."""
        if not self._elastic.release(address):
            self.instances.release_address(address)

    def target_health(self, target_group_arn: str) -> Mapping[tuple[str, int], TargetHealth]:
        """See `Hooks`."""
        return self.balancer.health(target_group_arn)

    def target_in_flight(self, target_group_arn: str, target_id: str, port: int) -> int | None:
        """See `Hooks`."""
        return self.balancer.in_flight(target_group_arn, target_id, port)

    def database_endpoint(self, identifier: str) -> Endpoint | None:
        """See `Hooks`."""
        return self.databases.endpoint(identifier)

    def file_system_bytes(self, file_system_id: str) -> int:
        """See `Hooks`."""
        return self.file_systems.metered_bytes(file_system_id)


class Reconciler:
    """Runs passes until it is told to stop.

    Args:
        cloud: the API.
        runtime: what runs.
    """

    def __init__(self, cloud: Cloud, runtime: Runtime) -> None:
        self._cloud = cloud
        self._runtime = runtime
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reconciler")
        self.last_pass = time.monotonic()
        self.errors: dict[str, str] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the pass under way."""
        self._ending.set()
        self._cloud.changed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        while not self._ending.is_set():
            deadline = self._pass()
            self.last_pass = time.monotonic()
            self._cloud.changed.wait(timeout=self._sleep_seconds(deadline))
            self._cloud.changed.clear()

    def _sleep_seconds(self, deadline: float | None) -> float:
        waits = [_SWEEP_SECONDS]
        if deadline is not None:
            waits.append(deadline - time.time())
        waits += [
            seconds
            for seconds in (self._runtime.jobs.next_retry(), self._runtime.databases.next_deadline())
            if seconds is not None
        ]
        return max(min(waits), _SHORTEST_SLEEP_SECONDS)

    def _pass(self) -> float | None:
        """Compare and start what is missing; return the clock's time when the API has something to do next."""
        deadline: float | None = None
        runtime, cloud = self._runtime, self._cloud
        try:
            deadline = cloud.tick()
        except Exception as error:  # the runtime goes on when a state machine of the API fails
            self._note("api", error)
        else:
            self.errors.pop("api", None)
        # Instances last: they need images, file systems and the names of databases.
        steps = {
            "images": lambda: runtime.images.reconcile(cloud.images()),
            "file systems": lambda: runtime.file_systems.reconcile(cloud.file_systems()),
            "databases": lambda: runtime.databases.reconcile(cloud.databases()),
            "instances": lambda: runtime.instances.reconcile(cloud.instances()),
            "balancer": self._balancer,
        }
        for name, step in steps.items():
            try:
                step()
            except Exception as error:  # one kind of resource must not stop the others
                self._note(name, error)
            else:
                self.errors.pop(name, None)
        return deadline

    def _balancer(self) -> None:
        instances = self._runtime.instances
        cut = frozenset(instances.cut_zones)
        running = {one.instance_id: one for one in instances.machines() if one.phase == "running"}
        elastic = [
            (address, machine.address)
            for machine in running.values()
            if machine.view.zone not in cut
            for address in machine.view.elastic_ips
        ]
        self._runtime.balancer.reconcile(
            Wanted(
                load_balancers=tuple(self._cloud.load_balancers()),
                target_groups=tuple(self._cloud.target_groups()),
                certificates=tuple(self._cloud.certificates()),
                elastic=tuple(sorted(elastic)),
                cut_zones=cut,
                unreachable=frozenset(one.instance_id for one in instances.machines() if one.view.zone in cut),
                drain_broken=self._runtime.drain_broken,
            )
        )

    def _note(self, name: str, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if self.errors.get(name) != text:
            log.error("reconciling %s failed", name, exc_info=error)
        self.errors[name] = text
