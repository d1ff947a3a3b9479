"""Database time of a request, through Django's own hook for executed statements.

The wrapper stays on a connection for good; it adds to the tally of the request that it
runs for, in whichever thread, and does nothing outside of one. Statements and their
parameters are not looked at.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from time import perf_counter
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from probekit.integrations.http import known_method
from probekit.model import AttributeValue
from probekit.recording.instruments import histogram

_NO_DATABASE = "django.db.backends.dummy"

# Seconds of each statement so far; None outside of a request.
_CURRENT: "ContextVar[list[float] | None]" = ContextVar("probekit_db", default=None)


def timed(
    execute: "Callable[..., Any]",
    sql: Any,
    params: Any,
    many: Any,
    context: Any,
) -> Any:
    """Run a statement; an ``execute_wrapper`` as Django calls them."""
    tally = _CURRENT.get()
    if tally is None:
        return execute(sql, params, many, context)
    began_s = perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        tally.append(perf_counter() - began_s)


def watch_connections() -> None:
    """Time the statements of this thread's open connections and of all future ones."""
    connection_created.connect(_watch, weak=False, dispatch_uid="probekit")
    for connection in connections.all(initialized_only=True):
        _watch(connection=connection)


def _watch(*, connection: Any, **_facts: Any) -> None:
    # At the front: a project's own ``with execute_wrapper(...)`` takes the last one
    # away at its end, and a connection may be opened inside of it.
    if timed not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, timed)


def has_databases() -> bool:
    """Whether the project uses any: without one, requests pay nothing for it."""
    engines = (settings["ENGINE"] for settings in connections.settings.values())
    return any(engine != _NO_DATABASE for engine in engines)


class DatabaseMetrics:
    """What requests spend in databases; one value for each request that asks one."""

    __slots__ = ("_duration", "_operations")

    def __init__(self) -> None:
        """Make the instruments."""
        self._duration = histogram(
            "probekit.http.server.db.duration",
            unit="s",
            description="Time that a request spent executing database statements.",
        )
        self._operations = histogram(
            "probekit.http.server.db.operations",
            unit="{operation}",
            description="Database statements that a request executed.",
        )

    def record(self, times_s: "list[float]", method: str, route: str) -> None:
        """Take the statements of one request; at least one."""
        attributes: dict[str, AttributeValue] = {"http.request.method": method}
        if route:
            attributes["http.route"] = route
        self._duration.record(sum(times_s), attributes)
        self._operations.record(len(times_s), attributes)


class Tally:
    """The statements of one request, from its making on."""

    __slots__ = ("_metrics", "_times_s", "_token")

    def __init__(self, metrics: DatabaseMetrics) -> None:
        """Begin: what is executed in this context is this request's."""
        self._metrics = metrics
        self._times_s: list[float] = []
        self._token: Token[list[float] | None] | None = _CURRENT.set(self._times_s)

    def leave(self) -> None:
        """Stop adding what this context executes."""
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _CURRENT.reset(token)
        except ValueError:  # ended in another context than it began in
            _CURRENT.set(None)

    def record(self, request: Any, route: str) -> None:
        """Record what there was of *request*, if anything, and leave."""
        self.leave()
        if self._times_s:
            method = known_method(request.method or "")
            self._metrics.record(self._times_s, method, route)

    @contextmanager
    def within(self) -> "Iterator[None]":
        """Add what is executed inside, in whatever context that is."""
        token = _CURRENT.set(self._times_s)
        try:
            yield
        finally:
            _CURRENT.reset(token)
