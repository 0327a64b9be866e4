"""Tests of checkop-host import it from its role, as /usr/bin/checkop-host does from /usr/lib/checkop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "host_tools" / "files"
sys.path.insert(0, str(PROGRAM))


class FakeClients:
    """Clients of moto in process, as `checkop_host.aws.Clients` hands them out."""

    region = "us-east-1"

    def __init__(self, wrap=lambda service, client: client):
        self._wrap = wrap

    def client(self, service):
        return self._wrap(service, boto3.client(service, region_name=self.region))


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClients]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield FakeClients()
