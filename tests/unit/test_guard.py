"""The guard against the wrong account: nothing is sent unless the endpoint is the inventory's."""

from __future__ import annotations

import pytest

from checkop.aws import guard
from checkop.errors import CheckopError

ACCOUNT = "123456789012"


class Caller:
    """Stands at the network's edge: answers as STS would, and counts the calls."""

    def __init__(self, account=ACCOUNT):
        self.account, self.calls = account, 0
        self.sts = self

    def get_caller_identity(self):
        self.calls += 1
        return {"Account": self.account, "Arn": f"arn:aws:iam::{self.account}:user/operator"}


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:5000"])
def test_the_right_account_at_the_right_endpoint_passes(endpoint):
    environment = {"AWS_ENDPOINT_URL": f"{endpoint}/"} if endpoint else {}
    assert guard(Caller(), ACCOUNT, endpoint, environment) == f"arn:aws:iam::{ACCOUNT}:user/operator"


@pytest.mark.parametrize(
    ("inventory", "environment"),
    [
        ("", {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"}),
        ("http://127.0.0.1:5000", {}),
        ("http://127.0.0.1:5000", {"AWS_ENDPOINT_URL": "http://127.0.0.1:5001"}),
        ("", {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:5000"}),
        ("http://127.0.0.1:5000", {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000", "AWS_ENDPOINT_URL_S3": "http://x"}),
    ],
)
def test_another_endpoint_is_refused_before_anything_is_sent(inventory, environment):
    caller = Caller()
    with pytest.raises(CheckopError) as refused:
        guard(caller, ACCOUNT, inventory, environment)
    assert caller.calls == 0
    assert (inventory or "empty (AWS itself)") in str(refused.value)
    assert all(name in str(refused.value) for name in environment)


def test_another_account_is_refused_with_both_values():
    with pytest.raises(CheckopError, match=f"999999999999.*{ACCOUNT}"):
        guard(Caller("999999999999"), ACCOUNT, "", {})


@pytest.mark.parametrize("account", ["", "12345678901", "12345678901x"])
def test_an_inventory_without_an_account_is_refused(account):
    caller = Caller()
    with pytest.raises(CheckopError, match="twelve digits"):
        guard(caller, account, "", {})
    assert caller.calls == 0
