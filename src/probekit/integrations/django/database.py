"""Database time of a request, through Django's own hook for executed statements.

The wrapper stays on a connection for good; it adds to the tally of the request that it
runs for, in whichever thread, and does nothing outside of one. Statements and their
parameters are not looked at.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

from probekit.model import AttributeValue
from probekit.recording.instruments import histogram

# Seconds of each statement so far; None outside of a request.
TALLY: "ContextVar[list[float] | None]" = ContextVar("probekit_db", default=None)


def timed(
    execute: "Callable[..., Any]",
    sql: Any,
    params: Any,
    many: Any,
    context: Any,
) -> Any:
    """Run a statement; an ``execute_wrapper`` as Django calls them."""
    tally = TALLY.get()
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


@contextmanager
def tallied(tally: "list[float]") -> "Iterator[None]":
    """Add what is executed inside to *tally*."""
    token = TALLY.set(tally)
    try:
        yield
    finally:
        TALLY.reset(token)


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

    def record(self, tally: "list[float]", method: str, route: str) -> None:
        """Take the statements of one request."""
        if not tally:
            return
        attributes: dict[str, AttributeValue] = {"http.request.method": method}
        if route:
            attributes["http.route"] = route
        self._duration.record(sum(tally), attributes)
        self._operations.record(len(tally), attributes)
