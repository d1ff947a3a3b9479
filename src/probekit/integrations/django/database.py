"""Database time of a request, through Django's own hook for executed statements.

The wrapper stays on a connection for good; it adds to the tally of the request that it
runs for, in whichever thread, and does nothing outside of one. Statements and their
parameters are not looked at.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from time import perf_counter
from typing import Any, TypeAlias

from django.db import connections
from django.db.backends.signals import connection_created

from probekit.integrations.http import known_method
from probekit.model import Harvest, Series
from probekit.notice import notice
from probekit.recording.handle import Handle, Invalid
from probekit.recording.instruments import Histogram, histogram
from probekit.recording.registry import REGISTRY, Registry

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

    __slots__ = ()

    def __init__(self) -> None:
        """Make the instruments.

        Raises:
            BadName: The application has others of these names.

        """
        _STATEMENTS.open()

    def record(self, times_s: "list[float]", method: str, route: str) -> None:
        """Take the statements of one request; at least one."""
        # Added up now: a thread that the request has left behind may go on.
        _STATEMENTS.append((method, route, sum(times_s), len(times_s)))


_Key: TypeAlias = "tuple[str, str]"


class _Statements(Handle):
    """Requests with their statements, until the draining thread has counted them.

    See ``ledger``, which does the same for the requests themselves.
    """

    __slots__ = ("_found", "_registry", "_touched")

    def __init__(self, registry: Registry = REGISTRY) -> None:
        series = Series("probekit.http.server.db.duration", "histogram", "s")
        super().__init__(series, -1)
        self._registry = registry
        self._found: dict[_Key, tuple[list[float], list[float]]] = {}
        self._touched: list[Handle] = []
        registry.handles.insert(0, self)

    @staticmethod
    def open() -> "tuple[Histogram, Histogram]":
        duration = histogram(
            "probekit.http.server.db.duration",
            unit="s",
            description="Time that a request spent executing database statements.",
        )
        operations = histogram(
            "probekit.http.server.db.operations",
            unit="{operation}",
            description="Database statements that a request executed.",
        )
        return duration, operations

    def forget(self) -> None:
        super().forget()
        self._found, self._touched = {}, []

    def fold(self, invalid: Invalid, *, most: "int | None" = None) -> None:
        self._settle(most)
        touched, self._touched = self._touched, []
        for handle in touched:
            handle.fold(invalid)

    def harvest(self, into: Harvest, invalid: Invalid) -> None:
        self._settle(None)
        touched, self._touched = self._touched, []
        for handle in touched:
            handle.harvest(into, invalid)

    def _settle(self, most: "int | None") -> None:
        self._hand_on()  # what an interrupt has left
        chunk = self.values[:most]
        taken = len(chunk)
        found: dict[_Key, tuple[list[float], list[float]]] = {}
        for method, route, seconds, n in chunk:
            durations, operations = found.setdefault((method, route), ([], []))
            durations.append(seconds)
            operations.append(n)
        del self.values[:taken]
        self._found = found
        self._hand_on()

    def _hand_on(self) -> None:
        for key in list(self._found):
            handles = self._handles(key)
            if handles is not None:
                seconds, counts = handles[0].values, handles[1].values
                more = self._found[key]
                seconds += more[0]
                counts += more[1]
            del self._found[key]

    def _handles(self, key: _Key) -> "tuple[Handle, Handle] | None":
        method, route = key
        try:
            attributes = {"http.request.method": known_method(method)}
            if route:
                attributes["http.route"] = route
            durations, operations = (each.handle(attributes) for each in self.open())
        except Exception as error:
            self._registry.loss(
                "metrics", "internal_error", 2 * len(self._found[key][0])
            )
            notice("django-db", "probekit: statements were not counted", error)
            return None
        self._touched += [durations, operations]
        return durations, operations


_STATEMENTS = _Statements()


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
            self._metrics.record(self._times_s, request.method or "", route)

    @contextmanager
    def within(self) -> "Iterator[None]":
        """Add what is executed inside, in whatever context that is."""
        token = _CURRENT.set(self._times_s)
        try:
            yield
        finally:
            _CURRENT.reset(token)
