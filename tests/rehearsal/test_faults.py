"""The fault matrix: real instances, real traffic, and something going wrong at the worst moment.

Whatever happens, the service ends on the last good release or completes, at full strength over both zones; the ledger
says which; and no request is lost but those that were under way on what was taken away.
"""

from __future__ import annotations

import signal
import time

import pytest

from lab import drains
from lab.errors import LabError
from tests.rehearsal.service import until

# How long what stands behind the service is away.
AWAY_SECONDS = 20
# A failover of RDS takes one to two minutes (RDS user guide, "Failing over a Multi-AZ DB instance"), a bad one longer.
FAILOVER_SECONDS = 150
# What the load fetches has to be uploaded before anything is away.
LOAD_BEGINS_SECONDS = 5
pytestmark = pytest.mark.rehearsal
faults = pytest.mark.faults


def takes_back(service, step, why):
    """The roll ends with a failure, and the ledger says that and why it was taken back."""
    with pytest.raises(LabError):
        service.runner.finish(step)
    last = service.last()
    assert last["result"] == "rolled_back", last["reason"]
    assert why in last["reason"]


def completes(service, step, image):
    """The roll ends well, and the ledger and every zone say so."""
    service.runner.finish(step)
    last = service.last()
    assert (last["result"], last["image"]) == ("succeeded", image), last["reason"]
    assert service.serving() == {zone: {image} for zone in service.zones}


# Nothing goes wrong: nothing is lost.


@faults
def test_rollout(service):
    image = service.other()
    with service.case("rollout", 60) as case:
        step = service.begin("rollout", image=image)
        case.forecast_seconds = service.forecast(step)
        boots = service.boots(step, image)
        completes(service, step, image)
        timings = service.last()["timings"]
        case.release_seconds = timings["total"]
        # One instance more than two is allowed: two steps, and what the settings let it rest is nobody's fault.
        left = drains.seconds(service.client("autoscaling"), service.facts["fleet_name"])
        case.floor_seconds = round(sum(boots) + sum(left[: len(boots)]), 1)
    assert len(boots) == 2
    assert case.release_seconds - timings["planned"] <= 1.3 * case.floor_seconds
    assert abs(case.forecast_seconds - case.release_seconds) <= 0.2 * case.release_seconds


@faults
def test_rollback(service):
    image = service.other()
    with service.case("rollback", 45) as case:
        step = service.begin("rollback")
        case.forecast_seconds = service.forecast(step)
        completes(service, step, image)
        case.release_seconds = service.last()["timings"]["total"]
    assert abs(case.forecast_seconds - case.release_seconds) <= 0.2 * case.release_seconds


def test_blue_green(service):
    image = service.other()
    with service.case("blue_green", 90):
        step = service.begin("rollout", image=image, strategy="blue_green")
        step.wait_for("green comes up", 60)
        # A second operator is told who rolls what since when.
        with pytest.raises(LabError, match="Under way already: release"):
            service.play("rollout", image=image)
        completes(service, step, image)


def test_scale_out_and_in(service):
    with service.case("scale_2_4_2", 90) as case:
        service.play("scale", size=4)
        assert len(service.settled()) == 4
        service.play("scale", size=2)
        assert len(service.settled()) == 2
        case.result = "scaled 2, 4, 2"


def test_replace_one_instance(service):
    sick = service.settled()[0].instance_id
    with service.case("replace", 60) as case:
        service.play("replace", instance=sick)
        assert sick not in {one.instance_id for one in service.settled()}
        case.result = "replaced"


# Something is taken away.


@pytest.mark.parametrize("killed", ["new", pytest.param("old", marks=faults)])
def test_instance_is_killed_at_the_first_checkpoint(service, killed):
    image = service.other()
    with service.case(f"{killed}_instance_killed", 120):
        step = service.begin_rollout(image)
        one = next(one for one in service.fleet() if (one.image == image) == (killed == "new") and one.serves)
        with service.excuse(f"in flight on the instance in {one.zone} when it was killed"):
            service.lab("fault", "kill-instance", one.instance_id)
        completes(service, step, image)


@faults
def test_zone_is_cut_at_the_first_checkpoint(service):
    image = service.other()
    with service.case("zone_cut", 180):
        step = service.begin_rollout(image)
        with service.excuse("in flight in us-east-1d when it was cut off"):
            service.lab("fault", "cut-zone", "us-east-1d")
        # Longer than the balancer takes to give a target up.
        time.sleep(2 * AWAY_SECONDS)
        service.lab("fault", "restore-zone", "us-east-1d")
        completes(service, step, image)


# The image is bad.


@faults
def test_image_that_never_gets_healthy(service):
    before, bad = service.settled()[0].image, service.variant("never-ready")
    with service.case("never_healthy", 180):
        takes_back(service, service.begin("rollout", image=bad), "nothing has come forward")
        assert service.settled()[0].image == before


@faults
def test_image_that_turns_unhealthy_after_the_first_checkpoint(service):
    before, bad = service.settled()[0].image, service.variant("turns-unready")
    with service.case("turns_unhealthy", 180):
        # As in production, the checkpoint is held for longer than the image takes to turn.
        step = service.begin("rollout", image=bad, rollout_checkpoint_delay_seconds=90)
        takes_back(service, step, "/health/ready")
        assert service.settled()[0].image == before


@faults
def test_application_that_hangs(service):
    before, bad = service.settled()[0].image, service.variant("hangs")
    with service.case("application_hangs", 180):
        step = service.begin_rollout(bad, rollout_checkpoint_delay_seconds=90)
        with service.excuse("sent to the hanging instance before the balancer knew"):
            takes_back(service, step, "healthy")
        assert service.settled()[0].image == before


# What is around it fails.


def test_alarm_rings_at_the_first_checkpoint(service):
    before, image = service.settled()[0].image, service.other()
    alarm = service.facts["monitoring_rollout_alarms"][0]
    with service.case("alarm", 90):
        step = service.begin_rollout(image)
        service.lab("fault", "alarm", alarm)
        takes_back(service, step, alarm)
        service.lab("fault", "alarm", alarm, "--state", "OK")
        assert service.settled()[0].image == before


PHASES = {
    "forecast": "in all",
    "template": "needs a launch template version",
    "version": "replaces what runs",
    "refresh": "started",
    "checkpoint": "checkpoint 50 % is reached",
    "all_new": "all instances are new",
    "last_check": "the last check before it counts as good",
}


@pytest.mark.parametrize("phase", [pytest.param(one, marks=() if one == "refresh" else faults) for one in PHASES])
def test_operator_is_killed(service, phase):
    image = service.other()
    with service.case(f"operator_killed_{phase}", 90):
        step = service.begin("rollout", image=image)
        step.wait_for(PHASES[phase], 60)
        step.end(signal.SIGKILL)
        service.runner.forget(step)
        releases = len(service.read("checkop", "releases", "--json"))
        completes(service, service.begin("rollout", image=image), image)
        # The release that was begun was finished, and not done over.
        assert len(service.read("checkop", "releases", "--json")) - releases == (phase == "forecast")


@faults
@pytest.mark.parametrize("fault", ["throttle", "fail"])
def test_api_answers_nine_calls_of_ten(service, fault):
    image = service.other()
    with service.case(f"api_{fault}", 120):
        service.lab("fault", f"api-{fault}", "--every", "10")
        completes(service, service.begin("rollout", image=image), image)


@faults
def test_database_is_away_for_20_seconds(service):
    image = service.other()
    with service.case("database_away", 150):
        step = service.begin_rollout(image)
        # The proof of readiness comes back a moment after the database.
        with service.excuse("uploads that could not be recorded without the database", AWAY_SECONDS + 1):
            service.lab("fault", "stop-database", "--seconds", str(AWAY_SECONDS))
        completes(service, step, image)


@faults
def test_failover_of_the_database_replaces_nothing(service):
    before = {one.instance_id for one in service.settled()}
    seen: set[str] = set()
    bad: set[str] = set()
    with service.case("database_failover", FAILOVER_SECONDS + 60) as case:
        time.sleep(LOAD_BEGINS_SECONDS)
        with service.excuse("uploads that could not be recorded without the database", 1):
            service.lab("fault", "stop-database", "--seconds", str(FAILOVER_SECONDS))
            ends = time.monotonic() + FAILOVER_SECONDS
            while time.monotonic() < ends:
                seen |= {one.instance_id for one in service.fleet()}
                bad |= {one.instance_id for one in service.fleet() if not one.serves}
                bad |= {one["InstanceId"] for one in service.group()["Instances"] if one["HealthStatus"] != "Healthy"}
                time.sleep(1)
        assert seen == before
        assert bad == set()
        case.result = "nothing replaced"


@faults
def test_process_that_does_not_serve_is_replaced(service):
    sick = service.settled()[0].instance_id
    with service.case("process_hangs", 240) as case:
        time.sleep(LOAD_BEGINS_SECONDS)
        with service.excuse("sent to the instance before the balancer knew"):
            service.lab("fault", "hang-app", sick)
            until(lambda: sick not in {one.instance_id for one in service.fleet() if one.serves}, "it is left out", 60)
        until(lambda: sick not in {one.instance_id for one in service.fleet()}, f"{sick} is replaced", 180)
        case.result = "replaced"


@faults
def test_chop_temp_is_unreachable_for_20_seconds(service):
    image = service.other()
    with service.case("chop_temp_unreachable", 150):
        step = service.begin_rollout(image)
        with service.excuse("uploads and downloads that waited for ChOp-Temp", 1):
            service.lab("fault", "hang-file-system")
            time.sleep(AWAY_SECONDS)
            service.lab("fault", "restore-file-system")
        completes(service, step, image)
