"""One rehearsal cloud: its API, its clock and its state machines."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.acm.models import acm_backends
from moto.autoscaling.models import autoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends
from moto.elbv2.models import elbv2_backends
from moto.rds.models import rds_backends
from moto.ssm.models import ssm_backends

from lab.api import context, registry, views
from lab.api.context import ACCOUNT, REGION, Context, Settings
from lab.api.elbv2 import views as elbv2_views
from lab.api.faults import Faults
from lab.api.hooks import Hooks
from lab.api.server import Application, Server

# While something moves by itself (a pause, a warm-up, a drain), look again so soon; in seconds.
LOOK_AGAIN = 0.5


class Cloud:
    """The AWS API of one rehearsal, for one account and region.

    Only one per process at a time: moto's state is global, and a new cloud starts empty. Methods may be called from any
    thread.
    """

    def __init__(self, hooks: Hooks, clock: Callable[[], float] = time.time, settings: Settings | None = None) -> None:
        """Make a cloud over a runtime; `clock` gives seconds since the epoch."""
        self._context = Context(hooks, clock, settings or Settings())
        context.enter(self._context)
        registry.install()
        self.faults = Faults()
        # Set after every request that may have changed something, and after `tick` changed something.
        self.changed = threading.Event()
        self._server = Server(Application(self._context.lock, self.faults, self.changed.set))

    # Serving.

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve the API in a thread; port 0 takes a free one.

        Raises OSError when the port is in use.
        """
        self._server.start(host, port)

    @property
    def port(self) -> int:
        """The port that the API listens on; raises RuntimeError before `start`."""
        return self._server.port

    def stop(self) -> None:
        """Stop serving and forget everything; no error when it is stopped."""
        self._server.stop()
        registry.remove()
        context.leave(self._context)

    # Moving on.

    def tick(self) -> float | None:
        """Take over what the runtime reports and move every state machine on.

        Returns the clock's time at which to call it again at the latest, or None when nothing moves by itself.
        """
        with self._context.lock:
            busy = [
                self.ec2.tick_instances(),
                self.ec2.tick_images(),
                self.elbv2.tick(),
                self.autoscaling.tick(),
                self.rds.tick(),
            ]
            return self._context.clock() + LOOK_AGAIN if any(busy) else None

    # Backends of moto, ours where `lab.api.registry` says so; hold `lock()` while using one.

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the API's lock: no request is answered meanwhile."""
        with self._context.lock:
            yield

    @property
    def ec2(self) -> Any:
        """EC2's backend."""
        return ec2_backends[ACCOUNT][REGION]

    @property
    def autoscaling(self) -> Any:
        """Auto Scaling's backend."""
        return autoscaling_backends[ACCOUNT][REGION]

    @property
    def elbv2(self) -> Any:
        """Elastic Load Balancing's backend."""
        return elbv2_backends[ACCOUNT][REGION]

    @property
    def efs(self) -> Any:
        """EFS's backend."""
        return efs_backends[ACCOUNT][REGION]

    @property
    def rds(self) -> Any:
        """RDS's backend."""
        return rds_backends[ACCOUNT][REGION]

    @property
    def acm(self) -> Any:
        """ACM's backend."""
        return acm_backends[ACCOUNT][REGION]

    @property
    def ssm(self) -> Any:
        """Systems Manager's backend."""
        return ssm_backends[ACCOUNT][REGION]

    @property
    def cloudwatch(self) -> Any:
        """CloudWatch's backend."""
        return cloudwatch_backends[ACCOUNT][REGION]

    # What the API wants to be true.

    def instances(self) -> list[views.Instance]:
        """Return every instance that is not terminated."""
        with self._context.lock:
            return self._instances()

    def _instances(self) -> list[views.Instance]:
        groups = {m.instance_id: (g, m) for g in self.autoscaling.groups.values() for m in g.members}
        found = []
        for instance in self.ec2.all_instances():
            if instance.state != "terminated":
                found.append(self.ec2.view_instance(instance, groups.get(instance.id)))
        return found

    def images(self) -> list[views.Image]:
        """Return every image that is registered."""
        with self._context.lock:
            return [image.view() for image in self.ec2.amis.values()]

    def target_groups(self) -> list[views.TargetGroup]:
        """Return every target group with its targets."""
        with self._context.lock:
            return elbv2_views.target_groups(self.elbv2)

    def load_balancers(self) -> list[views.LoadBalancer]:
        """Return every load balancer with its listeners and rules."""
        with self._context.lock:
            return elbv2_views.load_balancers(self.elbv2)

    def certificates(self) -> list[views.Certificate]:
        """Return every certificate of ACM whose private key is known: the imported ones."""
        with self._context.lock:
            return list(self.acm.view())

    def file_systems(self) -> list[views.FileSystem]:
        """Return every file system with its mount targets and access points."""
        with self._context.lock:
            return list(self.efs.view())

    def databases(self) -> list[views.Database]:
        """Return every DB instance."""
        with self._context.lock:
            return list(self.rds.view())

    def grow_database(self, identifier: str, allocated_gb: int) -> None:
        """Grow the storage of a DB instance as RDS storage autoscaling does.

        Raises KeyError when there is no such DB instance, ValueError outside of its present size and its ceiling.
        """
        with self._context.lock:
            database = self.rds.databases[identifier]
            ceiling = database.max_allocated_storage or database.allocated_storage
            if not database.allocated_storage <= allocated_gb <= ceiling:
                raise ValueError(f"{allocated_gb} GB must be between {database.allocated_storage} and {ceiling} GB")
            database.allocated_storage = allocated_gb

    # Faults that are states of the API.

    def set_alarm(self, name: str, state: str, reason: str = "Set by the rehearsal.") -> None:
        """Set an alarm's state: OK, ALARM or INSUFFICIENT_DATA.

        Raises KeyError when there is no such alarm.
        """
        with self._context.lock:
            if name not in self.cloudwatch.alarms:
                known = ", ".join(sorted(self.cloudwatch.alarms)) or "none"
                raise KeyError(f"no alarm named {name}; there are: {known}")
            self.cloudwatch.set_alarm_state(name, reason, "{}", state)
        self.changed.set()
