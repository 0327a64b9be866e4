"""The AWS API of the rehearsal cloud: moto's server in process, with its gaps filled.

What the runtime codes against:

    cloud = Cloud(hooks, clock=time.time)      # one per process: moto's state is global
    cloud.start("127.0.0.1", port)             # serves in a thread; port 0 takes a free one, see `cloud.port`
    cloud.changed                              # threading.Event: a request may have changed something
    cloud.tick()                               # move the state machines on; returns when to call it again, or None
    cloud.instances(), .images(), .target_groups(), .load_balancers(), .certificates(),
    .file_systems(), .databases()              # views: what the API wants to be true
    cloud.faults                               # throttling and failing calls, alarms
    cloud.stop()

The loop of a runtime: wait for `cloud.changed` or the deadline that `tick()` returned, clear it, `tick()`, read the
views, close the difference; and `tick()` again whenever something that `Hooks` reports has changed.
"""

from lab.api.cloud import Cloud
from lab.api.context import Settings
from lab.api.hooks import Endpoint, Hooks, ImageCondition, InstanceCondition, TargetHealth
from lab.api.immediate import Immediate

__all__ = [
    "Cloud",
    "Endpoint",
    "Hooks",
    "ImageCondition",
    "Immediate",
    "InstanceCondition",
    "Settings",
    "TargetHealth",
]
