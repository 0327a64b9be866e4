"""The key pair of the operators (EC2 ImportKeyPair)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from checkop.reconcile import missing_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import KeyPairInfoTypeDef

    from checkop.reconcile import Plan


def key_material(public_key: str) -> str:
    """Give type and key of an OpenSSH public key, without its comment, which EC2 may change."""
    return " ".join(public_key.split()[:2])


def ensure_key_pair(ec2: EC2Client, plan: Plan, name: str, public_key: str, tags: Mapping[str, str]) -> None:
    """Make the key pair hold the given public key; instances that run keep the key they were started with."""
    wanted = key_material(public_key)
    found = _find(ec2, name)
    if found is None:
        plan.create(f"Key pair {name}", {"public key": wanted}, lambda: _import(ec2, name, public_key, tags))
        return
    current = key_material(found.get("PublicKey", ""))
    plan.update(
        f"Key pair {name}",
        {"public key": current},
        {"public key": wanted},
        lambda: _replace(ec2, name, public_key, tags),
    )
    lacking = missing_tags(tag_map(found.get("Tags")), {**tags, "Name": name})
    if current == wanted:
        plan.update(
            f"Key pair {name} tags",
            {},
            lacking,
            lambda: ec2.create_tags(Resources=[found["KeyPairId"]], Tags=tag_list(lacking)),
        )


def _find(ec2: EC2Client, name: str) -> KeyPairInfoTypeDef | None:
    found = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}], IncludePublicKey=True)["KeyPairs"]
    return found[0] if found else None


def _import(ec2: EC2Client, name: str, public_key: str, tags: Mapping[str, str]) -> str:
    return ec2.import_key_pair(
        KeyName=name,
        PublicKeyMaterial=public_key.encode(),
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": tag_list(tags, Name=name)}],
    )["KeyPairId"]


def _replace(ec2: EC2Client, name: str, public_key: str, tags: Mapping[str, str]) -> str:
    # A name can be taken only once, so there is a moment without the key; only a launch in it would fail.
    ec2.delete_key_pair(KeyName=name)
    return _import(ec2, name, public_key, tags)
