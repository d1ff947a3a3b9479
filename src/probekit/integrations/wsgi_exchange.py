"""One request over WSGI, from the server's call to the last byte of the answer.

An exchange belongs to the thread that serves the request and is found by hooks under
``environ["probekit.exchange"]`` while it lasts. It never raises.
"""

from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from time import perf_counter
from typing import Any

from probekit.integrations.http import (
    REMOTE,
    Adds,
    Answer,
    ServerMetrics,
    error_type,
    known_method,
    known_scheme,
    parse_traceparent,
    record_unhandled,
    version_of,
)
from probekit.notice import notice

KEY = "probekit.exchange"
_FAILED = "500"


class Exchange:
    """What is known of a request that is being answered.

    Attributes:
        streamed: Whether the body is still to be made when the call returns.
        length_bytes: Length of a streamed body where it is known.
    """

    __slots__ = (
        "_active",
        "_began_s",
        "_environ",
        "_error",
        "_method",
        "_metrics",
        "_mount",
        "_noted",
        "_over",
        "_route",
        "_start_response",
        "_status",
        "_token",
        "_url_map",
        "length_bytes",
        "streamed",
    )

    def __init__(
        self,
        environ: "dict[str, Any]",
        start_response: "Callable[..., Any]",
        metrics: ServerMetrics,
        url_map: object,
    ) -> None:
        """Begin: the request counts as active from here to ``end``."""
        self._began_s = perf_counter()
        self._environ = environ
        self._start_response = start_response
        self._metrics = metrics
        self._method = known_method(environ["REQUEST_METHOD"])
        self._mount = environ.get("SCRIPT_NAME", "")
        self._url_map = url_map
        self._route = self._status = self._error = ""
        self._noted: int | None = None
        self._over = self.streamed = False
        self.length_bytes: int | None = None
        header = environ.get("HTTP_TRACEPARENT")
        ids = parse_traceparent(header) if header else None
        self._token: Token[tuple[str, str]] | None = REMOTE.set(ids) if ids else None
        self._active: Adds = metrics.active(
            self._method,
            known_scheme(environ["wsgi.url_scheme"]),
        )
        self._active.add(1)
        environ[KEY] = self

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Any:
        """Pass the answer's head on to the server, untouched."""
        self._status = status[:3]
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
        seconds = perf_counter() - self._began_s
        try:
            self._active.add(-1)
            self._metrics.duration(self._answer()).record(seconds)
        except Exception:
            notice("wsgi-end", "probekit: a request was not recorded")
        finally:
            self._forget()

    def _answer(self) -> Answer:
        environ = self._environ
        return Answer(
            self._method,
            known_scheme(environ["wsgi.url_scheme"]),  # a proxy fix may change it
            self._route,
            self._status,
            version_of(environ.get("SERVER_PROTOCOL", "")),
            self._error,
        )

    def _forget(self) -> None:
        self._environ.pop(KEY, None)  # breaks the cycle between the two
        token, self._token = self._token, None
        if token is not None:
            try:
                REMOTE.reset(token)
            except ValueError:  # ended in another context than it began in
                REMOTE.set(("", ""))


class Stream:
    """A body that is made while it is sent; its end is the end of the exchange.

    The end is whatever comes first: the last byte of a known length, no more chunks,
    an error, a close, or that everybody has forgotten it.
    """

    __slots__ = ("_body", "_chunks", "_exchange", "_left_bytes")

    def __init__(self, body: "Iterable[bytes]", exchange: Exchange) -> None:
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
