"""Where the program says what it does: the journal, and standard error for whoever runs it by hand."""

import logging
import logging.handlers
import os
import sys

# sd-daemon(3): a level at the start of a line, which journald takes off again.
_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_SOCKET = "/dev/log"


class _UnitFormatter(logging.Formatter):
    def format(self, record):
        return "<%d>%s" % (_LEVELS.get(record.levelno, 6), logging.Formatter.format(self, record))


def start(verbose=False):
    """Log to the journal. Units set CHECKOP_HOST_LOG=journal: their standard error leads there already."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for noisy in ("boto3", "botocore", "urllib3", "s3transfer"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stream = logging.StreamHandler(sys.stderr)
    root.addHandler(stream)
    if os.environ.get("CHECKOP_HOST_LOG") == "journal":
        stream.setFormatter(_UnitFormatter("%(message)s"))
        return
    stream.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    if os.path.exists(_SOCKET):
        journal = logging.handlers.SysLogHandler(_SOCKET)
        journal.setFormatter(logging.Formatter("checkop-host[%(process)d]: %(message)s"))
        root.addHandler(journal)


def journal_only(text):
    """Log an error to the journal but not to a terminal, where the caller prints it once."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.handlers.SysLogHandler) or isinstance(handler.formatter, _UnitFormatter):
            handler.handle(logging.LogRecord(__name__, logging.ERROR, "", 0, text, None, None))
