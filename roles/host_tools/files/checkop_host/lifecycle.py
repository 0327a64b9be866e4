"""The end of a fleet instance: notice it, drain, tell Auto Scaling (Auto Scaling user guide, "Lifecycle hooks")."""

import glob
import logging
import os
import time

from .aws import calling, error_code
from .errors import HostError

_LOG = logging.getLogger(__name__)
_STATE_PATH = "autoscaling/target-lifecycle-state"
_ENDING = "Terminated"
_HEARTBEAT_SECONDS = 60
_TRANSITION = "autoscaling:EC2_INSTANCE_TERMINATING"


def open_jobs(pattern, host, now, stale_after_seconds):
    """Return the marker files of jobs that this instance has open on ChOp-Temp.

    Args:
        pattern: glob of marker files, `{host}` stands for this host's name.
        host: this host's name, as the application writes it.
        now: the time, seconds since the epoch.
        stale_after_seconds: a marker untouched for longer is what a crash left behind, not work.
    """
    found = []
    # JSON's text; Python 2 does not mix it with the names of a file system that it cannot decode.
    for path in sorted(glob.glob(str(pattern.format(host=host)))):
        try:
            age = now - os.lstat(path).st_mtime
        except OSError:
            continue  # The job ended between the listing and the look.
        if age <= stale_after_seconds:
            found.append(path)
    return found


def stop_taking_work(flag):
    """Make readiness answer 503, so that the balancer sends nothing new; nginx looks at the flag itself."""
    folder = os.path.dirname(flag)
    if not os.path.isdir(folder):
        os.makedirs(folder)
    with open(flag, "a"):
        os.utime(flag, None)
    _LOG.info("readiness is off: %s", flag)


def drain(settings, list_jobs, heartbeat=None, clock=time.time, sleep=time.sleep):
    """Stop taking work and wait until no job is open; return whether none is.

    Args:
        settings: `lifecycle` of the host's settings: `drain_flag`, `drain_timeout_seconds`, `drain_poll_seconds`,
            `drain_settle_seconds`.
        list_jobs: returns the open jobs.
        heartbeat: called every minute, so that Auto Scaling goes on waiting.
        clock: returns seconds.
        sleep: waits a number of seconds.
    """
    stop_taking_work(settings["drain_flag"])
    start = clock()
    deadline, beat = start + settings["drain_timeout_seconds"], start
    # Requests that the balancer sent before it saw readiness go may still open a job.
    settled = min(start + settings["drain_settle_seconds"], deadline)
    jobs = list_jobs()
    while (jobs or clock() < settled) and clock() < deadline:
        if heartbeat and clock() - beat >= _HEARTBEAT_SECONDS:
            heartbeat()
            beat = clock()
        sleep(settings["drain_poll_seconds"])
        jobs = list_jobs()
    if jobs:
        _LOG.error("%d jobs still open after %d s: %s", len(jobs), clock() - start, ", ".join(jobs[:10]))
        return False
    _LOG.info("no job is open after %d s", clock() - start)
    return True


def ending(metadata):
    """Return whether Auto Scaling wants this instance ended. Instances of no group have no such state."""
    return metadata.get(_STATE_PATH) == _ENDING


def watch(settings, metadata, end, sleep=time.sleep):
    """Look at the target lifecycle state until it says that this instance ends, then call `end` once.

    Args:
        settings: `lifecycle` of the host's settings: `poll_seconds`.
        metadata: reader of instance metadata.
        end: what to do at the end.
        sleep: waits a number of seconds.
    """
    failing = False
    while True:
        try:
            if ending(metadata):
                _LOG.info("Auto Scaling ends this instance")
                return end()
            failing = False
        except HostError as error:
            if not failing:  # Said once, not every few seconds.
                _LOG.warning("%s; looking again every %s s", error, settings["poll_seconds"])
            failing = True
        sleep(settings["poll_seconds"])


class Hooks(object):
    """The terminating lifecycle hooks of the group that this instance is in.

    Args:
        clients: AWS clients of this host.
        instance_id: this instance.
    """

    def __init__(self, clients, instance_id):
        self._autoscaling = clients.client("autoscaling")
        self._instance_id = instance_id
        self._pairs = None

    def complete(self, result="CONTINUE"):
        """Complete the action of every hook; return the hooks' names.

        Raises:
            HostError: this instance is in no group, or Auto Scaling refuses.
        """
        completed = []
        for group, hook in self._hooks():
            self._tell("complete lifecycle hook " + hook, "complete_lifecycle_action", group, hook, result)
            completed.append(hook)
        _LOG.info("completed lifecycle hooks of %s: %s", self._instance_id, ", ".join(completed) or "none")
        return completed

    def heartbeat(self):
        """Let Auto Scaling wait on; a refusal is logged, because draining goes on all the same."""
        try:
            for group, hook in self._hooks():
                self._tell("extend lifecycle hook " + hook, "record_lifecycle_action_heartbeat", group, hook)
        except HostError as error:
            _LOG.warning("%s", error)

    def _hooks(self):
        if self._pairs is None:
            group = self._group()
            found = calling(
                "list lifecycle hooks of " + group,
                self._autoscaling.describe_lifecycle_hooks,
                AutoScalingGroupName=group,
            )["LifecycleHooks"]
            self._pairs = [
                (group, hook["LifecycleHookName"]) for hook in found if hook["LifecycleTransition"] == _TRANSITION
            ]
        return self._pairs

    def _group(self):
        found = calling(
            "find the group of " + self._instance_id,
            self._autoscaling.describe_auto_scaling_instances,
            InstanceIds=[self._instance_id],
        )["AutoScalingInstances"]
        if not found:
            raise HostError("%s is in no Auto Scaling group: there is no lifecycle action" % self._instance_id)
        return found[0]["AutoScalingGroupName"]

    def _tell(self, what, action, group, hook, result=None):
        from botocore.exceptions import ClientError

        arguments = {"AutoScalingGroupName": group, "LifecycleHookName": hook, "InstanceId": self._instance_id}
        if result:
            arguments["LifecycleActionResult"] = result
        try:
            getattr(self._autoscaling, action)(**arguments)
        except ClientError as error:
            # No action is open: it was completed before, or its time ran out.
            if error_code(error) == "ValidationError" and "No active Lifecycle Action" in str(error):
                _LOG.info("%s: no action is open", what)
                return
            raise HostError("cannot %s: %s" % (what, error))
