"""One request over WSGI, from the server's call to the last byte of the answer.

An exchange belongs to the thread that serves the request and is found by hooks under
``environ["probekit.exchange"]`` while it lasts. It never raises.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from time import perf_counter
from typing import Any, Protocol

from probekit.integrations.http import (
    REMOTE,
    Answer,
    Append,
    ServerMetrics,
    error_type,
    parse_traceparent,
    record_unhandled,
)
from probekit.integrations.progress import tell_interrupted, underway
from probekit.integrations.spans import end_request, environ_header, serve_request
from probekit.notice import notice
from probekit.recording.registry import REGISTRY
from probekit.recording.running import UNDERWAY
from probekit.recording.seams import CallSpan

KEY = "probekit.exchange"
_REQUEST = "werkzeug.request"  # where Werkzeug leaves the request, its route with it
_FAILED = "500"
_DEADLINE = REGISTRY.watch.deadline


class Exchange:
    """What is known of a request that is being answered.

    ``begin`` and ``end`` are the only places where a request starts and stops counting.
    Both are written for speed, because every request passes them: no constructor, each
    a single frame, and slots without defaults in the class. CPython 3.11 to 3.13 keep
    the place of a slot in the instruction that reads it; whatever the class has a
    default for is looked up anew each time, which in the middle of a large application
    costs ten times what it costs in a loop.

    Attributes:
        streamed: Whether the body is still to be made when the call returns.
        status: Of the answer, three digits; empty as long as there is none.
        route: The template that matched; empty for none.
        length_bytes: Length of a streamed body where it is known.
        head: The server's ``start_response``, where ours is handed on.
        url_map: Flask's, so that rules of other applications are told from its own.
    """

    __slots__ = (
        "_active",
        "_began_s",
        "_environ",
        "_error",
        "_metrics",
        "_mount",
        "_noted",
        "_over",
        "_span",
        "_stays",
        "_token",
        "_traced",
        "head",
        "length_bytes",
        "route",
        "status",
        "streamed",
        "url_map",
    )

    head: "Callable[..., Any]"
    underway = underway

    def begin(self, environ: "dict[str, Any]", metrics: ServerMetrics) -> None:
        """Begin: the request counts as active from here to ``end``."""
        self._began_s = began_s = perf_counter()
        self._environ = environ
        self._metrics = metrics
        self.status = self.route = self._error = ""
        self._mount = environ.get("SCRIPT_NAME", "")  # dispatchers inside add to it
        self.streamed = self._traced = self._stays = False
        self.url_map: object = None
        self.length_bytes: int | None = None
        self._noted = 0
        self._span: CallSpan | None = None
        self._token: Token[tuple[str, str]] | None = None
        self._over = True  # until it has begun
        # One look at the watch for all that is appended here, as compiled wrappers do.
        if began_s > _DEADLINE[0] and REGISTRY.due():
            return  # switched off, or a request inside ``suppress()``
        if REGISTRY.tracing is not None or "HTTP_TRACEPARENT" in environ:
            self._join_trace(environ)
        key = environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]
        active: Append
        self._active = active = metrics.actives.get(key) or metrics.active(*key)
        active(1)
        environ[KEY] = self
        UNDERWAY.add(self)
        self._over = False

    def end(self) -> None:
        """Record the duration; the second time does nothing."""
        if self._over:
            return
        self._over = True
        ended_s = perf_counter()
        UNDERWAY.discard(self)
        try:
            self._active(-1)
            environ = self._environ
            environ.pop(KEY, None)  # breaks the cycle between the two
            answer = (
                environ["REQUEST_METHOD"],
                environ["wsgi.url_scheme"],  # a proxy fix may have changed it
                self.route,
                self.status,
                environ.get("SERVER_PROTOCOL", ""),
                self._error,
            )
            metrics = self._metrics
            append = metrics.durations.get(answer) or metrics.duration(answer)
            if not (ended_s > _DEADLINE[0] and REGISTRY.due()):
                append(ended_s - self._began_s)
            if self._traced:
                self._leave_trace(answer)
        except Exception:
            notice("wsgi-end", "probekit: a request was not recorded")

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Any:
        """Pass the answer's head on to the server, untouched."""
        self.status = status[:3]
        request = self._environ.get(_REQUEST)  # Flask is about to forget it
        if request is not None:
            try:
                self.matched(getattr(request, "url_rule", None))
            except Exception:  # another framework's request under Werkzeug's key
                notice("wsgi-route", "probekit: a request's route could not be read")
        return self.head(status, headers, *exc_info)

    def matched(self, rule: Any) -> None:
        """Keep the template of the rule that the framework's router chose.

        Args:
            rule: A Werkzeug rule, or None where no route matched.

        """
        if rule is None:
            self.route = ""
        elif rule.map is self.url_map:
            self.route = rule.rule
        else:  # an application mounted in this one: its mount point is part of it
            mount = self._environ.get("SCRIPT_NAME", "")[len(self._mount) :]
            self.route = mount + rule.rule

    def routed(self, template: str) -> None:
        """Keep the template that a framework further inside has told."""
        self.route = template

    def note(self, error: BaseException) -> None:
        """Record an exception that nobody handled, once."""
        if self._noted == id(error):
            return
        self._noted = id(error)  # the number only: nothing keeps the exception alive
        self._error = error_type(error)
        if isinstance(error, Exception):
            record_unhandled(error, self._answer())

    def fail(self, error: BaseException) -> None:
        """End because the application raised; the server answers 500 by itself."""
        try:
            self.note(error)
            if not self._error and not self._over:
                tell_interrupted(self, error)
            if self._error and not self.streamed:
                self.status = _FAILED
        except Exception:
            notice("wsgi-error", "probekit: an error of a request was not recorded")
        self.end()

    def _answer(self) -> Answer:
        environ = self._environ
        method, scheme = environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]
        protocol = environ.get("SERVER_PROTOCOL", "")
        return method, scheme, self.route, self.status, protocol, self._error

    def _join_trace(self, environ: "dict[str, Any]") -> None:
        self._traced = True
        if "HTTP_TRACEPARENT" in environ:
            self._token = entered(environ["HTTP_TRACEPARENT"])
        self._span = serve_request(
            environ["REQUEST_METHOD"],
            environ["wsgi.url_scheme"],
            environ.get("PATH_INFO", ""),
            environ_header(environ),
        )

    def _leave_trace(self, answer: Answer) -> None:
        if self._span is not None:
            end_request(self._span, answer, leave=not self._stays)
        if self._token is not None:
            left(self._token)


def is_aside(excluded: "re.Pattern[str]", environ: "dict[str, Any]") -> bool:
    """Whether a request's path is one of those that are not recorded."""
    try:
        return excluded.match(environ.get("PATH_INFO", "")) is not None
    except Exception:  # no text
        notice("wsgi-path", "probekit: the path of a request could not be read")
        return False


def entered(header: str) -> "Token[tuple[str, str]] | None":
    """Make the ids in a ``traceparent`` the running ones; None if it is invalid."""
    ids = parse_traceparent(header)
    return REMOTE.set(ids) if ids else None


def left(token: "Token[tuple[str, str]]") -> None:
    """Undo :func:`entered`."""
    try:
        REMOTE.reset(token)
    except ValueError:  # ended in another context than it began in
        REMOTE.set(("", ""))


class Ending(Protocol):
    """What wants to know of the end of a body; an exchange is one."""

    length_bytes: "int | None"

    def end(self) -> None:
        """It has ended; may be told several times."""

    def fail(self, error: BaseException) -> None:
        """It has ended with an error."""


class Stream:
    """A body that is made while it is sent; its end is the end of the exchange.

    The end is whatever comes first: the last byte of a known length, no more chunks,
    an error, a close, or that everybody has forgotten it.
    """

    __slots__ = ("_body", "_chunks", "_exchange", "_left_bytes")

    def __init__(self, body: "Iterable[bytes]", exchange: Ending) -> None:
        """Stand in front of *body*."""
        self._body = body
        self._chunks = iter(body)
        self._exchange = exchange
        self._left_bytes = exchange.length_bytes

    def __iter__(self) -> "Iterator[bytes]":
        """Return itself, as iterators do."""
        return self

    def __next__(self) -> bytes:
        """Return the application's next chunk."""
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._exchange.end()
            raise
        except BaseException as error:
            self._exchange.fail(error)
            raise
        if self._left_bytes is not None:
            self._left_bytes -= len(chunk)
            if self._left_bytes <= 0:
                self._exchange.end()
        return chunk

    def close(self) -> None:
        """Close the application's body, as servers do at the end or when cut off."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._exchange.fail(error)
            raise
        finally:
            self._exchange.end()

    def __del__(self) -> None:
        """End also where a server forgot to close."""
        self._exchange.end()
