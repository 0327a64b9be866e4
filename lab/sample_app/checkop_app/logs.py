"""Logs by level: one file each for debug, info, warning and error."""

import logging
import logging.handlers
import os

LEVELS = ("debug", "info", "warning", "error")


class _Exactly(logging.Filter):
    def __init__(self, level):
        logging.Filter.__init__(self)
        self._level = level

    def filter(self, record):
        if self._level == logging.ERROR:
            return record.levelno >= self._level
        return record.levelno == self._level


def configure(directory):
    """Send each level to its own file in `directory`; rotation is logrotate's, which moves files away."""
    logger = logging.getLogger("checkop")
    logger.setLevel(logging.DEBUG)
    for name in LEVELS:
        level = getattr(logging, name.upper())
        handler = logging.handlers.WatchedFileHandler(os.path.join(directory, name + ".log"))
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
        handler.addFilter(_Exactly(level))
        logger.addHandler(handler)
    return logger
