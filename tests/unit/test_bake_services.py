"""Which state of a unit lets an image pass."""

from __future__ import annotations

import pytest

from checkop.bake.expectations import Service
from checkop.bake.gates import runs


@pytest.mark.parametrize(
    ("service", "state", "condition", "passes"),
    [
        (Service("nginx"), "active", "yes", True),
        (Service("nginx"), "inactive", "yes", False),
        (Service("nginx"), "inactive", "no", False),
        (Service("nginx"), "failed", "yes", False),
        (Service("settings", lasting=False), "inactive", "yes", True),
        (Service("settings", lasting=False), "failed", "yes", False),
        (Service("auditd", conditional=True), "inactive", "no", True),
        (Service("auditd", conditional=True), "inactive", "yes", False),
        (Service("auditd", conditional=True), "failed", "no", False),
    ],
)
def test_only_what_runs_or_may_rest_passes(service, state, condition, passes):
    assert runs(service, {"ActiveState": state, "ConditionResult": condition}) is passes
