"""The database's master user and password, in Secrets Manager and nowhere else."""

from __future__ import annotations

import json
import secrets
import string
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.reconcile import present_tags, tag_list, tag_map
from checkop.resources.kinds import rds
from checkop.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_rds import RDSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from checkop.aws import Clients
    from checkop.reconcile import Plan

# RDS for MySQL takes 41 characters at most and neither / nor @ nor quotes; letters and digits also need no quoting in
# environment files. 40 of 62 are 238 bits.
PASSWORD_LENGTH = 40
ALPHABET = string.ascii_letters + string.digits


def generate_password() -> str:
    """Generate a master password that RDS for MySQL accepts."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))


def converge(
    clients: Clients,
    plan: Plan,
    name: str,
    *,
    username: str,
    database: str,
    wait_seconds: float,
    tags: Mapping[str, str],
) -> str:
    """Make the secret hold ``{"username": ..., "password": ...}``; an existing password is kept.

    A database that exists gets a new password before the secret does, so that a run that ends in between leaves no
    secret that looks right and is not.

    Parameters
    ----------
    clients, plan:
        Clients of the region; the plan records and applies.
    name:
        Name of the secret.
    username:
        Master user of the database.
    database:
        Identifier of the RDS instance, which need not exist yet.
    wait_seconds:
        Bound of the wait until RDS takes a new password.
    tags:
        Tags of ownership.

    Returns
    -------
    str
        ARN of the secret; empty where a check found none.
    """
    client = clients.secretsmanager
    resource = f"Secrets Manager secret {name}"
    generated = {"username": username, "password": "(generated)"}
    found = _find(client, name)
    if found is None:

        def create() -> str:
            document = _new_document(clients.rds, username, database, wait_seconds)
            return client.create_secret(
                Name=name,
                Description="Master user of the CheckOP database",
                SecretString=document,
                Tags=tag_list(tags),
            )["ARN"]

        return plan.step(resource, None, {**generated, "tags": dict(tags)}, create) or ""
    arn, current_tags, deleted = found
    ownership.require(plan, resource, current_tags, tags)
    if deleted:
        plan.step(
            resource, {"deletion": "scheduled"}, {"deletion": "none"}, lambda: client.restore_secret(SecretId=arn)
        )
    if not (deleted and plan.check):
        current_username, password = _value(client, arn)
        if not password:
            plan.step(
                resource,
                {"username": current_username},
                generated,
                lambda: client.put_secret_value(
                    SecretId=arn, SecretString=_new_document(clients.rds, username, database, wait_seconds)
                ),
            )
        else:
            plan.step(
                resource,
                {"username": current_username},
                {"username": username},
                lambda: client.put_secret_value(SecretId=arn, SecretString=_document(username, password)),
            )
    plan.step(
        f"{resource}: tags",
        present_tags(current_tags, tags),
        dict(tags),
        lambda: client.tag_resource(SecretId=arn, Tags=tag_list(tags)),
    )
    return arn


def _new_document(client: RDSClient, username: str, database: str, wait_seconds: float) -> str:
    """Generate a password, give it to the database if there is one, and return the secret's text."""
    password = generate_password()
    find = rds.KINDS["rds.db_instance"].find
    if find(client, database, {}) is not None:
        wait_until(
            f"RDS instance {database} to take a new password",
            lambda: rds.ready(find(client, database, {}) or {}),
            timeout_seconds=wait_seconds,
            interval_seconds=15,
        )
        # Without ApplyImmediately, which would also apply what waits for the maintenance window.
        client.modify_db_instance(DBInstanceIdentifier=database, MasterUserPassword=password)
    return _document(username, password)


def _find(client: SecretsManagerClient, name: str) -> tuple[str, dict[str, str], bool] | None:
    try:
        answer = client.describe_secret(SecretId=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return answer["ARN"], tag_map(answer.get("Tags")), "DeletedDate" in answer


def _value(client: SecretsManagerClient, arn: str) -> tuple[str, str]:
    """Return username and password; empty text for what is not there or cannot be read as JSON."""
    try:
        text = client.get_secret_value(SecretId=arn).get("SecretString", "")
        value = json.loads(text or "{}")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        value = {}
    except json.JSONDecodeError:
        value = {}
    return (str(value.get("username", "")), str(value.get("password", ""))) if isinstance(value, dict) else ("", "")


def _document(username: str, password: str) -> str:
    return json.dumps({"username": username, "password": password})
