"""Faults on request: what goes wrong in a data centre, one method for each.

Every method returns a sentence that says what is true now. Faults that last have a counterpart that ends them, and
`clear` ends all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.api import Cloud
    from lab.engine import Engine
    from lab.reconciler import Runtime

_APPLICATION_UNITS = ("checkop.service",)
_THROTTLED = "Throttling"
_FAILED = "InternalError"


class FaultDesk:
    """Carries faults out.

    Args:
        cloud: the API.
        runtime: what runs.
        engine: reaches into instances.
    """

    def __init__(self, cloud: Cloud, runtime: Runtime, engine: Engine) -> None:
        self._cloud = cloud
        self._runtime = runtime
        self._engine = engine

    def apply(self, kind: str, arguments: dict[str, Any]) -> str:
        """Carry out a fault of the command line by its name, for example `kill-instance`.

        Raises:
            LabError: the fault cannot be; the sentence says why, and what can be.
        """
        sentence: str = getattr(self, kind.replace("-", "_"))(**arguments)
        self._cloud.changed.set()
        return sentence

    def kill_instance(self, instance_id: str) -> str:
        """End an instance at once, as a failed machine does."""
        machine = self._runtime.instances.running(instance_id)
        self._engine.kill(machine.container)
        return f"{instance_id} in {machine.view.zone} is dead."

    def cut_zone(self, zone: str) -> str:
        """Cut a zone's instances and balancer node off from everything."""
        self._runtime.instances.cut_zones.add(zone)
        return f"Zone {zone} is cut off; `lab fault restore-zone {zone}` restores it."

    def restore_zone(self, zone: str) -> str:
        """Connect a zone again."""
        self._runtime.instances.cut_zones.discard(zone)
        return f"Zone {zone} is connected."

    def hang_app(self, instance_id: str) -> str:
        """Stop the application's processes, so that connections open and nothing answers."""
        self._signal_application(instance_id, "SIGSTOP")
        return f"The application on {instance_id} hangs; `lab fault resume-app {instance_id}` lets it go on."

    def resume_app(self, instance_id: str) -> str:
        """Let a hung application go on."""
        self._signal_application(instance_id, "SIGCONT")
        return f"The application on {instance_id} goes on."

    def alarm(self, name: str, state: str) -> str:
        """Set an alarm's state: OK, ALARM or INSUFFICIENT_DATA."""
        try:
            self._cloud.set_alarm(name, state)
        except KeyError as error:
            raise LabError(f"{error.args[0]}.") from error
        return f"Alarm {name} is {state}."

    def api_throttle(self, every: int, service: str | None, operation: str | None, times: int | None) -> str:
        """Throttle every n-th call of the API."""
        return self._api(_THROTTLED, every, service, operation, times)

    def api_fail(self, every: int, service: str | None, operation: str | None, times: int | None) -> str:
        """Fail every n-th call of the API with an internal error."""
        return self._api(_FAILED, every, service, operation, times)

    def api_restore(self) -> str:
        """Answer every call again."""
        self._cloud.faults.clear()
        return "The API answers every call."

    def full_file_system(self, file_system_id: str | None) -> str:
        """Leave no space on a file system."""
        chosen = file_system_id or self._runtime.file_systems.only()
        self._runtime.file_systems.fill(chosen, full=True)
        return f"{chosen} is full; `lab fault restore-file-system` gives its space back."

    def hang_file_system(self, file_system_id: str | None) -> str:
        """Let every access to a file system wait, as with an NFS server that is away."""
        chosen = file_system_id or self._runtime.file_systems.only()
        self._runtime.file_systems.hang(chosen, hung=True)
        return f"{chosen} hangs; `lab fault restore-file-system` lets it answer."

    def restore_file_system(self, file_system_id: str | None) -> str:
        """Let a file system answer and give its space back."""
        chosen = file_system_id or self._runtime.file_systems.only()
        self._runtime.file_systems.hang(chosen, hung=False)
        self._runtime.file_systems.fill(chosen, full=False)
        return f"{chosen} answers and has space."

    def stop_database(self, identifier: str | None, seconds: float) -> str:
        """Take a database away for some seconds."""
        chosen = identifier or self._runtime.databases.only()
        self._runtime.databases.stop_for(chosen, seconds)
        return f"{chosen} is away for {seconds:g} s."

    def drain_broken(self) -> str:
        """Cut deregistered targets off at once, so that a test which counts lost requests can be seen to fail."""
        self._runtime.drain_broken = True
        return "Deregistered targets lose their connections at once; `lab fault drain-restore` ends that."

    def drain_restore(self) -> str:
        """Let deregistered targets finish what they answer."""
        self._runtime.drain_broken = False
        return "Deregistered targets finish what they answer."

    def slow_boot(self, seconds: float) -> str:
        """Let every instance from now on take so much longer to start; 0 ends that."""
        self._runtime.instances.boot_delay_seconds = seconds
        return f"Instances take {seconds:g} s longer to start." if seconds else "Instances start at once."

    def clear(self) -> str:
        """End every fault that lasts, but for applications that hang."""
        self._runtime.instances.cut_zones.clear()
        self.api_restore()
        self.drain_restore()
        self.slow_boot(0)
        for file_system_id, state in self._runtime.file_systems.served().items():
            if state != "dead":
                self.restore_file_system(file_system_id)
        return "No fault lasts."

    def active(self) -> list[str]:
        """Return a sentence for every fault that lasts."""
        instances = self._runtime.instances
        found = [f"zone {zone} is cut off" for zone in sorted(instances.cut_zones)]
        if instances.boot_delay_seconds:
            found.append(f"instances take {instances.boot_delay_seconds:g} s longer to start")
        if self._runtime.drain_broken:
            found.append("deregistered targets lose their connections at once")
        for rule in self._cloud.faults.describe():
            of = " ".join(str(rule[key]) for key in ("service", "operation") if rule[key]) or "any service"
            found.append(f"every {rule['every']}. call of {of} answers {rule['code']} ({rule['failed']} so far)")
        states = self._runtime.file_systems.served().items()
        found += [f"file system {name} hangs" for name, state in states if state == "hung"]
        return found

    def _signal_application(self, instance_id: str, name: str) -> None:
        machine = self._runtime.instances.running(instance_id)
        for unit in _APPLICATION_UNITS:
            self._engine.execute(machine.container, "systemctl", "kill", "--kill-who=all", f"--signal={name}", unit)

    def _api(self, code: str, every: int, service: str | None, operation: str | None, times: int | None) -> str:
        try:
            self._cloud.faults.api(every=every, code=code, service=service, operation=operation, times=times)
        except ValueError as error:
            raise LabError(f"{error}.") from error
        of = " ".join(word for word in (service, operation) if word) or "any service"
        return f"Every {every}. call of {of} answers {code}; `lab fault api-restore` ends that."
