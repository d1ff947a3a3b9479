"""What the public names are under ``PROBEKIT_DISABLE=1``: calls that do nothing.

They take what the others take and are the cheapest calls that Python has.
"""

# ruff: noqa: ARG001, ARG002 - they take what the others take
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound="Callable[..., Any]")


class Silent:
    """Stands in for every instrument, bound or not, and for every block."""

    __slots__ = ()

    def add(self, amount: float = 1, attributes: Any = None) -> None:
        """Do nothing."""

    def set(self, value: float, attributes: Any = None) -> None:
        """Do nothing."""

    def record(self, value: float, attributes: Any = None) -> None:
        """Do nothing."""

    def bind(self, attributes: Any = None) -> "Silent":
        """Return the same."""
        return self

    def __call__(self, function: F) -> F:
        """Return *function* itself."""
        return function

    def __enter__(self) -> "Silent":  # noqa: PYI034 - typing.Self is 3.11's
        """Do nothing."""
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Do nothing; an exception passes."""

    async def __aenter__(self) -> "Silent":  # noqa: PYI034 - likewise
        """Do nothing."""
        return self

    async def __aexit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Do nothing; an exception passes."""


SILENT = Silent()


def counter(name: str, unit: str = "", description: str = "") -> Silent:
    """Return what does nothing."""
    return SILENT


gauge = histogram = counter


def up_down_counter(
    name: str,
    unit: str = "",
    description: str = "",
    *,
    ends_with_process: bool = False,
) -> Silent:
    """Return what does nothing."""
    return SILENT


def timer(
    name: str,
    *,
    attributes: "Mapping[str, Any] | None" = None,
    description: str = "",
) -> Silent:
    """Return a block that does nothing."""
    return SILENT


def job(name: str, *, attributes: "Mapping[str, Any] | None" = None) -> Silent:
    """Return a block that does nothing."""
    return SILENT


def count(name: str, /, value: float = 1, **attributes: Any) -> None:
    """Do nothing."""


def event(
    name: str,
    attributes: "Mapping[str, Any] | None" = None,
    *,
    severity: int = 9,
    body: str = "",
    durable: bool = False,
) -> None:
    """Do nothing."""


def record_exception(
    error: BaseException,
    *,
    attributes: "Mapping[str, Any] | None" = None,
    severity: int = 17,
) -> None:
    """Do nothing."""
