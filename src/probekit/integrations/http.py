"""What every integration of an HTTP server needs: metrics, methods, trace context.

Framework modules come here with strings; this module knows no framework. Nothing
here reads a body, a query or a header other than ``traceparent``.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from fnmatch import translate
from typing import TypeAlias

from probekit.errors import ConfigError
from probekit.model import AttributeValue
from probekit.recording.attributes import type_name
from probekit.recording.errors.seen import is_new, mark_recorded
from probekit.recording.events import record_error
from probekit.recording.handle import Handle
from probekit.recording.instruments import histogram, up_down_counter
from probekit.recording.registry import REGISTRY

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


# What tells one series of answered requests from its sisters; a plain tuple, because it
# is made for every request: method, scheme, route template (empty: no route matched),
# status (three digits; empty: nothing was answered), protocol as servers write it
# (HTTP/1.1), type of the exception (empty: none).
Answer: TypeAlias = "tuple[str, str, str, str, str, str]"


def known_method(method: str) -> str:
    """Return *method*, or ``_OTHER`` for one that a client made up."""
    return method if method in METHODS else OTHER


def known_scheme(scheme: str) -> str:
    """Return *scheme*, or ``_OTHER`` for one that a proxy's header made up."""
    return scheme if scheme in _SCHEMES else OTHER


class ServerMetrics:
    """The two metrics of an HTTP server, with a bounded memory of bound handles.

    Attributes:
        actives: (method, scheme) → what counts requests in flight.
        durations: Answer → what takes their durations. Both hold what clients cannot
            make up; what they do not hold is asked of ``active`` and ``duration``.
    """

    __slots__ = ("_active", "_duration", "actives", "durations")

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
        self.actives: dict[tuple[str, str], Handle] = {}
        self.durations: dict[Answer, Handle] = {}

    def active(self, method: str, scheme: str) -> Handle:
        """Give what counts requests in flight; it wants 1, later -1."""
        key = known_method(method), known_scheme(scheme)
        handle = self.actives.get(key)
        if handle is None:
            attributes = {"http.request.method": key[0], "url.scheme": key[1]}
            handle = self.actives[key] = self._active.handle(attributes)
        return handle

    def duration(self, answer: Answer) -> Handle:
        """Give what takes the seconds of such requests."""
        method, scheme, route, status, protocol, error = answer
        key = (
            known_method(method),
            known_scheme(scheme),
            route,
            str(status)[:3],
            protocol if protocol in _VERSIONS else "",
            error,
        )
        handle = self.durations.get(key)
        if handle is None:
            handle = self._duration.handle(attributes_of(key))
            if len(self.durations) < _CACHE_LIMIT:
                self.durations[key] = handle
        return handle


def attributes_of(answer: Answer) -> "dict[str, AttributeValue]":
    """Write an answer as the attributes of the semantic conventions.

    A 5xx status without an exception speaks for itself.

    Example:
        >>> found = attributes_of(("GET", "http", "", "503", "HTTP/1.1", ""))
        >>> found["error.type"], "http.route" in found
        ('503', False)

    """
    method, scheme, route, status, protocol, error = answer
    attributes: dict[str, AttributeValue] = {
        "http.request.method": known_method(method),
        "url.scheme": known_scheme(scheme),
    }
    if route:
        attributes["http.route"] = route
    if status.isdecimal():
        attributes["http.response.status_code"] = int(status)
    if protocol in _VERSIONS:
        attributes["network.protocol.version"] = _VERSIONS[protocol]
    if error or status.startswith("5"):
        attributes["error.type"] = error or status
    return attributes


def error_type(error: BaseException) -> str:
    """Name an exception's class, with its module unless it is a builtin.

    Only subclasses of ``Exception`` are errors; for others the answer is empty.

    Example:
        >>> error_type(ValueError()), error_type(SystemExit())
        ('ValueError', '')

    """
    return type_name(type(error)) if isinstance(error, Exception) else ""


def record_unhandled(error: Exception, answer: Answer, began_s: float) -> None:
    """Record an exception that left the application, with its request.

    One that was recorded on its way, by a probe, a job or the application's own log,
    is not recorded again: that was a better place.

    Args:
        error: What nobody handled; nothing of it is kept.
        answer: The request, as far as it is known.
        began_s: When it began, ``perf_counter()`` seconds.

    """
    if not is_new(error, began_s):
        return
    method, _, route, *_ = answer
    attributes: dict[str, AttributeValue] = {
        "http.request.method": known_method(method)
    }
    if route:
        attributes["http.route"] = route
    record_error(REGISTRY, error, attributes)
    mark_recorded(error)


def excluded_paths(exclude: "str | Iterable[str]") -> "re.Pattern[str] | None":
    """Make one pattern of the paths that are not recorded; None when there are none.

    Args:
        exclude: A path or several; ``*`` stands for any text.

    Raises:
        ConfigError: A pattern is not text or does not begin with ``/`` or ``*``.

    Example:
        >>> bool(excluded_paths(["/health", "/static/*"]).match("/static/a.css"))
        True

    """
    patterns = [exclude] if isinstance(exclude, str) else list(exclude)
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.startswith(("/", "*")):
            raise ConfigError(
                f"exclude: {pattern!r} is not a path pattern such as '/health' or "
                "'/static/*'",
            )
    if not patterns:
        return None
    return re.compile("|".join(map(translate, patterns)))


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
