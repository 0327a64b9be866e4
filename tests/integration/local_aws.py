"""The rehearsal's AWS API without instances, in a process of its own, because moto's state is global.

Commands come as JSON lines on standard input and are answered as JSON lines on standard output; it ends with its input.
"""

from __future__ import annotations

import json
import sys
import threading

from lab.api.cloud import Cloud
from lab.api.immediate import Immediate

IDLE_SECONDS = 5.0


class LocalAws:
    """The API on one port, started anew for every `reset`."""

    def __init__(self) -> None:
        self.port = 0
        self.cloud = self._start()

    def _start(self) -> Cloud:
        cloud = Cloud(Immediate())
        cloud.start(port=self.port)
        self.port = cloud.port
        threading.Thread(target=self._keep_moving, args=(cloud,), daemon=True).start()
        return cloud

    def _keep_moving(self, cloud: Cloud) -> None:
        wait: float | None = 0
        while wait is not None:
            cloud.changed.wait(IDLE_SECONDS if wait == 0 else wait)
            cloud.changed.clear()
            wait = self._tick(cloud)

    def _tick(self, cloud: Cloud) -> float | None:
        """Move on, and return how long to wait at most; 0: until something changes; None: this cloud was replaced."""
        if cloud is not getattr(self, "cloud", cloud):
            return None
        with cloud.lock():
            return 0.2 if cloud.tick() is not None else 0

    def reset(self) -> None:
        """Forget everything and serve on the same port again."""
        self.cloud.stop()
        self.cloud = self._start()


def main() -> int:
    """Serve until the input ends."""
    aws = LocalAws()
    sys.stdout.write(json.dumps({"port": aws.port}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("do")
        if name == "reset":
            aws.reset()
        elif name == "fault":
            aws.cloud.faults.api(**command)
        elif name == "clear_faults":
            aws.cloud.faults.clear()
        sys.stdout.write(json.dumps({"done": name}) + "\n")
        sys.stdout.flush()
    aws.cloud.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
