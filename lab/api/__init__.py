"""The AWS API of the rehearsal cloud: moto's server in process, with its gaps filled.

What the runtime codes against:

    cloud = Cloud(hooks, clock=time.time)      # one per process: moto's state is global
    cloud.start("127.0.0.1", port)             # serves in a thread; port 0 takes a free one, see `cloud.port`
    cloud.changed                              # threading.Event, set after every request that may have changed something
    cloud.tick()                               # move every state machine on; returns the clock's time of the next deadline
    cloud.instances(), .images(), .target_groups(), .load_balancers(), .certificates(),
    .file_systems(), .databases()              # views: what the API wants to be true
    cloud.faults                               # throttling and failing calls, alarms
    cloud.stop()

The loop of a runtime: wait for `cloud.changed` or the deadline that `tick()` returned, clear it, read the views, close the
difference, and call `tick()` again after something that `Hooks` reports has changed.
"""
