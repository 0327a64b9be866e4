"""The real tools: which nodes of the balancer are asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from checkop.errors import CheckopError
from checkop.rollout import checks, kit
from checkop.rollout.settings import Settings

ZONES = ("us-east-1a", "us-east-1d")
DNS = "progresus.elb.amazonaws.com"


class Cloud:
    """A balancer whose nodes have the addresses of `nodes`; None: the read of them fails."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] | None = dict.fromkeys(ZONES, "")
        self.region = "us-east-1"
        self.elbv2 = self.ec2 = self
        self.ssm = None
        self.sts = SimpleNamespace(get_caller_identity=lambda: {"Arn": "arn"})

    def describe_load_balancers(self, **_: Any) -> Any:
        zones = [{"ZoneName": zone} for zone in ZONES]
        arn = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/Progresus-ELB/1"
        return {"LoadBalancers": [{"AvailabilityZones": zones, "DNSName": DNS, "LoadBalancerArn": arn}]}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_network_interfaces"
        return self

    def paginate(self, **_: Any) -> Any:
        if self.nodes is None:
            raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "slow"}}, "Simulated")
        interfaces = [
            {"AvailabilityZone": zone, "Association": {"PublicIp": address}} for zone, address in self.nodes.items()
        ]
        return [{"NetworkInterfaces": interfaces}]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def asked(cloud, monkeypatch):
    """Ask a round, and return zone to the address that was asked."""
    monkeypatch.setattr(checks, "ask", lambda _host, nodes, *_args, **_options: dict(nodes))
    settings = Settings("AUTOChOp", "Progresus-ELB", "AUTOChOp", "/checkop/test")
    return kit.tools(cloud, settings, print).ask


def test_each_round_asks_the_addresses_of_its_time(cloud, asked):
    cloud.nodes = {"us-east-1a": "192.0.2.1", "us-east-1d": "192.0.2.2"}
    assert asked() == cloud.nodes
    cloud.nodes = {"us-east-1a": "192.0.2.1", "us-east-1d": "192.0.2.3"}
    assert asked() == cloud.nodes


def test_zone_that_shows_no_node_and_a_read_that_fails_leave_the_addresses_before(cloud, asked):
    cloud.nodes = {"us-east-1a": "192.0.2.1", "us-east-1d": "192.0.2.2"}
    asked()
    cloud.nodes = {"us-east-1a": "192.0.2.4"}
    assert asked() == {"us-east-1a": "192.0.2.4", "us-east-1d": "192.0.2.2"}
    cloud.nodes = None
    assert asked() == {"us-east-1a": "192.0.2.4", "us-east-1d": "192.0.2.2"}


def test_first_round_needs_a_node_of_every_zone(cloud, asked):
    cloud.nodes = {"us-east-1a": "192.0.2.1"}
    with pytest.raises(CheckopError, match="no public node in us-east-1d"):
        asked()
    cloud.nodes = None
    with pytest.raises(ClientError, match="slow"):
        asked()
