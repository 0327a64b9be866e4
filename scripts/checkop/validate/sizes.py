"""Values that have to fit together: fleet, storage, health checks, rollouts, images."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from checkop.validate.finding import Finding
from checkop.validate.network import repeated

if TYPE_CHECKING:
    from collections.abc import Mapping

# CreateDBInstance: the ceiling of storage autoscaling lies at least this much above the allocation.
CEILING_PERCENT = 110
# Minutes, of windows of RDS.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
WEEK = 7 * DAY
LEAST_WINDOW = 30
# The CentOS project's account (CentOS wiki, "Cloud/AWS"), and words of EC2 DescribeImages.
SOURCE_OWNERS = ("125523088429", "self", "amazon", "aws-marketplace")
# From small to large.
WORDS = ("min", "desired", "max")


def check_sizes(data: Mapping[str, Any]) -> list[Finding]:
    """Check what two or more values say together."""
    return [*_fleet(data), *_database(data), *_balancer(data), *_rollout(data), *_images(data), *_names(data)]


def _fleet(data: Mapping[str, Any]) -> list[Finding]:
    findings = _span({word: (f"fleet_{word}_size", int(data[f"fleet_{word}_size"])) for word in WORDS})
    limit = int(data["fleet_max_size"])
    for action in data["fleet_scheduled_actions"]:
        where = f"fleet_scheduled_actions: {action['name']}"
        findings += _span({word: (f"{where} {word}_size", int(action[f"{word}_size"])) for word in WORDS})
        if int(action["max_size"]) > limit:
            findings.append(
                Finding(
                    f"{where} max_size",
                    str(action["max_size"]),
                    f"at most fleet_max_size {limit}, the number of Elastic IP addresses in the pool",
                    "Lower it, or raise fleet_max_size",
                )
            )
    return findings + repeated(
        "fleet_scheduled_actions", [action["name"] for action in data["fleet_scheduled_actions"]]
    )


def _span(sizes: Mapping[str, tuple[str, int]]) -> list[Finding]:
    findings = []
    for small, large in itertools.pairwise(WORDS):
        (below, low), (variable, high) = sizes[small], sizes[large]
        if low > high:
            mend = f"Raise {variable.split(' ')[-1]}, or lower {below.split(' ')[-1]}"
            findings.append(Finding(variable, str(high), f"at least {below.split(' ')[-1]} {low}", mend))
    return findings


def _database(data: Mapping[str, Any]) -> list[Finding]:
    allocated, ceiling = int(data["database_allocated_storage_gb"]), int(data["database_max_allocated_storage_gb"])
    least = -(-allocated * CEILING_PERCENT // 100)
    findings = _windows(data)
    if ceiling >= least:
        return findings
    return [
        *findings,
        Finding(
            "database_max_allocated_storage_gb",
            f"{ceiling} GB",
            f"at least {least} GB, a tenth above database_allocated_storage_gb {allocated}",
            "Raise the ceiling; storage that has grown is never shrunk",
        ),
    ]


def _windows(data: Mapping[str, Any]) -> list[Finding]:
    """Check the windows of RDS: half an hour at least, and apart (CreateDBInstance)."""
    findings = []
    spans = {}
    for name, week in (("database_backup_window", False), ("database_maintenance_window", True)):
        # ddd:hh:mm-ddd:hh:mm, or hh:mm-hh:mm for every day.
        start, end = (_minutes(part) for part in _halves(str(data[name]).lower()))
        length = (end - start) % (WEEK if week else DAY)
        spans[name] = (start % DAY, length)
        if length < LEAST_WINDOW:
            findings.append(
                Finding(name, f"{data[name]}, which is {length} minutes", "30 minutes or more", "Widen the window")
            )
    (backup, backup_length), (maintenance, maintenance_length) = spans.values()
    if (maintenance - backup) % DAY < backup_length or (backup - maintenance) % DAY < maintenance_length:
        findings.append(
            Finding(
                "database_maintenance_window",
                f"{data['database_maintenance_window']}, which overlaps database_backup_window",
                f"a window apart from {data['database_backup_window']}",
                "Move one of the two",
            )
        )
    return findings


def _halves(window: str) -> tuple[str, str]:
    start, _, end = window.partition("-")
    return start, end


def _minutes(moment: str) -> int:
    *day, hours, minutes = moment.split(":")
    return (DAYS.index(day[0]) * DAY if day else 0) + int(hours) * 60 + int(minutes)


def _balancer(data: Mapping[str, Any]) -> list[Finding]:
    findings = []
    interval, timeout = int(data["balancer_health_interval_seconds"]), int(data["balancer_health_timeout_seconds"])
    # ModifyTargetGroup refuses anything else.
    if timeout >= interval:
        findings.append(
            Finding(
                "balancer_health_timeout_seconds",
                f"{timeout} s",
                f"less than balancer_health_interval_seconds {interval}",
                "Shorten the timeout, or lengthen the interval",
            )
        )
    if bool(data["balancer_certificate_file"]) != bool(data["balancer_certificate_key_file"]):
        findings.append(
            Finding(
                "balancer_certificate_file",
                "one of certificate and key",
                "both files, or neither",
                "Name the file that is missing, or empty both to have ACM issue one",
            )
        )
    zones = data["fleet_zones"]
    return findings + repeated("fleet_zones", zones)


def _rollout(data: Mapping[str, Any]) -> list[Finding]:
    findings = []
    warmup, limit = int(data["fleet_warmup_seconds"]), int(data["rollout_step_timeout_seconds"])
    # A refresh does not come forward before the warm-up of what it has launched is over.
    if warmup >= limit:
        findings.append(
            Finding(
                "fleet_warmup_seconds",
                f"{warmup} s",
                f"less than rollout_step_timeout_seconds {limit}",
                "Shorten the warm-up, or raise the timeout; every rollout would be taken back",
            )
        )
    for prefix in ("rollout", "fleet_maintenance"):
        low, high = int(data[f"{prefix}_min_healthy_percent"]), int(data[f"{prefix}_max_healthy_percent"])
        if high <= low or high - low > 100:  # noqa: PLR2004 - StartInstanceRefresh: the difference is at most 100
            findings.append(
                Finding(
                    f"{prefix}_max_healthy_percent",
                    str(high),
                    f"more than {prefix}_min_healthy_percent {low} by at most 100",
                    "Move one of the two",
                )
            )
    for variable in ("rollout_checkpoints", "rollout_weights"):
        steps = [int(step) for step in data[variable]]
        if steps != sorted(set(steps)) or steps[-1] != 100:  # noqa: PLR2004 - per cent
            findings.append(
                Finding(variable, str(steps), "rising percentages of which the last is 100", "Put them in order")
            )
    return findings


def _images(data: Mapping[str, Any]) -> list[Finding]:
    accounts, regions = data["image_share_accounts"], data["image_copy_regions"]
    findings = []
    owners = (*SOURCE_OWNERS, str(data["aws_account_id"]))
    if str(data["image_source_owner"]) not in owners and not data["image_source_id"]:
        findings.append(
            Finding(
                "image_source_owner",
                repr(data["image_source_owner"]),
                f"one of {', '.join(owners)}, since anybody can name an image like CentOS's",
                "Correct it, or pin the image by image_source_id",
            )
        )
    # ModifySnapshotAttribute: a snapshot under the account's key for EBS is never shared.
    if accounts and not data["image_kms_key_id"]:
        findings.append(
            Finding(
                "image_share_accounts",
                ", ".join(accounts),
                "nothing while image_kms_key_id is empty: under the account's own key for EBS no image can be shared",
                "Name a KMS key that those accounts may use in image_kms_key_id, or empty image_share_accounts",
            )
        )
    # CopyImage puts the copy under the other region's key for EBS.
    if accounts and regions:
        findings.append(
            Finding(
                "image_copy_regions",
                ", ".join(regions),
                "nothing while image_share_accounts is set: the copies are under keys that cannot be shared",
                "Empty one of the two; an account that may start the image can copy it to its own regions",
            )
        )
    if data["aws_region"] in regions:
        findings.append(
            Finding(
                "image_copy_regions",
                data["aws_region"],
                "other regions than aws_region, where the image is anyway",
                "Leave it out",
            )
        )
    return findings


def _names(data: Mapping[str, Any]) -> list[Finding]:
    findings = repeated("storage_folders", [folder["name"] for folder in data["storage_folders"]])
    findings += repeated("monitoring_log_groups", [group["name"] for group in data["monitoring_log_groups"]])
    tags = data["aws_tags"]
    environment = data["checkop_environment"]
    if tags.get("checkop:environment") != environment:
        findings.append(
            Finding(
                "aws_tags: checkop:environment",
                repr(tags.get("checkop:environment")),
                f"checkop_environment {environment!r}, which marks what this environment owns",
                "Write checkop:environment: '{{ checkop_environment }}'",
            )
        )
    return findings
