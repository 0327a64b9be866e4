"""Pages of an answer, with the token of the next one."""

from collections.abc import Sequence
from typing import TypeVar

from lab.api.base import Refusal

T = TypeVar("T")


def page(items: Sequence[T], token: str | None, size: int | None) -> tuple[list[T], str | None]:
    """Return one page of items and the token of the next page, None after the last.

    `token` is what the page before answered, `size` the most items of a page; None: all of them. Refused with
    InvalidNextToken when the token is none of ours.
    """
    if token is not None and not token.isdigit():
        raise Refusal("InvalidNextToken", f"The token '{token}' is not valid.")
    start = int(token or 0)
    end = start + size if size else len(items)
    return list(items[start:end]), str(end) if end < len(items) else None
