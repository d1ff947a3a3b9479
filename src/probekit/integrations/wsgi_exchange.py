"""One request over WSGI, from the server's call to the last byte of the answer.

An exchange belongs to the thread that serves the request and is found by hooks under
``environ["probekit.exchange"]`` while it lasts. It never raises.
"""

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

    What few requests need lies in the class until one needs it: an object that is
    made for every request should be small.

    Attributes:
        streamed: Whether the body is still to be made when the call returns.
        length_bytes: Length of a streamed body where it is known.
    """

    streamed = False
    length_bytes: "int | None" = None
    _route = _status = _error = _mount = ""
    _over = False
    _noted = 0
    _token: "Token[tuple[str, str]] | None" = None
    _span: "CallSpan | None" = None
    _stays = False  # the span stays the current one after the end
    underway = underway

    def __init__(
        self,
        environ: "dict[str, Any]",
        start_response: "Callable[..., Any]",
        metrics: ServerMetrics,
        url_map: object,
    ) -> None:
        """Begin: the request counts as active from here to ``end``."""
        self._began_s = began_s = perf_counter()
        self._environ = environ
        self._start_response = start_response
        self._metrics = metrics
        self._url_map = url_map
        # One look at the watch for all that is appended here, as compiled wrappers do.
        if began_s > _DEADLINE[0] and REGISTRY.due():
            self._over = True  # switched off, or a request inside ``suppress()``
            return
        if "HTTP_TRACEPARENT" in environ:
            self._token = entered(environ["HTTP_TRACEPARENT"])
        if environ.get("SCRIPT_NAME"):
            self._mount = environ["SCRIPT_NAME"]
        if REGISTRY.tracing is not None:
            self._span = serve_request(
                environ["REQUEST_METHOD"],
                environ["wsgi.url_scheme"],
                environ.get("PATH_INFO", ""),
                environ_header(environ),
            )
        key = environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]
        self._active: Append = metrics.actives.get(key) or metrics.active(*key)
        self._active(1)
        environ[KEY] = self
        UNDERWAY.add(self)

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Any:
        """Pass the answer's head on to the server, untouched."""
        self._status = status[:3]
        request = self._environ.get(_REQUEST)  # Flask is about to forget it
        if request is not None:
            try:
                self.matched(getattr(request, "url_rule", None))
            except Exception:  # another framework's request under Werkzeug's key
                notice("wsgi-route", "probekit: a request's route could not be read")
        return self._start_response(status, headers, *exc_info)

    def matched(self, rule: Any) -> None:
        """Keep the template of the rule that the framework's router chose.

        Args:
            rule: A Werkzeug rule, or None where no route matched.

        """
        if rule is None:
            self._route = ""
        elif rule.map is self._url_map:
            self._route = rule.rule
        else:  # an application mounted in this one: its mount point is part of it
            mount = self._environ.get("SCRIPT_NAME", "")[len(self._mount) :]
            self._route = mount + rule.rule

    def routed(self, template: str) -> None:
        """Keep the template that a framework further inside has told."""
        self._route = template

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
                self._status = _FAILED
        except Exception:
            notice("wsgi-error", "probekit: an error of a request was not recorded")
        self.end()

    def end(self) -> None:
        """Record the duration; the second time does nothing."""
        if self._over:
            return
        self._over = True
        ended_s = perf_counter()
        UNDERWAY.discard(self)
        try:
            self._active(-1)
            self._environ.pop(KEY, None)  # breaks the cycle between the two
            answer = self._answer()
            metrics = self._metrics
            append = metrics.durations.get(answer) or metrics.duration(answer)
            if not (ended_s > _DEADLINE[0] and REGISTRY.due()):
                append(ended_s - self._began_s)
            if self._span is not None:
                end_request(self._span, answer, leave=not self._stays)
            if self._token is not None:
                left(self._token)
        except Exception:
            notice("wsgi-end", "probekit: a request was not recorded")

    def _answer(self) -> Answer:
        environ = self._environ
        return (
            environ["REQUEST_METHOD"],
            environ["wsgi.url_scheme"],  # a proxy fix may have changed it
            self._route,
            self._status,
            environ.get("SERVER_PROTOCOL", ""),
            self._error,
        )


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
