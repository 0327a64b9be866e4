"""What `lab status` says: as data for machines, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.faults import FaultDesk
    from lab.reconciler import Reconciler, Runtime


def collect(runtime: Runtime, reconciler: Reconciler, desk: FaultDesk) -> dict[str, Any]:
    """Return the state of everything that runs, ready for JSON."""
    errors = {**runtime.jobs.failures(), **reconciler.errors}
    if runtime.balancer.error:
        errors["balancer"] = runtime.balancer.error
    return {
        "instances": [
            {
                "id": machine.instance_id,
                "name": machine.view.tags.get("Name", ""),
                "state": machine.view.state,
                "condition": runtime.instances.condition(machine.instance_id),
                "zone": machine.view.zone,
                "address": machine.address,
                "elastic_addresses": list(machine.view.elastic_ips),
                "image": machine.view.image_id,
                "group": machine.view.group or "",
                "lifecycle_state": machine.view.lifecycle_state or "",
                "container": machine.container,
            }
            for machine in runtime.instances.machines()
            if machine.phase != "gone"
        ],
        "images": [{"id": image, "container_image": name} for image, name in runtime.images.listing().items()],
        "targets": [
            {
                "target_group": group,
                "id": target,
                "address": f"{live.server.address}:{live.server.port}",
                "state": "draining" if live.draining else live.checker.health.state,
                "reason": live.checker.health.reason,
                "in_flight": live.in_flight,
            }
            for group, target, live in runtime.balancer.targets()
        ],
        "balancers": [
            {
                "name": balancer.name,
                "dns_name": balancer.dns_name,
                "nodes": {zone: runtime.balancer.zone_address(balancer, zone) for zone in balancer.zones},
            }
            for balancer in runtime.balancer.load_balancers()
        ],
        "databases": [
            {
                "id": server.identifier,
                "endpoint": runtime.databases.host(server.identifier),
                "port": server.port,
                "ready": server.ready,
                "parameters_without_counterpart": server.not_emulated,
            }
            for server in runtime.databases.servers()
        ],
        "file_systems": [
            {"id": name, "state": state, "bytes": runtime.file_systems.metered_bytes(name)}
            for name, state in runtime.file_systems.served().items()
        ],
        "faults": desk.active(),
        "errors": errors,
    }


def table(status: dict[str, Any]) -> str:
    """Return a status for people: a few lines for each kind of resource that exists."""
    run = status["lab"]
    lines = [f"lab {run['id']}: API {run['endpoint']}, slot {run['slot']}, process {run['pid']}, state {run['folder']}"]
    lines += _section(
        "instance",
        status["instances"],
        ("id", "name", "state", "condition", "zone", "address", "image", "lifecycle_state"),
    )
    lines += _section("image", status["images"], ("id", "container_image"))
    lines += _section("target", status["targets"], ("target_group", "id", "address", "state", "reason"))
    lines += _section("balancer", status["balancers"], ("name", "dns_name", "nodes"))
    lines += _section("database", status["databases"], ("id", "endpoint", "port", "ready"))
    lines += _section("file system", status["file_systems"], ("id", "state", "bytes"))
    lines += [f"fault: {fault}" for fault in status["faults"]]
    lines += [f"error: {name}: {text}" for name, text in status["errors"].items()]
    return "\n".join(lines)


def _section(kind: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[str]:
    if not rows:
        return []
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    titles = [kind if column == "id" else column.replace("_", " ") for column in columns]
    widths = [max(len(line[at]) for line in [titles, *cells]) for at in range(len(columns))]
    return [
        "",
        *(
            "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
            for line in [titles, *cells]
        ),
    ]


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "-"
