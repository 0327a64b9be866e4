"""Views of the rehearsal's API as tests of the runtime need them, and waiting on a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from lab.api.views import Instance, Listener, LoadBalancer, Rule, Target, TargetGroup


def _instance(instance_id: str = "i-0123", **changes: Any) -> Instance:
    facts: dict[str, Any] = {
        "instance_id": instance_id,
        "wanted": "running",
        "state": "running",
        "image_id": "ami-1",
        "instance_type": "t3.xlarge",
        "zone": "us-east-1a",
        "subnet_id": "subnet-1",
        "private_ip": "10.20.1.5",
        "private_dns_name": "ip-10-20-1-5.ec2.internal",
        "public_ip": "127.150.1.1",
        "elastic_ips": (),
        "user_data": b"",
        "public_key": "ssh-ed25519 AAAA operator",
        "key_name": "checkop",
        "instance_profile_arn": None,
        "metadata_options": {},
        "tags": {"Name": "AUTOChOp"},
        "launch_time": datetime(2026, 11, 22, tzinfo=timezone.utc),
        "root_volume_gb": 50,
    }
    return Instance(**{**facts, **changes})


def _group(name: str = "AUTOChOp", *, targets: tuple[Target, ...] = (), **changes: Any) -> TargetGroup:
    facts: dict[str, Any] = {
        "arn": f"arn:tg/{name}",
        "name": name,
        "protocol": "HTTP",
        "port": 80,
        "health_check_protocol": "HTTP",
        "health_check_port": "traffic-port",
        "health_check_path": "/health/ready",
        "health_check_interval_seconds": 5,
        "health_check_timeout_seconds": 2,
        "healthy_threshold_count": 2,
        "unhealthy_threshold_count": 2,
        "matcher": "200",
        "attributes": {},
        "targets": targets,
    }
    return TargetGroup(**{**facts, **changes})


def _balancer(*rules: Rule, port: int = 80, protocol: str = "HTTP", **changes: Any) -> LoadBalancer:
    facts: dict[str, Any] = {
        "arn": "arn:lb/Progresus-ELB",
        "name": "Progresus-ELB",
        "dns_name": "progresus.example",
        "state": "active",
        "zones": ("us-east-1a", "us-east-1d"),
        "attributes": {},
        "listeners": (Listener("arn:listener", port, protocol, None, (), rules),),
    }
    return LoadBalancer(**{**facts, **changes})


def _until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.01)


@pytest.fixture
def instance() -> Callable[..., Instance]:
    return _instance


@pytest.fixture
def group() -> Callable[..., TargetGroup]:
    return _group


@pytest.fixture
def balancer() -> Callable[..., LoadBalancer]:
    return _balancer


@pytest.fixture
def until() -> Callable[..., None]:
    return _until
