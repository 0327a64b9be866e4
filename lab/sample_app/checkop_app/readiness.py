"""Whether this instance can serve: the database answers and ChOp-Temp takes and gives back a file.

The proofs run in threads of their own, so that a dead file system never hangs a health check: the check only
looks at how old the last success is.
"""

import logging
import threading
import time

LOG = logging.getLogger("checkop")
INTERVAL_SECONDS = 1.0
# A proof older than this counts as failed.
FRESH_SECONDS = 6.0
_clock = getattr(time, "monotonic", time.time)


class Readiness(object):
    """Background proofs by name."""

    def __init__(self, proofs, fault):
        self._proofs = proofs
        self._fault = fault
        self._started = _clock()
        self._last = {}
        self._errors = dict((name, "not proved yet") for name in proofs)

    def start(self):
        """Start one thread a proof; they end with the process."""
        for name in self._proofs:
            thread = threading.Thread(target=self._repeat, args=(name,), name="proof-" + name)
            thread.daemon = True
            thread.start()

    def _repeat(self, name):
        while True:
            try:
                self._proofs[name]()
            except Exception as error:  # the proof's word, whatever it is, is what the check reports
                if self._errors.get(name) != repr(error):
                    LOG.error("readiness: %s failed: %r", name, error)
                self._errors[name] = repr(error)
                self._last.pop(name, None)
            else:
                self._last[name] = _clock()
                self._errors.pop(name, None)
            time.sleep(INTERVAL_SECONDS)

    def report(self):
        """Return (ready, details by name)."""
        now = _clock()
        details = {}
        for name in self._proofs:
            last = self._last.get(name)
            if last is None:
                details[name] = self._errors.get(name, "not proved yet")
            elif now - last > FRESH_SECONDS:
                details[name] = "no answer for {0:.0f} s".format(now - last)
            else:
                details[name] = "ok"
        limit = self._fault.get("unready_after_seconds")
        if limit is not None and now - self._started >= limit:
            details["release"] = "broken on purpose"
        return all(word == "ok" for word in details.values()), details

    def hanging(self):
        """Whether a broken release should stop answering by now."""
        limit = self._fault.get("hang_after_seconds")
        return limit is not None and _clock() - self._started >= limit
