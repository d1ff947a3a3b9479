"""What every integration of an HTTP server needs: metrics, methods, trace context.

Framework modules come here with strings; this module knows no framework. Nothing
here reads a body, a query or a header other than ``traceparent``.
"""

import re
from contextvars import ContextVar
from typing import NamedTuple, Protocol

from probekit.model import AttributeValue
from probekit.recording.attributes import type_name
from probekit.recording.events import record_error
from probekit.recording.instruments import histogram, up_down_counter
from probekit.recording.registry import REGISTRY
from probekit.recording.stack import WALK_LIMIT
from probekit.recording.template import FILENAME

METHODS = frozenset(
    {
        *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS"),
        *("PATCH", "POST", "PUT", "QUERY", "TRACE"),
    },
)
OTHER = "_OTHER"  # the conventions' word for what clients could invent without end

_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_VERSIONS = {
    "HTTP/1.0": "1.0",
    "HTTP/1.1": "1.1",
    "HTTP/2": "2",
    "HTTP/2.0": "2",
    "HTTP/3": "3",
    "HTTP/3.0": "3",
}
_CACHE_LIMIT = 2000  # as many as an instrument keeps apart; see its overflow series


class Adds(Protocol):
    """A bound up-down counter."""

    def add(self, value: float) -> None:
        """Add."""


class Records(Protocol):
    """A bound histogram."""

    def record(self, value: float) -> None:
        """Record."""


class Answer(NamedTuple):
    """What tells one series of answered requests from its sisters; see ``answer``.

    Attributes:
        method: A known method, or ``_OTHER``.
        scheme: ``http`` or ``https``.
        route: Template, ``/orders/<int:number>``; empty when no route matched.
        status: Three digits, or empty when nothing was answered.
        version: ``1.1``, or empty.
        error: Type of the exception, or empty; a 5xx status speaks for itself.
    """

    method: str
    scheme: str
    route: str
    status: str
    version: str
    error: str


def known_method(method: str) -> str:
    """Return *method*, or ``_OTHER`` for one that a client made up."""
    return method if method in METHODS else OTHER


def known_scheme(scheme: str) -> str:
    """Return *scheme*, or ``_OTHER`` for one that a proxy's header made up."""
    return scheme if scheme in _SCHEMES else OTHER


def version_of(protocol: str) -> str:
    """Return the version in a server's ``HTTP/1.1``; empty for unknown ones."""
    return _VERSIONS.get(protocol, "")


class ServerMetrics:
    """The two metrics of an HTTP server, with a bounded memory of bound handles."""

    __slots__ = ("_active", "_actives", "_duration", "_durations")

    def __init__(self) -> None:
        """Make the instruments; the same ones for every application of the process."""
        self._duration = histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
        )
        self._active = up_down_counter(
            "http.server.active_requests",
            unit="{request}",
            description="Number of active HTTP server requests.",
            ends_with_process=True,
        )
        self._durations: dict[Answer, Records] = {}
        self._actives: dict[tuple[str, str], Adds] = {}

    def active(self, method: str, scheme: str) -> Adds:
        """Give the handle that counts requests in flight; add 1, later -1, to it.

        Args:
            method: A known method, or ``_OTHER``.
            scheme: A known scheme, or ``_OTHER``: few pairs, all are kept.

        """
        handle = self._actives.get((method, scheme))
        if handle is None:
            handle = self._actives[method, scheme] = self._active.bind(
                {"http.request.method": method, "url.scheme": scheme},
            )
        return handle

    def duration(self, answer: Answer) -> Records:
        """Give the handle that takes the seconds of such requests."""
        handle = self._durations.get(answer)
        if handle is None:
            handle = self._duration.bind(attributes_of(answer))
            if len(self._durations) < _CACHE_LIMIT:
                self._durations[answer] = handle
        return handle


def attributes_of(answer: Answer) -> "dict[str, AttributeValue]":
    """Write an answer as the attributes of the semantic conventions.

    Example:
        >>> attributes = attributes_of(Answer("GET", "http", "", "503", "1.1", ""))
        >>> attributes["error.type"], "http.route" in attributes
        ('503', False)

    """
    attributes: dict[str, AttributeValue] = {
        "http.request.method": answer.method,
        "url.scheme": answer.scheme,
    }
    if answer.route:
        attributes["http.route"] = answer.route
    if answer.status.isdecimal():
        attributes["http.response.status_code"] = int(answer.status)
    if answer.version:
        attributes["network.protocol.version"] = answer.version
    if answer.error or answer.status.startswith("5"):
        attributes["error.type"] = answer.error or answer.status
    return attributes


def error_type(error: BaseException) -> str:
    """Name an exception's class, with its module unless it is a builtin.

    Only subclasses of ``Exception`` are errors; for others the answer is empty.

    Example:
        >>> error_type(ValueError()), error_type(SystemExit())
        ('ValueError', '')

    """
    return type_name(type(error)) if isinstance(error, Exception) else ""


def record_unhandled(error: Exception, answer: Answer) -> None:
    """Record an exception that left the application, with its request.

    One that a probe has seen on its way is recorded already, at a better place.

    Args:
        error: What nobody handled; nothing of it is kept.
        answer: The request, as far as it is known.

    """
    trace = error.__traceback__
    for _ in range(WALK_LIMIT):
        if trace is None:
            break
        if trace.tb_frame.f_code.co_filename == FILENAME:
            return
        trace = trace.tb_next
    attributes: dict[str, AttributeValue] = {"http.request.method": answer.method}
    if answer.route:
        attributes["http.route"] = answer.route
    record_error(REGISTRY, error, attributes)


_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})"
    r"-(?!0{32})(?P<trace>[0-9a-f]{32})"
    r"-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-[0-9a-f]{2}(?P<more>-.*)?",
)

_NO_IDS = ("", "")
REMOTE: "ContextVar[tuple[str, str]]" = ContextVar("probekit.remote", default=_NO_IDS)


def parse_traceparent(header: str) -> "tuple[str, str] | None":
    """Read a W3C ``traceparent``; anything but a valid one is nothing.

    Args:
        header: The header's value.

    Returns:
        Trace id (32 hex digits) and the caller's span id (16), or None.

    Source:
        W3C Trace Context, 3.2: version ff is invalid, version 00 has nothing behind
        the flags, later ones may; ids are lower case and not all zeros.

    Example:
        >>> parse_traceparent(f"00-{'a' * 32}-{'b' * 16}-01")[1]
        'bbbbbbbbbbbbbbbb'

    """
    found = _TRACEPARENT.fullmatch(header)
    if found is None or (found["version"] == "00" and found["more"] is not None):
        return None
    return found["trace"], found["span"]


def share_trace_ids() -> None:
    """Let events and errors recorded during a request carry its caller's ids.

    Leaves the registry's hook alone when somebody else, a tracer, has set it.
    """
    if REGISTRY.trace_ids is None:
        REGISTRY.trace_ids = REMOTE.get
