"""What an instance finds at its first boot: cloud-init's NoCloud seed, its hosts file, its environment.

Format of the seed: cloud-init's documentation, "NoCloud". All of it is mounted, never copied, so that an image that is
committed from an instance carries none of it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.engine import Mount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.api.views import Instance

SEED_FOLDER = "/var/lib/cloud/seed/nocloud"
# This machine as an instance sees it (slirp4netns(1), --disable-host-loopback=false), and the instance itself.
HOST_FROM_INSIDE = "10.0.2.2"
_SELF_INSIDE = "10.0.2.100"


def write(folder: Path, instance: Instance, environment: Mapping[str, str]) -> None:
    """Write the seed, the environment and the first hosts file of an instance below its folder."""
    seed = folder / "seed"
    seed.mkdir(parents=True, exist_ok=True)
    meta = {
        "instance-id": instance.instance_id,
        "local-hostname": instance.private_dns_name,
        "public-keys": [instance.public_key] if instance.public_key else [],
    }
    # JSON is YAML.
    (seed / "meta-data").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
    (seed / "user-data").write_bytes(instance.user_data or b"#cloud-config\n{}\n")
    (seed / "vendor-data").write_text("#cloud-config\n{}\n", encoding="utf-8")
    lines = [f"{name}={value}\n" for name, value in sorted(environment.items())]
    (folder / "environment").write_text("".join(lines), encoding="utf-8")
    # Units do not read /etc/environment, and a client without the metadata address would ask this machine's network.
    manager = f"[Manager]\nDefaultEnvironment={' '.join(line.strip() for line in lines)}\n"
    (folder / "manager.conf").write_text(manager, encoding="utf-8")


def write_hosts(folder: Path, instance: Instance, names: Mapping[str, str]) -> None:
    """Write an instance's /etc/hosts in place: it is a bind mount, which a rename would leave behind.

    Args:
        folder: the instance's folder.
        instance: its view.
        names: further names and their addresses as the instance reaches them.
    """
    short = instance.private_dns_name.split(".")[0]
    lines = ["127.0.0.1 localhost localhost.localdomain", f"{_SELF_INSIDE} {instance.private_dns_name} {short}"]
    lines += [f"{address} {name}" for name, address in sorted(names.items())]
    text = "\n".join(lines) + "\n"
    path = folder / "hosts"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        with path.open("w", encoding="utf-8") as hosts:
            hosts.write(text)


def mounts(folder: Path, file_systems: Path) -> tuple[Mount, ...]:
    """Return what an instance has mounted from this machine.

    Args:
        folder: the instance's folder.
        file_systems: folder whose sub-folders are the EFS file systems; a later one appears in running instances.
    """
    return (
        Mount(folder / "seed", SEED_FOLDER),
        Mount(folder / "environment", "/etc/environment"),
        Mount(folder / "manager.conf", "/run/systemd/system.conf.d/lab.conf"),
        Mount(folder / "hosts", "/etc/hosts"),
        Mount(file_systems, "/run/lab/efs", "rslave"),
    )
