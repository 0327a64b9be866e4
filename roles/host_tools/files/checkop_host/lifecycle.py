"""The end of a fleet instance: notice it, drain, tell Auto Scaling (Auto Scaling user guide, "Lifecycle hooks")."""

import errno
import fnmatch
import logging
import os
import threading
import time

from .aws import calling
from .errors import AwsError, HostError

_LOG = logging.getLogger(__name__)
_STATE_PATH = "autoscaling/target-lifecycle-state"
_ENDING = "Terminated"
_HEARTBEAT_SECONDS = 60
_TRANSITION = "autoscaling:EC2_INSTANCE_TERMINATING"
# The balancer drains an instance first, 3600 s at most; until then it is Terminating and no hook is open.
_STILL_TO_OPEN = ("Terminating", "Terminating:Wait")
_OPENS_WITHIN_SECONDS = 3900
_POLL_SECONDS = 5
# A file system that does not answer holds a look for ever.
_LOOK_SECONDS = 30


def open_jobs(pattern, host, now, stale_after_seconds):
    """Return the marker files of jobs that this instance has open on ChOp-Temp.

    Args:
        pattern: glob of marker files, `{host}` stands for this host's name.
        host: this host's name, as the application writes it.
        now: the time, seconds since the epoch.
        stale_after_seconds: a marker untouched for longer is what a crash left behind, not work.

    Raises:
        OSError: a folder cannot be read, so that nobody can say which jobs are open.
    """
    found = []
    # JSON's text; Python 2 does not mix it with the names of a file system that it cannot decode.
    for path in _matching(str(pattern.format(host=host))):
        try:
            age = now - os.lstat(path).st_mtime
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            continue  # The job ended between the listing and the look.
        if age <= stale_after_seconds:
            found.append(path)
    return found


def _matching(pattern):
    """Return the paths that match a glob; unlike `glob.glob`, an unreadable folder is an error and not an empty one."""
    parts = pattern.split(os.sep)
    plain = next((index for index, part in enumerate(parts) if "*" in part or "?" in part), len(parts) - 1)
    root = os.sep.join(parts[:plain]) or os.sep
    paths = [root]
    for part in parts[plain:]:
        below = []
        for folder in paths:
            try:
                names = os.listdir(folder)
            except OSError as error:
                # A file beside the folders, or a folder that ended between two looks; the root has to be there.
                if folder == root or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                continue
            below += [os.path.join(folder, name) for name in fnmatch.filter(names, part)]
        if paths == [root] and len(parts) - plain > 1 and not below:
            # The bare mount point: ChOp-Temp itself always has its folders.
            raise OSError(errno.ENOENT, "no folder is there, is it mounted?", root)
        paths = below
    return sorted(paths)


def look_at_jobs(list_jobs, timeout_seconds=_LOOK_SECONDS):
    """Return the open jobs, or what keeps them from being seen, which counts as an open job.

    Args:
        list_jobs: returns the open jobs.
        timeout_seconds: how long the look may take; ChOp-Temp is mounted hard, and a call to it may never return.
    """
    found = []

    def look():
        try:
            found.append(list_jobs())
        except EnvironmentError as error:
            found.append(["(cannot read the open jobs: %s)" % error])

    thread = threading.Thread(target=look)
    thread.daemon = True
    thread.start()
    thread.join(timeout_seconds)
    return found[0] if found else ["(cannot read the open jobs: no answer within %s s)" % timeout_seconds]


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
    jobs = look_at_jobs(list_jobs)
    while (jobs or clock() < settled) and clock() < deadline:
        if heartbeat and clock() - beat >= _HEARTBEAT_SECONDS:
            heartbeat()
            beat = clock()
        sleep(settings["drain_poll_seconds"])
        jobs = look_at_jobs(list_jobs)
    if jobs:
        _LOG.error("%d jobs still open after %d s: %s", len(jobs), clock() - start, ", ".join(jobs[:10]))
        return False
    _LOG.info("no job is open after %d s", clock() - start)
    return True


def ending(metadata):
    """Return whether Auto Scaling wants this instance ended. Instances of no group have no such state."""
    return metadata.get(_STATE_PATH) == _ENDING


def watch(settings, metadata, end, sleep=time.sleep):
    """Look at the target lifecycle state until it says that this instance ends, then call `end` until it succeeds.

    Args:
        settings: `lifecycle` of the host's settings: `poll_seconds`.
        metadata: reader of instance metadata.
        end: what to do at the end.
        sleep: waits a number of seconds.
    """

    def look():
        if not ending(metadata):
            return False
        _LOG.info("Auto Scaling ends this instance")
        end()
        return True

    _until(look, settings["poll_seconds"], sleep)


def complete(settings, hooks, sleep=time.sleep):
    """Complete the lifecycle action; a failure is followed by another attempt, not by another drain.

    Args:
        settings: `lifecycle` of the host's settings: `poll_seconds`.
        hooks: hooks of this instance.
        sleep: waits a number of seconds.
    """

    def attempt():
        hooks.complete(poll_seconds=settings["poll_seconds"], sleep=sleep)
        return True

    _until(attempt, settings["poll_seconds"], sleep)


def _until(attempt, pause_seconds, sleep):
    """Call a function until it returns true; what fails outside may pass."""
    failing = False
    while True:
        try:
            if attempt():
                return
            failing = False
        except HostError as error:
            if not failing:  # Said once, not every few seconds.
                _LOG.warning("%s; trying again every %s s", error, pause_seconds)
            failing = True
        sleep(pause_seconds)


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

    def complete(self, result="CONTINUE", poll_seconds=_POLL_SECONDS, clock=time.time, sleep=time.sleep):
        """Complete the action of every hook; return the names of the hooks that had one.

        The hooks of an ending instance are waited for. One that does not end has none to wait for.

        Args:
            result: CONTINUE or ABANDON.
            poll_seconds: pause between two attempts while a hook is not open.
            clock: returns seconds.
            sleep: waits a number of seconds.

        Raises:
            HostError: this instance is in no group, Auto Scaling refuses or does not answer, or a hook does not open.
        """
        left, deadline, said = self._hooks(), clock() + _OPENS_WITHIN_SECONDS, False
        while True:
            left = self._complete_open(left, result)
            if not left:
                break
            missing = ", ".join(hook for _, hook in left)
            state = self._member().get("LifecycleState")
            if state not in _STILL_TO_OPEN:
                # Completed before, or its time ran out, or this instance does not end.
                _LOG.info("lifecycle hooks %s: no action is open, %s is %s", missing, self._instance_id, state or "gone")
                break
            if clock() >= deadline:
                raise HostError("lifecycle hooks %s did not open within %d s" % (missing, _OPENS_WITHIN_SECONDS))
            if not said:
                _LOG.info("%s is %s: waiting for lifecycle hooks %s to open", self._instance_id, state, missing)
            said = True
            sleep(poll_seconds)
        completed = [pair[1] for pair in self._hooks() if pair not in left]
        _LOG.info("completed lifecycle hooks of %s: %s", self._instance_id, ", ".join(completed) or "none")
        return completed

    def heartbeat(self):
        """Let Auto Scaling wait on; a refusal is logged, because draining goes on all the same."""
        try:
            for group, hook in self._hooks():
                what = "extend lifecycle hook " + hook
                if not self._tell(what, "record_lifecycle_action_heartbeat", group, hook):
                    _LOG.info("%s: no action is open", what)
        except HostError as error:
            _LOG.warning("%s", error)

    def _complete_open(self, pairs, result):
        """Complete the actions that are open; return the hooks that have none."""
        return [
            (group, hook)
            for group, hook in pairs
            if not self._tell("complete lifecycle hook " + hook, "complete_lifecycle_action", group, hook, result)
        ]

    def _hooks(self):
        if self._pairs is None:
            group = self._member().get("AutoScalingGroupName")
            if not group:
                raise HostError("%s is in no Auto Scaling group: there is no lifecycle action" % self._instance_id)
            found = calling(
                "list lifecycle hooks of " + group,
                self._autoscaling.describe_lifecycle_hooks,
                AutoScalingGroupName=group,
            )["LifecycleHooks"]
            self._pairs = [
                (group, hook["LifecycleHookName"]) for hook in found if hook["LifecycleTransition"] == _TRANSITION
            ]
        return self._pairs

    def _member(self):
        """Return what Auto Scaling knows of this instance; nothing when it is in no group, or no more."""
        found = calling(
            "find the group of " + self._instance_id,
            self._autoscaling.describe_auto_scaling_instances,
            InstanceIds=[self._instance_id],
        )["AutoScalingInstances"]
        return found[0] if found else {}

    def _tell(self, what, action, group, hook, result=None):
        """Tell Auto Scaling; return False if no action is open: not yet, or no more."""
        arguments = {"AutoScalingGroupName": group, "LifecycleHookName": hook, "InstanceId": self._instance_id}
        if result:
            arguments["LifecycleActionResult"] = result
        try:
            calling(what, getattr(self._autoscaling, action), **arguments)
        except AwsError as error:
            if error.code == "ValidationError" and "No active Lifecycle Action" in str(error):
                return False
            raise
        return True
