"""What the API wants to be true, as plain data for the runtime's reconciler.

A view is a snapshot: ask `Cloud` again for the next one. Names and words are those of the AWS API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class Instance:
    """An EC2 instance that is wanted, or was and is not yet gone."""

    instance_id: str
    # What the runtime shall make true; `state` is what DescribeInstances says meanwhile.
    wanted: Literal["running", "stopped", "terminated"]
    state: str
    image_id: str
    instance_type: str
    zone: str
    subnet_id: str
    private_ip: str
    private_dns_name: str
    public_ip: str | None
    # Elastic IP addresses associated with it; the first one, if any, is also `public_ip`.
    elastic_ips: tuple[str, ...]
    # Decoded user data, as the metadata service answers it.
    user_data: bytes
    # OpenSSH public key of its key pair, or None.
    public_key: str | None
    key_name: str | None
    instance_profile_arn: str | None
    # IMDS: HttpTokens, HttpEndpoint, HttpPutResponseHopLimit, InstanceMetadataTags as DescribeInstances gives them.
    metadata_options: Mapping[str, Any]
    tags: Mapping[str, str]
    launch_time: datetime
    root_volume_gb: int
    # Name of its Auto Scaling group and its lifecycle state there, or None.
    group: str | None = None
    lifecycle_state: str | None = None
    # `autoscaling/target-lifecycle-state` of the metadata service (`InService`, `Terminated`, ...).
    target_lifecycle_state: str | None = None


@dataclass(frozen=True)
class Image:
    """An AMI whose content the runtime holds or has to make."""

    image_id: str
    name: str
    state: str
    # Commit this instance (`CreateImage`), or copy that image (`CopyImage`); both None: an upstream image.
    source_instance_id: str | None
    source_image_id: str | None
    # False: the instance is to be paused or restarted for a consistent image, as CreateImage does by default.
    no_reboot: bool
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """A target of a target group."""

    target_id: str
    port: int
    # None while registered; else the clock's time (seconds) at which draining ends at the latest.
    draining_until: float | None
    # The clock's time (seconds) of its registration, for slow start.
    registered_at: float


@dataclass(frozen=True)
class TargetGroup:
    """A target group with its health check."""

    arn: str
    name: str
    protocol: str
    port: int
    health_check_protocol: str
    # `traffic-port` or a number, as text.
    health_check_port: str
    health_check_path: str
    health_check_interval_seconds: int
    health_check_timeout_seconds: int
    healthy_threshold_count: int
    unhealthy_threshold_count: int
    # For example `200` or `200-299,301`.
    matcher: str
    # All attributes by AWS's keys, for example `deregistration_delay.timeout_seconds`, `slow_start.duration_seconds`.
    attributes: Mapping[str, str]
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Rule:
    """A listener rule; `priority` is a number as text, or `default` (always the last)."""

    arn: str
    priority: str
    conditions: tuple[Mapping[str, Any], ...]
    actions: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Listener:
    """A listener of a load balancer with its rules in the order of evaluation."""

    arn: str
    port: int
    protocol: str
    ssl_policy: str | None
    # The default certificate first.
    certificate_arns: tuple[str, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class LoadBalancer:
    """An application load balancer."""

    arn: str
    name: str
    dns_name: str
    state: str
    # Enabled zones, sorted by name.
    zones: tuple[str, ...]
    attributes: Mapping[str, str]
    listeners: tuple[Listener, ...]


@dataclass(frozen=True)
class Certificate:
    """A certificate of ACM with its private key, PEM."""

    arn: str
    domain: str
    certificate: str
    private_key: str
    chain: str


@dataclass(frozen=True)
class MountTarget:
    """A mount target of a file system."""

    mount_target_id: str
    subnet_id: str
    zone: str
    ip_address: str
    security_groups: tuple[str, ...]


@dataclass(frozen=True)
class AccessPoint:
    """An access point; identity and creation info are None where not given."""

    access_point_id: str
    path: str
    uid: int | None
    gid: int | None
    creation_uid: int | None
    creation_gid: int | None
    # Octal digits, for example `0750`.
    creation_permissions: str | None


@dataclass(frozen=True)
class FileSystem:
    """An EFS file system."""

    file_system_id: str
    name: str
    mount_targets: tuple[MountTarget, ...]
    access_points: tuple[AccessPoint, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Database:
    """An RDS DB instance; one that is deleted is no longer listed."""

    identifier: str
    engine: str
    engine_version: str
    status: str
    # The port that was asked for; the one it has is `Hooks.database_endpoint`.
    port: int
    zone: str
    schema: str | None
    username: str
    password: str = field(repr=False)
    allocated_storage_gb: int
    max_allocated_storage_gb: int | None
    # Parameters of its parameter group that were set by the user, name: value.
    parameters: Mapping[str, str]
