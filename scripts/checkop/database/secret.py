"""The master user's name and password, in Secrets Manager and nowhere else."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from checkop import ownership
from checkop.reconcile import present_tags, tag_list, tag_map

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from checkop.reconcile import Plan

# RDS for MySQL takes 41 characters at most and neither / nor @ nor quotes; letters and digits also need no quoting in
# environment files. 40 of 62 are 238 bits.
PASSWORD_LENGTH = 40
ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Secret:
    """A secret as found.

    Parameters
    ----------
    arn:
        ARN of the secret; empty where there is none.
    password:
        The password; empty where there is none that can be used. Never shown: it is left out of ``repr``.
    """

    arn: str
    password: str

    def __repr__(self) -> str:
        """Show the ARN only."""
        return f"Secret(arn={self.arn!r})"


def generate_password() -> str:
    """Generate a master password that RDS for MySQL accepts."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_LENGTH))


def reconcile(
    client: SecretsManagerClient,
    plan: Plan,
    name: str,
    *,
    username: str,
    tags: Mapping[str, str],
    set_password: Callable[[str], None] | None,
) -> Secret:
    """Make the secret hold ``{"username": ..., "password": ...}``; an existing password is kept.

    Parameters
    ----------
    client:
        The Secrets Manager client.
    plan:
        Records and applies.
    name:
        Name of the secret.
    username:
        Master user of the database.
    tags:
        Tags of ownership.
    set_password:
        Gives an existing database a new password; None where the database does not exist yet. It is called before the
        secret is written, so that a run that ends in between leaves no secret that looks right and is not.

    Returns
    -------
    Secret
        What the secret is now.
    """
    resource = f"Secrets Manager secret {name}"
    found = _find(client, name)
    if found is None:
        password = generate_password()

        def create() -> str:
            if set_password:
                set_password(password)
            return client.create_secret(
                Name=name,
                Description="Master user of the CheckOP database",
                SecretString=_document(username, password),
                Tags=tag_list(tags),
            )["ARN"]

        created = plan.step(
            resource, None, {"username": username, "password": "(generated)", "tags": dict(tags)}, create
        )
        return Secret(created or "", password if created else "")
    arn, current_tags, deleted = found
    ownership.require(plan, resource, current_tags, tags)
    if deleted:
        plan.step(
            resource, {"deletion": "scheduled"}, {"deletion": "none"}, lambda: client.restore_secret(SecretId=arn)
        )
    current_username, password = _value(client, arn) if not (deleted and plan.check) else (username, "")
    if not deleted and (current_username != username or not password):
        password = password or generate_password()

        def put() -> None:
            if set_password:
                set_password(password)
            client.put_secret_value(SecretId=arn, SecretString=_document(username, password))

        plan.step(
            resource,
            {"username": current_username},
            {"username": username, "password": "(generated)"},
            put,
        )
    plan.step(
        f"{resource}: tags",
        present_tags(current_tags, tags),
        dict(tags),
        lambda: client.tag_resource(SecretId=arn, Tags=tag_list(tags)),
    )
    return Secret(arn, password)


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
