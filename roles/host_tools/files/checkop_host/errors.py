"""Errors that end a command with one clear sentence."""


class HostError(Exception):
    """Something outside is not as it must be: exit status 1."""

    status = 1


class UsageError(HostError):
    """The command was given something it cannot take: exit status 2."""

    status = 2
