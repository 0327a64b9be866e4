"""The one error that a user is shown without a traceback."""

from __future__ import annotations


class CheckopError(Exception):
    """Something the user can mend: what was found, where, what is allowed, and how to mend it.

    Parameters
    ----------
    message:
        One or more sentences for a person; the first names the variable or resource.
    """
