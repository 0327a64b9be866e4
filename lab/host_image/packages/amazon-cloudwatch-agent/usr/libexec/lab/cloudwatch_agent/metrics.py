"""Metrics of the host from /proc and statvfs(3), named and dimensioned as the agent does."""

import os

_IGNORED_TYPES = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "fusectl",
    "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "securityfs", "sysfs", "tmpfs", "tracefs",
}  # fmt: skip
_BYTES = {"active", "available", "buffered", "cached", "free", "inactive", "total", "used"}
_STATES = {"R": "running", "S": "sleeping", "D": "blocked", "Z": "zombies", "T": "stopped", "I": "idle", "X": "dead"}


def collect(name, section):
    """Return the values of a section of `metrics_collected`.

    Returns:
        List of (measurement, unit, value, dimensions).
    """
    return list(
        {"mem": _mem, "swap": _swap, "disk": _disk, "net": _net, "processes": _processes, "cpu": _cpu}[name](section)
    )


def _meminfo():
    with open("/proc/meminfo") as handle:
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in handle}


def _percent(part, whole):
    return 100.0 * part / whole if whole else 0.0


def _mem(_section):
    info = _meminfo()
    used = info["MemTotal"] - info["MemAvailable"]
    values = {
        "total": info["MemTotal"],
        "available": info["MemAvailable"],
        "free": info["MemFree"],
        "buffered": info["Buffers"],
        "cached": info["Cached"],
        "active": info["Active"],
        "inactive": info["Inactive"],
        "used": used,
        "used_percent": _percent(used, info["MemTotal"]),
        "available_percent": _percent(info["MemAvailable"], info["MemTotal"]),
    }
    for name, value in values.items():
        yield name, "Bytes" if name in _BYTES else "Percent", value, {}


def _swap(_section):
    info = _meminfo()
    used = info["SwapTotal"] - info["SwapFree"]
    yield "free", "Bytes", info["SwapFree"], {}
    yield "used", "Bytes", used, {}
    yield "used_percent", "Percent", _percent(used, info["SwapTotal"]), {}


def _disk(section):
    wanted = section.get("resources") or ["*"]
    ignored = _IGNORED_TYPES | set(section.get("ignore_file_system_types", []))
    with open("/proc/self/mounts") as handle:
        mounts = {line.split()[1]: line.split() for line in handle}
    for path, (device, _path, kind, *_rest) in sorted(mounts.items()):
        if not ("*" in wanted or path in wanted) or (kind in ignored and path not in wanted) or not os.path.isdir(path):
            continue
        status = os.statvfs(path)
        total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        dimensions = {"path": path, "fstype": kind}
        if not section.get("drop_device"):
            dimensions["device"] = device.rsplit("/", 1)[-1]
        yield "total", "Bytes", total, dimensions
        yield "free", "Bytes", free, dimensions
        yield "used", "Bytes", used, dimensions
        yield "used_percent", "Percent", _percent(used, used + free), dimensions
        yield "inodes_total", "Count", status.f_files, dimensions
        yield "inodes_free", "Count", status.f_ffree, dimensions
        yield "inodes_used", "Count", status.f_files - status.f_ffree, dimensions


def _net(section):
    wanted = section.get("resources") or ["*"]
    names = (
        "bytes_recv",
        "packets_recv",
        "err_in",
        "drop_in",
        "",
        "",
        "",
        "",
        "bytes_sent",
        "packets_sent",
        "err_out",
        "drop_out",
    )
    with open("/proc/net/dev") as handle:
        lines = handle.readlines()[2:]
    for line in lines:
        interface, numbers = line.split(":", 1)
        interface = interface.strip()
        if "*" in wanted or interface in wanted:
            for name, number in zip(names, numbers.split()):
                if name:
                    yield name, "Bytes" if "bytes" in name else "Count", int(number), {"interface": interface}


def _processes(_section):
    counts = dict.fromkeys((*_STATES.values(), "paging", "wait", "total", "total_threads"), 0)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry) as handle:
                    fields = handle.read().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it ended meanwhile
            counts["total"] += 1
            counts["total_threads"] += int(fields[17])
            if fields[0] in _STATES:
                counts[_STATES[fields[0]]] += 1
    for name, value in counts.items():
        yield name, "Count", value, {}


def _cpu(_section):
    with open("/proc/stat") as handle:
        user, nice, system, idle, wait, *_rest = [int(one) for one in handle.readline().split()[1:]]
    total = user + nice + system + idle + wait
    dimensions = {"cpu": "cpu-total"}
    yield "usage_user", "Percent", _percent(user + nice, total), dimensions
    yield "usage_system", "Percent", _percent(system, total), dimensions
    yield "usage_idle", "Percent", _percent(idle, total), dimensions
    yield "usage_iowait", "Percent", _percent(wait, total), dimensions
    yield "usage_active", "Percent", _percent(total - idle, total), dimensions
