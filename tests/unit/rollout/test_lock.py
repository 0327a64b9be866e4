"""Who rolls what since when."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from checkop.errors import CheckopError
from checkop.rollout.lock import HEARTBEAT_SECONDS, STALE_SECONDS, Lock, Session, process_start, this_session


@pytest.fixture
def take(bench):
    def take(user: str) -> Lock:
        return bench.tools(user).lock

    return take


def test_only_one_takes_it(bench, take):
    now = bench.clock.now()
    ana, ben = take("ana"), take("ben")
    assert ana.take("0002", "rollout", "ami-2", now)
    assert not ben.take("0002", "rollout", "ami-2", now)
    assert "release 0002, a rollout of ami-2, by ana@host-ana" in ben.read().sentence()
    ana.give_back()
    ana.give_back()
    assert ben.take("0002", "rollout", "ami-2", now)


def test_another_machines_operator_counts_as_alive_while_it_is_heard_of(bench, take):
    now = bench.clock.now()
    ana, ben = take("ana"), take("ben")
    ana.take("0002", "rollout", "ami-2", now)
    late = now + timedelta(seconds=STALE_SECONDS + 1)
    assert ben.read().alive(ben.session, now)
    assert not ben.read().alive(ben.session, late)
    ana.beat(late)
    assert ben.read().alive(ben.session, late)


def test_on_the_same_machine_the_process_decides(bench):
    me = this_session("arn")
    lock = Lock(bench.ssm, "/checkop/test", me)
    lock.take("0002", "rollout", "ami-2", bench.clock.now())
    other = Session("arn", me.user, me.host, 1, process_start(1))
    long_after = bench.clock.now() + timedelta(days=1)
    assert lock.read().alive(other, long_after)
    # The same number again, but another process: this one's is younger.
    reborn = Lock(bench.ssm, "/checkop/test", Session("arn", me.user, me.host, os.getpid(), "1"))
    reborn.take_over(lock.read(), bench.clock.now())
    assert not lock.read().alive(other, bench.clock.now())


def test_taking_over_keeps_since(bench, take):
    now = bench.clock.now()
    ana, ben = take("ana"), take("ben")
    ana.take("0002", "rollout", "ami-2", now)
    assert ben.take_over(ben.read(), now + timedelta(hours=1))
    assert ben.read().of(ben.session)
    assert ben.read().since == now.isoformat(timespec="seconds")


def test_rubbish_names_the_parameter_and_the_mend(bench, take):
    bench.ssm.values["/checkop/test/rollout/lock"] = "locked"
    with pytest.raises(CheckopError, match="aws ssm delete-parameter --name /checkop/test/rollout/lock"):
        take("ana").read()


@pytest.fixture
def lost(bench, take):
    """Ana's lock, that of Ben, who took over while Ana slept, and when that was."""
    now = bench.clock.now()
    ana, ben = take("ana"), take("ben")
    ana.take("0002", "rollout", "ami-2", now)
    late = now + timedelta(seconds=STALE_SECONDS + 1)
    assert ben.take_over(ben.read(), late)
    return ana, ben, late


def test_who_has_lost_it_leaves_it_to_the_other(lost):
    ana, ben, late = lost
    with pytest.raises(CheckopError, match=r"Under way now: release 0002, .* by ben@host-ben .* to attach"):
        ana.beat(late)
    ana.give_back()
    assert ben.read().of(ben.session)


def test_lock_that_is_gone_is_taken_again_by_who_was_just_heard_of(bench, take):
    now = bench.clock.now()
    ana = take("ana")
    ana.take("0002", "rollout", "ami-2", now)
    bench.ssm.values.pop("/checkop/test/rollout/lock")
    ana.beat(now + timedelta(seconds=HEARTBEAT_SECONDS))
    assert ana.read().of(ana.session)


def test_lock_that_is_gone_is_another_s_end_for_who_slept(lost):
    ana, ben, late = lost
    ben.give_back()
    with pytest.raises(CheckopError, match="another one took over and has ended"):
        ana.beat(late)
    assert ana.read() is None
