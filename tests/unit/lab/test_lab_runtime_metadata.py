"""The metadata service: what it answers, to whom, and only with a token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import requests

from lab import metadata
from lab.api.views import Instance

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"


def tree(view: Instance) -> dict[str, object]:
    return metadata.tree(view, account="123456789012", region="us-east-1", credentials=("key", "secret"))


@pytest.fixture
def service(instance: Callable[..., Instance]) -> Iterator[tuple[metadata.MetadataService, dict[str, Instance]]]:
    views = {"i-1": instance("i-1"), "i-2": instance("i-2", zone="us-east-1d")}
    one = metadata.MetadataService(lambda name: tree(views[name]) if name in views else None)
    yield one, views
    one.stop()


def token(address: str, seconds: str = "60") -> str:
    answer = requests.put(f"{address}/latest/api/token", headers={TTL: seconds}, timeout=5)
    assert answer.status_code == 200
    assert answer.headers[TTL] == seconds
    return answer.text


def test_instances_differ_by_port(service: tuple[metadata.MetadataService, dict[str, Instance]]) -> None:
    one, _ = service
    zones = []
    for name in ("i-1", "i-2"):
        address = f"http://127.0.0.1:{one.listen(name)}"
        assert one.listen(name) == one.listen(name)
        path = f"{address}/latest/meta-data/placement/availability-zone"
        zones.append(requests.get(path, headers={TOKEN: token(address)}, timeout=5).text)
    assert zones == ["us-east-1a", "us-east-1d"]


def test_nothing_without_a_token_of_this_instance(
    service: tuple[metadata.MetadataService, dict[str, Instance]],
) -> None:
    one, _ = service
    mine, other = (f"http://127.0.0.1:{one.listen(name)}" for name in ("i-1", "i-2"))
    path = "/latest/meta-data/instance-id"
    assert requests.get(mine + path, timeout=5).status_code == 401
    assert requests.get(mine + path, headers={TOKEN: token(other)}, timeout=5).status_code == 401
    assert requests.get(mine + path, headers={TOKEN: token(mine)}, timeout=5).text == "i-1"


@pytest.mark.parametrize("seconds", ["", "0", "21601", "x"])
def test_token_needs_a_lifetime(service: tuple[metadata.MetadataService, dict[str, Instance]], seconds: str) -> None:
    address = f"http://127.0.0.1:{service[0].listen('i-1')}"
    headers = {TTL: seconds} if seconds else {}
    assert requests.put(f"{address}/latest/api/token", headers=headers, timeout=5).status_code == 400
    assert requests.put(f"{address}/latest/other", headers={TTL: "60"}, timeout=5).status_code == 404


def test_cut_off_instance_learns_nothing(
    service: tuple[metadata.MetadataService, dict[str, Instance]],
) -> None:
    one, views = service
    address = f"http://127.0.0.1:{one.listen('i-1')}"
    good = token(address)
    del views["i-1"]
    assert requests.get(f"{address}/latest/meta-data/", headers={TOKEN: good}, timeout=5).status_code == 404
    one.close("i-1")
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=5)


def test_lifecycle_state_and_public_address_follow_the_view(
    service: tuple[metadata.MetadataService, dict[str, Instance]],
) -> None:
    one, views = service
    assert one.answer("i-1", "/latest/meta-data/autoscaling/target-lifecycle-state") is None
    views["i-1"] = replace(views["i-1"], target_lifecycle_state="Terminated", public_ip=None)
    assert one.answer("i-1", "/latest/meta-data/autoscaling/target-lifecycle-state") == "Terminated"
    assert one.answer("i-1", "/latest/meta-data/public-ipv4") is None
    assert one.answer("i-1", "/1.0/meta-data/instance-id") is None


def test_listings_credentials_document_and_tags(instance: Callable[..., Instance]) -> None:
    view = instance(
        "i-1",
        instance_profile_arn="arn:aws:iam::123456789012:instance-profile/checkop-app",
        metadata_options={"InstanceMetadataTags": "enabled"},
        user_data=b"#!/bin/sh\n\xff",
    )
    latest = tree(view)
    listing = str(metadata.lookup(latest, "meta-data/")).split()
    assert "instance-id" in listing
    assert "placement/" in listing
    assert metadata.lookup(latest, "meta-data/iam/security-credentials/") == "checkop-app"
    found = json.loads(str(metadata.lookup(latest, "meta-data/iam/security-credentials/checkop-app")))
    assert (found["Code"], found["AccessKeyId"]) == ("Success", "key")
    document = json.loads(str(metadata.lookup(latest, "dynamic/instance-identity/document")))
    assert document["instanceId"] == "i-1"
    assert document["accountId"] == "123456789012"
    assert metadata.lookup(latest, "meta-data/tags/instance/Name") == "AUTOChOp"
    assert metadata.lookup(tree(instance("i-2")), "meta-data/tags") is None
    assert metadata.lookup(latest, "meta-data/instance-id/deeper") is None
    assert str(metadata.lookup(latest, "user-data")).encode("utf-8", "surrogateescape") == b"#!/bin/sh\n\xff"
