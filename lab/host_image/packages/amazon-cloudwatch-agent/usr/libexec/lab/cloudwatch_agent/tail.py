"""Follow log files: events of one or more lines, and offsets that move only once CloudWatch Logs has the events."""

import datetime
import glob
import json
import os
import re
import time

_CHUNK_BYTES = 1 << 20
_SETTLE_SECONDS = 1.0
# CloudWatch Logs takes 256 KiB an event; the agent cuts what is longer.
_EVENT_CHARACTERS = 256 * 1024 // 4
# What the agent's timestamp_format may hold beyond strptime(3) in C: its own spellings.
_FORMATS = {"%-m": "%m", "%-d": "%d", "%-H": "%H", "%-M": "%M", "%-S": "%S", "%-I": "%I"}
_NUMBERS = {
    "%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%H": r"\d{1,2}", "%M": r"\d{1,2}",
    "%S": r"\d{1,2}", "%f": r"\d{1,9}", "%b": r"[A-Za-z]{3}", "%B": r"[A-Za-z]+", "%a": r"[A-Za-z]{3}",
    "%A": r"[A-Za-z]+", "%z": r"[+-]\d{4}|Z", "%Z": r"[A-Z]{3,4}", "%p": r"AM|PM", "%I": r"\d{1,2}",
}  # fmt: skip


class Stamp:
    """Finds an event's time by the configuration's `timestamp_format`."""

    def __init__(self, template, zone):
        for own, standard in _FORMATS.items():
            template = template.replace(own, standard)
        self._format = template
        parts = re.split(r"(%[A-Za-z])", template)
        expressions = [f"(?:{_NUMBERS[part]})" if part in _NUMBERS else re.escape(part) for part in parts]
        self.pattern = re.compile("(" + "".join(expressions) + ")")
        self._zone = datetime.timezone.utc if zone == "UTC" else None

    def of(self, line, default):
        """Return milliseconds since the epoch; `default` if the line has no time."""
        found = self.pattern.search(line)
        if not found:
            return default
        text = re.sub(r"(\.\d{6})\d+", r"\1", found.group(1))
        try:
            moment = datetime.datetime.strptime(text, self._format)
        except ValueError:
            return default
        if "%Y" not in self._format and "%y" not in self._format:
            moment = moment.replace(year=datetime.datetime.now().year)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone) if self._zone else moment.astimezone()
        return int(moment.timestamp() * 1000)


class Follower:
    """Follows what one `file_path` names: the newest file that matches it, as the agent does."""

    def __init__(self, entry, state_folder):
        self.entry = entry
        stamp = entry.get("timestamp_format")
        self._stamp = Stamp(stamp, entry.get("timezone", "Local")) if stamp else None
        start = entry.get("multi_line_start_pattern")
        if start == "{timestamp_format}":
            self._start = self._stamp.pattern if self._stamp else None
        else:
            self._start = re.compile(start) if start else None
        self._state_path = os.path.join(state_folder, re.sub(r"[^A-Za-z0-9.-]", "_", entry["file_path"]))
        self._handle = None
        self._inode = None
        self._offset = 0

    def events(self):
        """Return complete events that CloudWatch has not got, as (milliseconds, text, offset behind it)."""
        self._open()
        if self._handle is None:
            return []
        self._handle.seek(self._offset)
        data = self._handle.read(_CHUNK_BYTES)
        full = len(data) == _CHUNK_BYTES
        found = list(self._grouped(data[: data.rfind(b"\n") + 1], more=full))
        if not found and full:
            # One event fills the whole chunk: it is taken as far as it goes, or nothing would ever move on.
            found = [(int(time.time() * 1000), self._text(data), self._offset + len(data))]
        return [(when, text[:_EVENT_CHARACTERS], offset) for when, text, offset in found]

    def done(self, offset):
        """Remember that everything before `offset` is with CloudWatch."""
        self._offset = offset
        draft = self._state_path + ".new"
        with open(draft, "w") as handle:
            json.dump({"inode": self._inode, "offset": offset, "file": self._handle.name}, handle)
        os.replace(draft, self._state_path)

    def _grouped(self, data, more):
        now = int(time.time() * 1000)
        position, text, when = self._offset, [], now
        for line in data.splitlines(keepends=True):
            plain = self._text(line)
            if text and (self._start is None or self._start.search(plain)):
                yield when, "\n".join(text), position
                text = []
            if not text:
                when = self._stamp.of(plain, now) if self._stamp else now
            text.append(plain)
            position += len(line)
        # The last event of several lines may still grow: it is taken once the file has been quiet for a while.
        if text and (self._start is None or (not more and time.time() - self._quiet_since() > _SETTLE_SECONDS)):
            yield when, "\n".join(text), position

    def _text(self, data):
        return data.decode(self.entry.get("encoding", "utf-8"), errors="replace").rstrip("\r\n")

    def _quiet_since(self):
        return os.fstat(self._handle.fileno()).st_mtime

    def _open(self):
        found = [path for path in glob.glob(self.entry["file_path"]) if os.path.isfile(path)]
        newest = max(found, key=os.path.getmtime) if found else None
        if self._handle is not None:
            status = os.fstat(self._handle.fileno())
            if status.st_size < self._offset:
                self._offset = 0
            # What is left of a rotated file goes first.
            if newest is None or os.stat(newest).st_ino == self._inode or status.st_size > self._offset:
                return
            self._handle.close()
            self._handle, self._offset = None, 0
        if newest is None:
            return
        self._handle = open(newest, "rb")
        status = os.fstat(self._handle.fileno())
        self._inode = status.st_ino
        state = self._state()
        same = state.get("inode") == self._inode and state.get("offset", 0) <= status.st_size
        self._offset = state["offset"] if same else 0

    def _state(self):
        try:
            with open(self._state_path) as handle:
                return json.load(handle)
        except (OSError, ValueError):
            return {}
