"""Instances: one systemd container for each EC2 instance that the API wants to run."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lab import first_boot
from lab.engine import Container, Engine, EngineError
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lab.addresses import Pool
    from lab.api.hooks import InstanceCondition
    from lab.api.views import Instance
    from lab.exits import ExitWatch
    from lab.jobs import Jobs
    from lab.metadata import MetadataService

log = logging.getLogger(__name__)

PORTS = (22, 80)
# How a container's init ends: `reboot` inside, killed; everything else is a shutdown. See engine.start on SYS_BOOT.
_EXIT_REBOOT = 129
_EXIT_KILLED = 137
# So many failed starts, and the instance has failed for good, as one that EC2 cannot launch.
_START_ATTEMPTS = 3
_CONSOLE_LINES = 200

Phase = Literal["pending", "running", "stopped", "gone"]


@dataclass
class Machine:
    """What runs for one instance. Jobs change it one at a time; others only read."""

    instance_id: str
    container: str
    address: str
    view: Instance
    phase: Phase = "pending"
    init_pid: int = 0
    console: Path | None = None
    paused: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class Settings:
    """What every instance of a lab shares."""

    lab_id: str
    folder: Path
    file_systems: Path
    environment: Mapping[str, str]


class Instances:
    """Closes the difference between the instances that are wanted and the containers that run.

    Args:
        settings: shared by all instances.
        engine: starts and ends containers.
        pool: public addresses.
        metadata: the metadata services.
        exits: tells when a container ends.
        jobs: runs the work.
        image: returns the container image of an AMI id, or None while there is none.
        names: returns further names for every /etc/hosts and their addresses as seen from inside.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        pool: Pool,
        metadata: MetadataService,
        exits: ExitWatch,
        jobs: Jobs,
        image: Callable[[str], str | None],
        names: Callable[[], Mapping[str, str]],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._pool = pool
        self._metadata = metadata
        self._exits = exits
        self._jobs = jobs
        self._image = image
        self._names = names
        self._machines: dict[str, Machine] = {}
        self._addresses: dict[str, str] = {}
        self._reboots: set[str] = set()
        self._lock = threading.Lock()
        # Faults: zones whose instances are cut off, and seconds that a boot takes longer.
        self.cut_zones: set[str] = set()
        self.boot_delay_seconds = 0.0

    def address(self, instance_id: str) -> str:
        """Return the public address of an instance, taken from the pool the first time and then kept."""
        with self._lock:
            if instance_id not in self._addresses:
                self._addresses[instance_id] = self._pool.take()
            return self._addresses[instance_id]

    def release_address(self, address: str) -> None:
        """Put back an address whose instance never came; that of a machine goes back when the machine is removed."""
        with self._lock:
            holder = next((known for known, held in self._addresses.items() if held == address), None)
            if holder is not None and holder not in self._machines:
                del self._addresses[holder]
                self._pool.release(address)

    def condition(self, instance_id: str) -> InstanceCondition:
        """Return what is true of an instance, in the words of `lab.api.hooks`."""
        machine = self._machines.get(instance_id)
        if machine is None:
            return "pending"
        if machine.phase == "running" and machine.paused:
            return "impaired"
        return machine.phase

    def request_reboot(self, instance_id: str) -> None:
        """Restart an instance at the next reconciliation."""
        self._reboots.add(instance_id)

    def console(self, instance_id: str) -> str:
        """Return the last lines that an instance wrote to its console, empty for one that does not exist."""
        machine = self._machines.get(instance_id)
        if machine is None or machine.console is None:
            return ""
        try:
            lines = machine.console.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        # Each line begins with a time, the stream and a mark (podman-run(1), k8s-file).
        return "\n".join(line.split(" ", 3)[-1] for line in lines[-_CONSOLE_LINES:])

    def view(self, instance_id: str) -> Instance | None:
        """Return an instance's view while its machine can ask for metadata: not when it is cut off."""
        machine = self._machines.get(instance_id)
        return None if machine is None or machine.paused else machine.view

    def machines(self) -> list[Machine]:
        """Return every machine, sorted by instance id."""
        return sorted(self._machines.values(), key=lambda machine: machine.instance_id)

    def running(self, instance_id: str) -> Machine:
        """Return a running machine.

        Raises:
            LabError: there is no such instance, or it does not run.
        """
        machine = self._machines.get(instance_id)
        if machine is None or machine.phase != "running":
            ids = ", ".join(known.instance_id for known in self.machines() if known.phase == "running")
            raise LabError(f"No instance {instance_id} runs here; these do: {ids or 'none'}.")
        return machine

    @contextmanager
    def quiet(self, instance_id: str, *, reboot: bool) -> Iterator[str]:
        """Hold an instance still while its disk is copied, and yield its container's name.

        Args:
            instance_id: the instance; running, or stopped.
            reboot: shut a running one down meanwhile, as CreateImage does unless NoReboot is given.

        Raises:
            LabError: the instance has no disk any more.
        """
        machine = self._machines.get(instance_id)
        if machine is None or machine.phase not in {"running", "stopped"}:
            raise LabError(f"The instance {instance_id} is not there any more.")
        with machine.lock:
            restart = reboot and machine.phase == "running"
            if restart:
                self._end(machine)
            try:
                yield machine.container
            finally:
                if restart:
                    self._boot_again(machine)

    def reconcile(self, wanted: list[Instance]) -> None:
        """Start the work that brings every machine nearer to its view."""
        names = self._names()
        for view in wanted:
            machine = self._machines.get(view.instance_id)
            if machine is None:
                machine = self._adopt(view)
            machine.view = view
            if machine.phase == "running":
                self._write_hosts(machine, names)
            self._advance(machine)
        listed = {view.instance_id for view in wanted}
        for machine in self.machines():
            if machine.instance_id not in listed:
                self._drop(machine)

    def _adopt(self, view: Instance) -> Machine:
        machine = Machine(
            instance_id=view.instance_id,
            container=f"{self._settings.lab_id}-{view.instance_id}",
            address=self.address(view.instance_id),
            view=view,
        )
        self._machines[view.instance_id] = machine
        return machine

    def _write_hosts(self, machine: Machine, names: Mapping[str, str]) -> None:
        try:
            first_boot.write_hosts(self._folder(machine), machine.view, names)
        except FileNotFoundError:
            log.debug("%s is being removed", machine.instance_id)

    def _advance(self, machine: Machine) -> None:
        work = self._next_step(machine)
        if work is not None:
            step = work
            self._jobs.submit(f"instance/{machine.instance_id}", lambda: self._locked(machine, step))

    def _next_step(self, machine: Machine) -> Callable[[Machine], None] | None:
        """Return the one thing to do next, or None when the machine is as wanted."""
        wanted, phase = machine.view.wanted, machine.phase
        cut = machine.view.zone in self.cut_zones
        step: Callable[[Machine], None] | None = None
        if phase == "gone":
            step = None
        elif wanted == "terminated":
            step = self._remove
        elif wanted == "stopped" and phase != "stopped":
            step = self._shut_down
        elif wanted == "running" and phase == "pending":
            step = self._boot
        elif wanted == "running" and phase == "stopped":
            step = self._boot_again
        elif wanted == "running" and machine.instance_id in self._reboots and not machine.paused:
            step = self._reboot
        elif phase == "running" and cut != machine.paused:
            step = self._pause if cut else self._unpause
        return step

    @staticmethod
    def _locked(machine: Machine, step: Callable[[Machine], None]) -> None:
        with machine.lock:
            step(machine)

    def _boot(self, machine: Machine) -> None:
        if machine.phase != "pending":
            return
        try:
            self._boot_first(machine)
        except Exception:
            if self._jobs.failure_count(f"instance/{machine.instance_id}") + 1 >= _START_ATTEMPTS:
                self._discard(machine)
            raise

    def _boot_first(self, machine: Machine) -> None:
        view = machine.view
        image = self._image(view.image_id)
        if image is None:
            raise LabError(f"The image {view.image_id} of {view.instance_id} has no content here.")
        if self.boot_delay_seconds:
            time.sleep(self.boot_delay_seconds)
        port = self._metadata.listen(view.instance_id)
        environment = {
            **self._settings.environment,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{first_boot.HOST_FROM_INSIDE}:{port}/",
        }
        folder = self._folder(machine)
        first_boot.write(folder, view, environment)
        first_boot.write_hosts(folder, view, self._names())
        self._engine.remove([machine.container])
        self._engine.start(
            Container(
                name=machine.container,
                image=image,
                hostname=view.private_dns_name,
                address=machine.address,
                ports=PORTS,
                environment=environment,
                mounts=first_boot.mounts(folder, self._settings.file_systems),
            )
        )
        self._has_started(machine)

    def _boot_again(self, machine: Machine) -> None:
        self._engine.restart_stopped(machine.container)
        self._has_started(machine)

    def _has_started(self, machine: Machine) -> None:
        pid, machine.console = self._engine.running(machine.container)
        machine.init_pid, machine.paused, machine.phase = pid, False, "running"
        self._reboots.discard(machine.instance_id)
        if pid:
            self._exits.watch(pid, lambda: self._init_ended(machine, pid))
        else:
            raise EngineError(f"{machine.instance_id} ended while it started.")

    def _init_ended(self, machine: Machine, pid: int) -> None:
        # A step of ours that ends the container holds the machine's lock and forgets the pid first.
        self._jobs.submit(f"exit/{machine.instance_id}/{pid}", lambda: self._after_exit(machine, pid))

    def _after_exit(self, machine: Machine, pid: int) -> None:
        with machine.lock:
            if machine.init_pid != pid:
                return
            machine.init_pid = 0
            try:
                code = self._engine.exit_code(machine.container)
            except EngineError:  # somebody removed the container
                code = _EXIT_KILLED
            log.info("%s ended by itself with code %d", machine.instance_id, code)
            if code == _EXIT_REBOOT:
                self._boot_again(machine)
            elif code == _EXIT_KILLED:
                self._discard(machine)
            else:
                machine.phase = "stopped"

    def _shut_down(self, machine: Machine) -> None:
        self._end(machine)
        machine.phase = "stopped"

    def _reboot(self, machine: Machine) -> None:
        self._end(machine)
        self._boot_again(machine)

    def _remove(self, machine: Machine) -> None:
        self._end(machine)
        self._discard(machine)

    def _end(self, machine: Machine) -> None:
        """Shut the container down in order, if it runs."""
        if not machine.init_pid:
            return
        machine.init_pid = 0
        if machine.paused:
            self._unpause(machine)
        self._engine.stop(machine.container)

    def _discard(self, machine: Machine) -> None:
        """Remove the container and everything that belongs to it; the view may still list the instance."""
        machine.init_pid = 0
        self._engine.remove([machine.container])
        self._metadata.close(machine.instance_id)
        shutil.rmtree(self._folder(machine), ignore_errors=True)
        machine.phase = "gone"

    def _drop(self, machine: Machine) -> None:
        if machine.phase != "gone":
            self._jobs.submit(f"instance/{machine.instance_id}", lambda: self._locked(machine, self._remove))
            return
        with self._lock:
            self._machines.pop(machine.instance_id, None)
            self._pool.release(self._addresses.pop(machine.instance_id, ""))
        self._reboots.discard(machine.instance_id)
        self._jobs.forget(f"instance/{machine.instance_id}")

    def _pause(self, machine: Machine) -> None:
        self._engine.pause(machine.container)
        machine.paused = True

    def _unpause(self, machine: Machine) -> None:
        self._engine.unpause(machine.container)
        machine.paused = False

    def _folder(self, machine: Machine) -> Path:
        return self._settings.folder / machine.instance_id
