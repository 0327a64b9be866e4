"""IAM policy documents: compare them by meaning, not by spelling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping


def normalise(document: str | dict[str, Any] | None) -> dict[str, Any]:
    """Bring a policy document to one spelling, so that equal policies compare equal.

    AWS may answer a list of one as a scalar, a set in another order, and (IAM) URL-encoded text. The IAM JSON policy
    grammar holds all of these to be the same.

    Parameters
    ----------
    document:
        JSON text (IAM's URL-encoded one too), a parsed document, or None for no policy.

    Returns
    -------
    dict[str, Any]
        The document with singletons unwrapped and sets sorted; empty for no policy.
    """
    if not document:
        return {}
    if isinstance(document, str):
        document = json.loads(document if document.lstrip().startswith("{") else unquote(document))
    result = _unwrap(document)
    statements = result.get("Statement", []) if isinstance(result, dict) else []
    # A policy of one statement was unwrapped too: give it its list back, so that every document has the same shape.
    return {**result, "Statement": [statements] if isinstance(statements, dict) else statements}


def _unwrap(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_unwrap(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    # Booleans and numbers are text in policies: "true" and true mean the same condition.
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def trust_policy(service: str, conditions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Let one AWS service assume a role.

    Parameters
    ----------
    service:
        The service's principal, for example ``ec2.amazonaws.com``.
    conditions:
        An IAM condition block, for example against the confused deputy.
    """
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if conditions:
        statement["Condition"] = dict(conditions)
    return {"Version": "2012-10-17", "Statement": [statement]}
