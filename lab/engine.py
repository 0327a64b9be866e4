"""The container engine: the few podman commands that instances and images need.

See podman-run(1), podman-commit(1). Every call is bounded in time, and its failure names the command's own words.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

LABEL = "checkop-lab"
_DEFAULT_TIMEOUT = 60.0
_STOP_GRACE_SECONDS = 10
_CLEANUP_TIMEOUT = 15.0


class EngineError(LabError):
    """A podman command failed; the text is its own."""


@dataclass(frozen=True)
class Mount:
    """A bind mount into a container; options as in podman-run(1), for example `ro` or `rslave`."""

    source: Path
    target: str
    options: str = "ro"


@dataclass(frozen=True)
class Container:
    """What a container is started with."""

    name: str
    image: str
    hostname: str
    # Loopback address on which the ports are published.
    address: str
    ports: tuple[int, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...] = field(default=())


class Running(NamedTuple):
    """What a started container is, seen from outside."""

    init_pid: int
    console: Path


class Engine:
    """Podman with the project's own storage.

    Args:
        environment: CONTAINERS_CONF and CONTAINERS_STORAGE_CONF, see `lab.containers.environment`.
        lab_id: label of everything made here.
    """

    def __init__(self, environment: Mapping[str, str], lab_id: str) -> None:
        self._environment = {**os.environ, **environment}
        self._lab_id = lab_id

    def start(self, container: Container) -> None:
        """Create and boot a container whose init is systemd.

        Its network is slirp4netns bound to the loopback device: it reaches this machine as 10.0.2.2, and nothing else.
        """
        options = ["--name", container.name, "--hostname", container.hostname, "--label", f"{LABEL}={self._lab_id}"]
        # SYS_ADMIN: systemd and mounts. SYS_BOOT: `reboot` inside ends init with another signal than `poweroff`.
        options += ["--systemd=always", "--cap-add", "SYS_ADMIN,SYS_BOOT", "--security-opt", "seccomp=unconfined"]
        options += ["--network", "slirp4netns:allow_host_loopback=true,outbound_addr=127.0.0.1,enable_ipv6=false"]
        # No name server: a name that /etc/hosts does not know is unknown at once, instead of after a timeout.
        options += ["--no-hosts", "--dns", "127.0.0.1", "--dns-opt", "attempts:1", "--pull", "never"]
        for port in container.ports:
            options += ["--publish", f"{container.address}:{port}:{port}"]
        for name, value in container.environment.items():
            options += ["--env", f"{name}={value}"]
        for mount in container.mounts:
            options += ["--volume", f"{mount.source}:{mount.target}:{mount.options}"]
        # A terminal, because systemd writes its boot to the console only where there is one.
        self.run("run", "--detach", "--tty", *options, container.image)

    def restart_stopped(self, name: str) -> None:
        """Boot a stopped container again."""
        self.run("start", name)

    def stop(self, name: str) -> None:
        """Shut a container down in order, by force after a grace."""
        self.run("stop", "--time", str(_STOP_GRACE_SECONDS), name)

    def kill(self, name: str) -> None:
        """End a container at once, as a failed machine does."""
        self.run("kill", "--signal", "KILL", name)

    def remove(self, names: Sequence[str]) -> None:
        """Remove containers, running or not; no error for those that do not exist."""
        if names:
            self.run("rm", "--force", "--ignore", "--time", "0", *names)

    def pause(self, name: str) -> None:
        """Freeze every process of a container."""
        self.run("pause", name)

    def unpause(self, name: str) -> None:
        """Let a frozen container go on."""
        self.run("unpause", name)

    def execute(self, name: str, *command: str) -> str:
        """Run a command in a container as root and return its output."""
        return self.run("exec", name, *command)

    def running(self, name: str) -> Running:
        """Return the process id of a container's init (0: it does not run) and the file of its console."""
        pid, path = self._inspect(name, "{{.State.Pid}} {{.HostConfig.LogConfig.Path}}").split(" ", 1)
        return Running(int(pid), Path(path))

    def exit_code(self, name: str) -> int:
        """Return how a container's init ended: 128 + signal for one that was killed.

        Waits until its network is taken down: a start before that would lose its published ports again.
        """
        self.run("wait", "--condition", "exited", "--interval", "50ms", name, timeout=_CLEANUP_TIMEOUT)
        return int(self._inspect(name, "{{.State.ExitCode}}"))

    def _inspect(self, name: str, template: str) -> str:
        return self.run("container", "inspect", "--format", template, name).strip()

    def commit(self, name: str, image: str, *, pause: bool) -> None:
        """Make an image from a container's file system; bind mounts are not part of it."""
        label = f"LABEL {LABEL}={self._lab_id}"
        self.run("commit", "--quiet", f"--pause={str(pause).lower()}", "--change", label, name, image, timeout=300)

    def tag(self, image: str, new: str) -> None:
        """Give an image a further name."""
        self.run("tag", image, new)

    def untag(self, image: str) -> None:
        """Take an image's name away, and the image too when nothing uses it any more."""
        self.run("image", "untag", image, image)

    def prune_images(self) -> None:
        """Remove images of this lab that no name and no container refers to any more."""
        self.run("image", "prune", "--force", "--filter", f"label={LABEL}={self._lab_id}")

    def containers(self) -> list[str]:
        """Return the names of this lab's containers, running or not."""
        output = self.run("ps", "--all", "--filter", f"label={LABEL}={self._lab_id}", "--format", "{{.Names}}")
        return output.split()

    def images(self) -> list[str]:
        """Return the names of this lab's images."""
        listed = json.loads(self.run("images", "--filter", f"label={LABEL}={self._lab_id}", "--format", "json"))
        return [name for image in listed for name in image.get("Names") or [image["Id"]]]

    def remove_images(self, images: Sequence[str]) -> None:
        """Remove images by name; no error for those that do not exist."""
        if images:
            self.run("rmi", "--force", "--ignore", *images)

    def run(self, *arguments: str, timeout: float = _DEFAULT_TIMEOUT) -> str:
        """Run podman and return its standard output.

        Raises:
            EngineError: it failed, or took longer than `timeout` seconds.
        """
        command = ["podman", *arguments]
        log.debug("%s", " ".join(command))
        try:
            done = subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise EngineError("podman is not installed: run `make setup`.") from error
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"podman {arguments[0]} did not end within {timeout:.0f} s.") from error
        if done.returncode != 0:
            words = done.stderr.strip().splitlines()
            raise EngineError(f"podman {arguments[0]} failed: {words[-1] if words else 'it said nothing'}")
        return done.stdout
