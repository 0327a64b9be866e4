"""How a service of moto is replaced by ours: a subclass of its backend, and one of its request handler.

moto creates backends from the class that its `BackendDict` holds and finds handlers through the backend, so both are
replaced in one place, `lab.api.registry`, and nothing of moto is patched.
"""

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any, ClassVar

from moto.core.exceptions import ServiceException


class Refusal(ServiceException):  # type: ignore[misc]
    """An error that a client gets: `code` is the one of the service's API model."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


class LabBackend:
    """Mixed in before a backend of moto; `responses` is the handler that the registry gives it."""

    service: ClassVar[str]
    responses: ClassVar[Any]

    @property
    def _url_module(self) -> Any:
        """Return the URLs of moto's service with our handler in the place of moto's."""
        urls = import_module(f"moto.{self.service}.urls")
        return SimpleNamespace(
            url_bases=urls.url_bases,
            url_paths={path: self._ours(handler) for path, handler in urls.url_paths.items()},
        )

    def _ours(self, handler: Callable[..., Any]) -> Any:
        owner = getattr(handler, "__self__", None)
        if getattr(owner, "__module__", "").startswith(f"moto.{self.service}.responses"):
            return getattr(self.responses, handler.__name__)
        return handler
