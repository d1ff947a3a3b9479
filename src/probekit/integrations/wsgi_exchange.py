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
    error_type,
    parse_traceparent,
    record_unhandled,
)
from probekit.integrations.ledger import LEDGER
from probekit.integrations.progress import tell_interrupted, underway
from probekit.integrations.record import GONE, Record
from probekit.integrations.spans import end_request, environ_header, serve_request
from probekit.notice import notice
from probekit.recording.errors.seen import is_marked, mark_recorded
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan

KEY = "probekit.exchange"
_REQUEST = "werkzeug.request"  # where Werkzeug leaves the request, its route with it
_FAILED = "500"
UNHEARD = -1.0  # the end of requests that are not to be recorded
DEADLINE = REGISTRY.watch.deadline
ENTER = LEDGER.append


class Exchange(Record):
    """What is known of a request that is being answered.

    A request starts and stops counting in ``begin`` and ``end``; Flask and Django have
    the same lines in the frames that they need anyway, because every request would pay
    for others. Slots that only some requests need are left empty, and what can be done
    later is left to the ledger.

    Attributes:
        streamed: Whether the body is still to be made when the call returns.
        length_bytes: Length of a streamed body where it is known; set with *streamed*.
        site: What the request belongs to: Flask's application, so that the rules of
            others are told from its own.
    """

    __slots__ = (
        "_span",
        "_stays",
        "_token",
        "length_bytes",
        "mount",
        "site",
        "streamed",
        "traced",
    )

    length_bytes: "int | None"
    site: Any
    streamed: bool
    _span: "CallSpan | None"
    _stays: bool
    _token: "Token[tuple[str, str]] | None"
    underway = underway

    def entry(self) -> "Exchange":
        """Say what is to be entered among the operations under way: itself."""
        return self

    def begin(self, environ: "dict[str, Any]") -> None:
        """Begin: the request counts as active from here to ``end``."""
        if self.prepare(environ):
            environ[KEY] = self
            ENTER(self)

    def prepare(self, environ: "dict[str, Any]") -> bool:
        """Begin without counting; say whether the request is to be counted."""
        self.began_s = began_s = perf_counter()
        self.environ = environ
        self.status = self.route = self.error = ""
        self.mount = environ.get("SCRIPT_NAME", "")  # dispatchers inside add to it
        self.streamed = self.traced = False
        # One look at the watch for all that is recorded here, as compiled wrappers do.
        if began_s > DEADLINE[()] and REGISTRY.due():
            self.ended_s = UNHEARD  # switched off, or inside ``suppress()``
            return False
        self.ended_s = 0.0
        if REGISTRY.tracing is not None or "HTTP_TRACEPARENT" in environ:
            self.join_trace(environ)
        return True

    def give_up(self) -> None:
        """Be forgotten: it has not begun well, or a signal's handler would not have it.

        Else the request would be active for ever, and its caller's ids those of
        whatever the thread does next.
        """
        self.ended_s = UNHEARD
        if getattr(self, "traced", False):
            self.leave_trace()
            if self._token is None:  # it may not have come to be kept
                REMOTE.set(("", ""))

    def end(self) -> None:
        """Let the duration be recorded; the second time does nothing."""
        if self.ended_s:
            return
        ended_s = perf_counter()
        environ = self.environ
        try:
            self.method = environ["REQUEST_METHOD"]
            self.scheme = environ["wsgi.url_scheme"]  # a proxy fix may have changed it
            self.protocol = environ.get("SERVER_PROTOCOL", "")
            environ.pop(KEY, None)
        except Exception:
            self.give_up()
            notice("wsgi-end", "probekit: a request was not recorded")
            return
        if self.traced:
            self.leave_trace()
        self.environ = GONE  # breaks the cycle between the two
        self.ended_s = ended_s

    def lasts(self) -> None:
        """Keep on after the call: the body is made while it is sent."""
        self.streamed, self.length_bytes = True, None

    def answered(self, head: "Callable[..., Any]") -> "Callable[..., Any]":
        """Make a ``start_response`` that looks at the answer's head on its way.

        Args:
            head: The server's own; gets everything untouched.

        """

        def start_response(status: str, headers: Any, *exc_info: Any) -> Any:
            self.status = status
            request = self.environ.get(_REQUEST)  # Flask is about to forget it
            if request is not None:
                try:
                    self.matched(getattr(request, "url_rule", None))
                except Exception:  # another framework's request under Werkzeug's key
                    notice(
                        "wsgi-route", "probekit: a request's route could not be read"
                    )
            return head(status, headers, *exc_info)

        return start_response

    def matched(self, rule: Any) -> None:
        """Keep the template of the rule that the framework's router chose.

        Args:
            rule: A Werkzeug rule, or None where no route matched.

        """
        self.route = "" if rule is None else self.mount_of(rule) + rule.rule

    def mount_of(self, rule: Any) -> str:
        """Say where the application that *rule* belongs to is mounted in this one."""
        site = getattr(self, "site", None)
        if site is not None and rule.map is site.url_map:
            return ""
        mount: str = self.environ.get("SCRIPT_NAME", "")[len(self.mount) :]
        return mount

    def routed(self, template: str) -> None:
        """Keep the template that a framework further inside has told."""
        self.route = template

    def note(self, error: BaseException) -> None:
        """Record an exception that nobody handled, once."""
        name = error_type(error)
        if self.error and is_marked(error, self.began_s):
            return
        self.error = name
        if isinstance(error, Exception):
            record_unhandled(error, self.answer(), self.began_s)

    def fail(self, error: BaseException) -> None:
        """End because the application raised; the server answers 500 by itself."""
        try:
            self.note(error)
            if self.error:
                mark_recorded(error)  # here: a framework may have ended its own mark
            elif not self.ended_s:
                tell_interrupted(self, error)
            if self.error and not self.streamed:
                self.status = _FAILED
        except Exception:
            notice("wsgi-error", "probekit: an error of a request was not recorded")
        finally:
            try:
                self.end()
            except BaseException:  # a signal's handler would not have it
                self.end()
                raise

    def join_trace(self, environ: "dict[str, Any]") -> None:
        """Open the request's span, and make its caller's ids the running ones."""
        self._span = self._token = None
        self._stays = False
        self.traced = True
        if "HTTP_TRACEPARENT" in environ:
            self._token = entered(environ["HTTP_TRACEPARENT"])
        self._span = self.open_span(environ)

    def open_span(self, environ: "dict[str, Any]") -> "CallSpan | None":
        """Open the request's span; None while traces are off."""
        return serve_request(
            environ["REQUEST_METHOD"],
            environ["wsgi.url_scheme"],
            environ.get("PATH_INFO", ""),
            environ_header(environ),
        )

    def leave_trace(self) -> None:
        """Undo :meth:`join_trace`, once; the answer is known.

        Where the trace stays for what comes after the answer, that comes later.
        """
        span = self._span
        if not self._stays:
            self._span = None
        try:
            if span is not None:
                end_request(span, self.answer(), leave=not self._stays)
        except Exception:
            notice("wsgi-end", "probekit: a request's trace was not closed")
        finally:
            if self._token is not None and not self._stays:
                left(self._token)
                self._token = None


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
    except (ValueError, RuntimeError):  # in another context, or undone already
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
        exchange = getattr(self, "_exchange", None)  # a signal may have come before it
        if exchange is not None:
            exchange.end()
