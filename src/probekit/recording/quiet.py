"""Silence on request: what ``suppress()`` covers and how integrations ask for it."""

import os
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType

_SUPPRESSED: "ContextVar[bool]" = ContextVar("probekit_suppressed", default=False)


def is_disabled() -> bool:
    """Whether ``PROBEKIT_DISABLE`` in the environment asks that nothing be recorded."""
    return os.environ.get("PROBEKIT_DISABLE", "").lower() in {"1", "true", "yes", "on"}


def suppressed() -> bool:
    """Whether the code running here asked not to be recorded."""
    return _SUPPRESSED.get()


def silence_thread() -> None:
    """Suppress the calling thread for good; for probekit's own threads.

    Patched libraries ask :func:`suppressed`; probes in code that such a thread calls
    (a user's exporter) are recorded nevertheless, so that no other thread pays.
    """
    _SUPPRESSED.set(True)


class Suppression:
    """A block whose calls are not recorded; see ``probekit.suppress``."""

    __slots__ = ("_hold", "_release", "_tokens")

    def __init__(self, hold: Callable[[], None], release: Callable[[], None]) -> None:
        """Bind to a registry's watch."""
        self._hold = hold
        self._release = release
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        """Begin; blocks may nest."""
        self._hold()
        self._tokens.append(_SUPPRESSED.set(True))

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """End; an exception passes."""
        self._release()
        _SUPPRESSED.reset(self._tokens.pop())
