"""Steps of a plan, waits, tags of ownership and policies: what every system is reconciled with."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from checkop import ownership
from checkop.errors import CheckopError
from checkop.policies import normalise
from checkop.reconcile import Plan, retry
from checkop.waiting import wait_until

TAGS = {"checkop:environment": "staging", "checkop:managed-by": "checkop-environment"}


class Calls:
    """Counts how often it was called."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> str:
        self.number += 1
        return "made"


@pytest.mark.parametrize(
    "act",
    [
        lambda plan, call: plan.create("route", "r", call),
        lambda plan, call: plan.update("route", 1, 2, call),
        lambda plan, call: plan.step("route", {}, {"a": 1}, call),
    ],
    ids=["create", "update", "step"],
)
@pytest.mark.parametrize(
    ("code", "calls"), [("InvalidRouteTableID.NotFound", 2), ("OperationAborted", 2), ("InvalidAMIID.NotFound", 1)]
)
def test_what_aws_does_not_know_yet_is_asked_again(
    act: Any, code: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(retry.__kwdefaults__, "sleep", lambda _: None)
    answers: list[Exception] = [ClientError({"Error": {"Code": code, "Message": ""}}, "CreateRoute")]
    asked = Calls()

    def call() -> str:
        asked()
        if answers:
            raise answers.pop()
        return "made"

    if calls == 1:
        with pytest.raises(ClientError, match=code):
            act(Plan(check=False), call)
    else:
        act(Plan(check=False), call)
    assert asked.number == calls


@pytest.mark.parametrize(
    ("before", "after", "recorded"),
    [
        (None, {"a": 1}, (None, {"a": 1})),
        ({"a": 1}, None, ({"a": 1}, None)),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ({"b": 2}, {"b": 3})),
        ({}, {"a": 1}, ({}, {"a": 1})),
        ({"a": 1}, {}, ({"a": 1}, {})),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_a_step_records_only_what_differs_and_acts_only_in_a_real_run(
    before: Any, after: Any, recorded: Any, check: bool
) -> None:
    plan, calls = Plan(check=check), Calls()
    answer = plan.step("thing", before, after, calls)
    assert [(change.before, change.after) for change in plan.changes] == [recorded]
    assert (answer, calls.number) == ((None, 0) if check else ("made", 1))


@pytest.mark.parametrize("same", [None, {}, {"a": [1]}])
def test_a_step_between_equals_does_nothing(same: Any) -> None:
    plan, calls = Plan(check=False), Calls()
    assert plan.step("thing", same, same, calls) is None
    assert (plan.changes, calls.number) == ([], 0)


def test_what_cannot_be_changed_is_noted_in_a_check_and_refused_in_a_run() -> None:
    check = Plan(check=True)
    check.fixed("thing", {"zone": "a", "size": 1}, {"zone": "b", "size": 1}, "Make a new one.")
    assert check.changed
    with pytest.raises(CheckopError, match=r"thing cannot be changed in place: zone is 'a', wanted 'b'\. Make a new"):
        Plan(check=False).fixed("thing", {"zone": "a", "size": 1}, {"zone": "b", "size": 1}, "Make a new one.")
    Plan(check=False).fixed("thing", {"zone": "a"}, {"zone": "a"}, "Make a new one.")


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_a_wait_looks_quickly_first_and_then_seldom() -> None:
    clock = Clock()
    wait_until(
        "it",
        lambda: (clock.now >= 20, "not yet"),
        timeout_seconds=60,
        interval_seconds=5,
        clock=lambda: clock.now,
        sleep=clock.sleep,
    )
    assert clock.pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(clock.pauses) == 5
    assert 20 <= clock.now <= 25


def test_a_wait_ends_and_says_what_it_saw_last() -> None:
    clock = Clock()
    with pytest.raises(
        CheckopError, match=r"Waited 30 s for the moon, last seen: half\. Nothing is lost: run the same"
    ):
        wait_until(
            "the moon",
            lambda: (False, "half"),
            timeout_seconds=30,
            clock=lambda: clock.now,
            sleep=clock.sleep,
        )
    assert 30 <= clock.now <= 35


def test_what_is_done_already_is_not_waited_for() -> None:
    clock = Clock()
    wait_until("it", lambda: (True, ""), timeout_seconds=0, clock=lambda: clock.now, sleep=clock.sleep)
    assert clock.pauses == []


def test_another_environments_resource_is_refused_even_in_a_check() -> None:
    for check in (False, True):
        with pytest.raises(CheckopError, match=r"belongs to environment 'production'.*checkop_name_suffix"):
            ownership.require(Plan(check=check), "thing", {**TAGS, "checkop:environment": "production"}, TAGS)


@pytest.mark.parametrize("tags", [{}, {"checkop:environment": "staging"}, {**TAGS, "checkop:managed-by": "me"}])
def test_a_resource_without_the_marks_is_refused_in_a_run_only(tags: dict[str, str]) -> None:
    ownership.require(Plan(check=True), "thing", tags, TAGS)
    with pytest.raises(CheckopError, match=r"thing exists but does not carry the tags .*put these tags on it once"):
        ownership.require(Plan(check=False), "thing", tags, TAGS)
    assert not ownership.owned(tags, TAGS)


def test_a_resource_with_the_marks_and_more_is_ours() -> None:
    ownership.require(Plan(check=False), "thing", {**TAGS, "cost-centre": "7"}, TAGS)
    assert ownership.owned({**TAGS, "cost-centre": "7"}, TAGS)


SIMPLE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


@pytest.mark.parametrize(
    "spelling",
    [
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["*"]}}',
        "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A"
        "%22s3%3AGetObject%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D",
        {"Statement": [{"Resource": "*", "Action": ["s3:GetObject"], "Effect": "Allow"}], "Version": "2012-10-17"},
    ],
)
def test_policies_of_one_meaning_are_equal(spelling: Any) -> None:
    assert normalise(spelling) == normalise(SIMPLE)


def test_order_of_sets_and_spelling_of_booleans_do_not_matter() -> None:
    one = {"Statement": [{"Action": ["a:B", "a:A"], "Condition": {"Bool": {"aws:SecureTransport": False}}}]}
    other = {"Statement": [{"Action": ["a:A", "a:B"], "Condition": {"Bool": {"aws:SecureTransport": ["false"]}}}]}
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    "other",
    [
        {**SIMPLE, "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]},
        {**SIMPLE, "Statement": [*SIMPLE["Statement"], {"Effect": "Deny", "Action": "*", "Resource": "*"}]},
        {**SIMPLE, "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:Put*"], "Resource": "*"}]},
    ],
)
def test_policies_of_other_meaning_differ(other: Any) -> None:
    assert normalise(other) != normalise(SIMPLE)


def test_no_policy_is_empty() -> None:
    assert normalise(None) == normalise("") == {}
