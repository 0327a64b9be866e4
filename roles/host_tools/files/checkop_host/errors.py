"""Errors that end a command with one clear sentence."""


class HostError(Exception):
    """Something outside is not as it must be: exit status 1."""

    status = 1


class AwsError(HostError):
    """AWS refuses or does not answer. `code` is the error code of its answer, or "" where there was none."""

    def __init__(self, text, code):
        super(AwsError, self).__init__(text)
        self.code = code


class UsageError(HostError):
    """The command was given something it cannot take: exit status 2."""

    status = 2
