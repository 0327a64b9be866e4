"""The agent's process: ships log events and metrics until it is stopped."""

import json
import os
import signal
import socket
import time

from . import HOME, metrics
from .aws import CallError, Client, Metadata
from .config import PLACEHOLDER, short_name
from .tail import Follower

STATE = HOME + "/logs/state"
_BATCH_EVENTS = 10000
_BATCH_BYTES = 900000
_BATCH_METRICS = 500
_METADATA = {"InstanceId": "instance-id", "ImageId": "ami-id", "InstanceType": "instance-type"}


class Agent:
    """What one configuration says, carried out."""

    def __init__(self, config, log):
        self._config = config
        self._log = log
        self._metadata = Metadata()
        self._facts = {}
        self._client = Client(self._region(), self._metadata)
        self._streams = set()
        self._stopping = False
        self._reported = {}
        files = config.get("logs", {}).get("logs_collected", {}).get("files", {}).get("collect_list", [])
        os.makedirs(STATE, exist_ok=True)
        self._followers = [Follower(entry, STATE) for entry in files]

    def run(self):
        """Work until SIGTERM; then ship what is left once."""
        signal.signal(signal.SIGTERM, self._stop)
        flush_logs = self._config.get("logs", {}).get("force_flush_interval", 5)
        interval = self._config.get("agent", {}).get("metrics_collection_interval", 60)
        next_logs = next_metrics = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            if now >= next_logs:
                self._try("logs", self.ship_logs)
                next_logs = now + flush_logs
            if now >= next_metrics:
                self._try("metrics", self.ship_metrics)
                next_metrics = now + interval
            self._sleep(min(next_logs, next_metrics) - time.monotonic())
        self._try("logs", self.ship_logs)

    def ship_logs(self):
        """Send every complete event of every file."""
        for follower in self._followers:
            while True:
                events = follower.events()
                if not events:
                    break
                self._send(follower.entry, events, follower.done)

    def ship_metrics(self):
        """Measure once and send it, with its roll-ups."""
        section = self._config.get("metrics")
        if not section:
            return
        appended = {}
        for name, value in section.get("append_dimensions", {}).items():
            resolved = self._resolve(value)
            if resolved:
                appended[name] = resolved
        if not appended and not self._config.get("agent", {}).get("omit_hostname"):
            appended["host"] = socket.gethostname()
        data = []
        for name, one in section.get("metrics_collected", {}).items():
            asked = {}
            for measurement in one.get("measurement", []):
                full = measurement if isinstance(measurement, dict) else {"name": measurement}
                asked[short_name(name, full["name"])] = full
            for measurement, unit, value, dimensions in metrics.collect(name, one):
                if measurement in asked:
                    shown = asked[measurement].get("rename") or "%s_%s" % (name, measurement)
                    everywhere = {**dimensions, **one.get("append_dimensions", {}), **appended}
                    data.append((shown, asked[measurement].get("unit", unit), value, everywhere))
                    for rollup in section.get("aggregation_dimensions", []):
                        if set(rollup) <= set(everywhere) and set(rollup) != set(everywhere):
                            data.append((shown, unit, value, {key: everywhere[key] for key in rollup}))
        for start in range(0, len(data), _BATCH_METRICS):
            self._put(section, data[start : start + _BATCH_METRICS])

    def _put(self, section, data):
        parameters = {
            "Action": "PutMetricData",
            "Version": "2010-08-01",
            "Namespace": section.get("namespace", "CWAgent"),
        }
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for number, (name, unit, value, dimensions) in enumerate(data, 1):
            start = "MetricData.member.%d." % number
            parameters.update({start + "MetricName": name, start + "Unit": unit, start + "Value": repr(float(value))})
            parameters[start + "Timestamp"] = stamp
            for index, (key, one) in enumerate(sorted(dimensions.items()), 1):
                parameters[start + "Dimensions.member.%d.Name" % index] = key
                parameters[start + "Dimensions.member.%d.Value" % index] = one
        self._client.query_call("monitoring", parameters, section.get("endpoint_override"))

    def _send(self, entry, events, done):
        logs = self._config["logs"]
        endpoint = logs.get("endpoint_override")
        group = self._fill(entry.get("log_group_name") or os.path.basename(entry["file_path"]).split(".")[0])
        stream = self._fill(entry.get("log_stream_name") or logs.get("log_stream_name") or "{instance_id}")
        self._stream(group, stream, entry.get("retention_in_days", -1), endpoint)
        batch, size = [], 0
        for when, text, offset in events:
            size += len(text.encode()) + 26
            batch.append({"timestamp": when, "message": text or " "})
            last = offset
            if len(batch) == _BATCH_EVENTS or size > _BATCH_BYTES:
                break
        body = {
            "logGroupName": group,
            "logStreamName": stream,
            "logEvents": sorted(batch, key=lambda one: one["timestamp"]),
        }
        try:
            answer = self._client.json_call("logs", "Logs_20140328.PutLogEvents", body, endpoint)
        except CallError as error:
            if error.code == "ResourceNotFoundException":
                self._streams.discard((group, stream))
            raise
        if answer.get("rejectedLogEventsInfo"):
            self._log("W! [logs] %s/%s: rejected %s" % (group, stream, json.dumps(answer["rejectedLogEventsInfo"])))
        done(last)

    def _stream(self, group, stream, retention, endpoint):
        """Make the log group and the stream unless they are there, as the agent does."""
        if (group, stream) in self._streams:
            return
        ours = {"logGroupName": group}
        try:
            self._create("CreateLogStream", {**ours, "logStreamName": stream}, endpoint)
        except CallError as error:
            if error.code != "ResourceNotFoundException":
                raise
            self._create("CreateLogGroup", ours, endpoint)
            if retention > 0:
                self._create("PutRetentionPolicy", {**ours, "retentionInDays": retention}, endpoint)
            self._create("CreateLogStream", {**ours, "logStreamName": stream}, endpoint)
        self._streams.add((group, stream))

    def _create(self, action, body, endpoint):
        try:
            self._client.json_call("logs", "Logs_20140328." + action, body, endpoint)
        except CallError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise

    def _fill(self, text):
        """Replace `{instance_id}`, `{hostname}` and their kind in names of log groups and streams."""
        for key, fact in (
            ("{instance_id}", "InstanceId"),
            ("{ami_id}", "ImageId"),
            ("{instance_type}", "InstanceType"),
        ):
            if key in text:
                text = text.replace(key, self._fact(fact))
        return text.replace("{hostname}", socket.gethostname()).replace("{local_hostname}", socket.gethostname())

    def _resolve(self, text):
        """Replace `${aws:InstanceId}` and its kind; None if the instance has no such thing."""
        for name in PLACEHOLDER.findall(text):
            value = self._group() if name == "AutoScalingGroupName" else self._fact(name)
            if not value:
                return None
            text = text.replace("${aws:%s}" % name, value)
        return text

    def _fact(self, name):
        if name not in self._facts:
            self._facts[name] = self._metadata.get(_METADATA[name])
        return self._facts[name]

    def _group(self):
        """Return the Auto Scaling group's name, which the agent reads from the instance's tags."""
        if "group" not in self._facts:
            parameters = {
                "Action": "DescribeTags",
                "Version": "2016-11-15",
                "Filter.1.Name": "resource-id",
                "Filter.1.Value.1": self._fact("InstanceId"),
                "Filter.2.Name": "key",
                "Filter.2.Value.1": "aws:autoscaling:groupName",
            }
            answer = self._client.query_call("ec2", parameters)
            found = [one.text for one in answer.iter() if one.tag.rsplit("}", 1)[-1] == "value"]
            self._facts["group"] = found[0] if found else None
        return self._facts["group"]

    def _region(self):
        region = self._config.get("agent", {}).get("region") or os.environ.get("AWS_DEFAULT_REGION")
        try:
            return region or self._metadata.get("placement/region") or "us-east-1"
        except CallError:
            return "us-east-1"

    def _try(self, what, work):
        """Do a piece of work; a failure is logged once until it changes, and tried again the next time."""
        try:
            work()
            if self._reported.pop(what, None):
                self._log("I! [%s] works again" % what)
        except (CallError, OSError, KeyError, ValueError) as error:
            text = "%s: %s" % (type(error).__name__, error)
            if self._reported.get(what) != text:
                self._reported[what] = text
                self._log("E! [%s] %s" % (what, text))

    def _stop(self, _number, _frame):
        self._stopping = True

    def _sleep(self, seconds):
        # SIGTERM ends the sleep early: a handler that only sets a flag would be heard after it (PEP 475).
        until = time.monotonic() + max(seconds, 0.05)
        while not self._stopping and time.monotonic() < until:
            time.sleep(min(0.5, max(until - time.monotonic(), 0)))


def read_environment(path="/etc/environment"):
    """Take variables of /etc/environment that the service manager did not give."""
    try:
        with open(path) as handle:
            for line in handle:
                name, sign, value = line.strip().partition("=")
                if sign and not name.startswith("#"):
                    os.environ.setdefault(name, value.strip("\"'"))
    except OSError:
        pass


def main(config_path, log):
    """Run with the configuration that the control command has put in force."""
    read_environment()
    with open(config_path) as handle:
        Agent(json.load(handle), log).run()
