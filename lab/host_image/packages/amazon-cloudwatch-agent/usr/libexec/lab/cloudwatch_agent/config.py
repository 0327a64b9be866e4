"""The agent's JSON configuration: what the vendor's schema allows, and merging of several files.

Follows "Manually create or edit the CloudWatch agent configuration file" of the CloudWatch user guide.
"""

import json
import re

RETENTION_DAYS = (
    -1,
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
PLACEHOLDER = re.compile(r"\$\{aws:([A-Za-z]+)\}")

COLLECTED = {
    "mem": (
        "active",
        "available",
        "available_percent",
        "buffered",
        "cached",
        "free",
        "inactive",
        "total",
        "used",
        "used_percent",
    ),
    "swap": ("free", "used", "used_percent"),
    "disk": ("free", "inodes_free", "inodes_total", "inodes_used", "total", "used", "used_percent"),
    "net": ("bytes_recv", "bytes_sent", "drop_in", "drop_out", "err_in", "err_out", "packets_recv", "packets_sent"),
    "processes": (
        "blocked",
        "dead",
        "idle",
        "paging",
        "running",
        "sleeping",
        "stopped",
        "total",
        "total_threads",
        "wait",
        "zombies",
    ),
    "cpu": ("time_active", "time_idle", "usage_active", "usage_idle", "usage_iowait", "usage_system", "usage_user"),
}

_TEXT, _NUMBER, _FLAG, _LIST, _MAP = str, int, bool, list, dict
_AGENT = {
    "metrics_collection_interval": _NUMBER, "region": _TEXT, "credentials": _MAP, "debug": _FLAG, "logfile": _TEXT,
    "run_as_user": _TEXT, "omit_hostname": _FLAG, "aws_sdk_log_level": _TEXT, "quiet": _FLAG,
}  # fmt: skip
_METRICS = {
    "namespace": _TEXT, "metrics_collected": _MAP, "append_dimensions": _MAP, "aggregation_dimensions": _LIST,
    "endpoint_override": _TEXT, "force_flush_interval": _NUMBER, "credentials": _MAP,
}  # fmt: skip
_SECTION = {
    "measurement": _LIST, "metrics_collection_interval": _NUMBER, "append_dimensions": _MAP, "resources": _LIST,
    "ignore_file_system_types": _LIST, "drop_device": _FLAG, "totalcpu": _FLAG,
}  # fmt: skip
_LOGS = {
    "logs_collected": _MAP, "log_stream_name": _TEXT, "endpoint_override": _TEXT, "force_flush_interval": _NUMBER,
    "credentials": _MAP, "metrics_collected": _MAP,
}  # fmt: skip
_FILE = {
    "file_path": _TEXT, "log_group_name": _TEXT, "log_stream_name": _TEXT, "timestamp_format": _TEXT, "timezone": _TEXT,
    "multi_line_start_pattern": _TEXT, "encoding": _TEXT, "retention_in_days": _NUMBER, "auto_removal": _FLAG,
    "filters": _LIST, "log_group_class": _TEXT, "publish_multi_logs": _FLAG,
}  # fmt: skip


class InvalidConfigError(Exception):
    """The configuration is not one that the agent takes; its text holds one problem a line."""


def load(path):
    """Return one file's configuration.

    Raises:
        InvalidConfigError: it is no JSON, or has problems.
    """
    with open(path, encoding="utf-8") as handle:
        try:
            config = json.load(handle)
        except ValueError as error:
            raise InvalidConfigError("Fail to parse %s, Error : %s" % (path, error)) from error
    problems = list(_problems(config))
    if problems:
        raise InvalidConfigError("\n".join(problems))
    return config


def merge(configs):
    """Return the configurations as one: maps are joined, lists are appended, equal values are one value.

    Raises:
        InvalidConfigError: two files say different things of the same setting.
    """
    merged = {}
    for config in configs:
        _merge(merged, config, "")
    return merged


def _merge(into, other, path):
    for key, value in other.items():
        here = "%s/%s" % (path, key)
        if key not in into:
            into[key] = value
        elif isinstance(value, dict) and isinstance(into[key], dict):
            _merge(into[key], value, here)
        elif isinstance(value, list) and isinstance(into[key], list):
            into[key] = into[key] + [one for one in value if one not in into[key]]
        elif into[key] != value:
            raise InvalidConfigError("Under path : %s/ | Error : Different values are specified for %s" % (path, key))


def _problems(config):
    if not isinstance(config, dict):
        yield "Under path : / | Error : Invalid type. Expected: object"
        return
    yield from _section(config, {"agent": _MAP, "metrics": _MAP, "logs": _MAP, "traces": _MAP, "csm": _MAP}, "")
    yield from _section(config.get("agent", {}), _AGENT, "/agent")
    metrics = config.get("metrics", {})
    yield from _section(metrics, _METRICS, "/metrics")
    for name, section in sorted(_map(metrics, "metrics_collected").items()):
        yield from _collected(name, section, "/metrics/metrics_collected/%s" % name)
    logs = config.get("logs", {})
    yield from _section(logs, _LOGS, "/logs")
    for index, one in enumerate(_list(_map(_map(logs, "logs_collected"), "files"), "collect_list")):
        path = "/logs/logs_collected/files/collect_list/%d" % index
        yield from _section(one, _FILE, path)
        if "file_path" not in one:
            yield "Under path : %s | Error : file_path is required" % path
        if one.get("retention_in_days", -1) not in RETENTION_DAYS:
            yield "Under path : %s/retention_in_days | Error : %s is not a valid retention" % (
                path,
                one["retention_in_days"],
            )
    if not config.get("metrics") and not config.get("logs"):
        yield "Under path : / | Error : neither metrics nor logs are configured"


def _collected(name, section, path):
    if name not in COLLECTED:
        yield "Under path : %s | Error : Additional property %s is not allowed" % (path.rsplit("/", 1)[0], name)
        return
    yield from _section(section, _SECTION, path)
    for measurement in _list(section, "measurement"):
        asked = measurement.get("name") if isinstance(measurement, dict) else measurement
        if short_name(name, asked) not in COLLECTED[name]:
            yield "Under path : %s/measurement | Error : measurement %s is not allowed" % (path, asked)


def short_name(section, measurement):
    """Return a measurement without its section's prefix: both `mem_used_percent` and `used_percent` are taken."""
    prefix = section + "_"
    return measurement[len(prefix) :] if str(measurement).startswith(prefix) else measurement


def _section(value, allowed, path):
    if not isinstance(value, dict):
        yield "Under path : %s | Error : Invalid type. Expected: object" % (path or "/")
        return
    for key, one in sorted(value.items()):
        if key not in allowed:
            yield "Under path : %s | Error : Additional property %s is not allowed" % (path or "/", key)
        elif not isinstance(one, allowed[key]) or (allowed[key] is int and isinstance(one, bool)):
            yield "Under path : %s/%s | Error : Invalid type. Expected: %s" % (path, key, allowed[key].__name__)


def _map(value, key):
    found = value.get(key, {}) if isinstance(value, dict) else {}
    return found if isinstance(found, dict) else {}


def _list(value, key):
    found = value.get(key, []) if isinstance(value, dict) else []
    return found if isinstance(found, list) else []
