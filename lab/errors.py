"""The one error that the lab's commands show to a person."""


class LabError(Exception):
    """Something a person can mend: its text is a full sentence that says how. Commands print it and exit 1."""
