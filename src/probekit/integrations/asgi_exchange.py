"""One request over ASGI, from the server's call to the last message of the answer.

Bodies, request and answer alike, pass unseen. The exchange never raises.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from probekit.integrations.asgi_native import Left
from probekit.integrations.asgi_routes import Routes
from probekit.integrations.http import Answer, ServerMetrics, known_method
from probekit.integrations.record import GONE, Record
from probekit.integrations.wsgi_exchange import ENTER, KEY, UNHEARD, Exchange, left
from probekit.model import AttributeValue
from probekit.notice import notice
from probekit.recording.instruments import histogram
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan
from probekit.recording.underway.running import UNDERWAY

# Every application has a few microseconds of its own left after the answer; from here
# on it is work: a background task, a dependency that is torn down.
BACKGROUND_FROM_S = 0.001

PROTOCOLS = {
    "1.0": "HTTP/1.0",
    "1.1": "HTTP/1.1",
    "2": "HTTP/2",
    "2.0": "HTTP/2",
    "3": "HTTP/3",
}
_LAST = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
_NOT_ANSWERED = "500"  # what servers say for an application that returns silently


class AsgiMetrics(ServerMetrics):
    """The metrics of requests, and that of what goes on after their answers."""

    __slots__ = ("_background",)

    def __init__(self) -> None:
        """Make the instruments."""
        super().__init__()
        self._background = histogram(
            "probekit.http.server.background.duration",
            unit="s",
            description="Work that went on after the answer, from 1 ms.",
        )

    def background(self, seconds: float, answer: Answer) -> None:
        """Record what went on after an answer for *seconds*."""
        method, _, route, _, _, error = answer
        attributes: dict[str, AttributeValue] = {
            "http.request.method": known_method(method),
        }
        if route:
            attributes["http.route"] = route
        if error:
            attributes["error.type"] = error
        self._background.record(seconds, attributes)


class AsgiExchange(Exchange):
    """What is known of a request that is being answered.

    Attributes:
        receive: The server's own.
    """

    __slots__ = (
        "_answered_s",
        "_left",
        "_metrics",
        "_record",
        "_root",
        "_routes",
        "_scope",
        "_send",
        "receive",
    )

    receive: "Callable[[], Awaitable[Any]]"
    _answered_s: float
    _left: "Left | None"
    _metrics: AsgiMetrics
    _record: Record
    _root: str
    _routes: Routes
    _scope: "MutableMapping[str, Any]"
    _send: "Callable[[Any], Awaitable[None]]"

    def enter(
        self,
        scope: "MutableMapping[str, Any]",
        receive: "Callable[[], Awaitable[Any]]",
        send: "Callable[[Any], Awaitable[None]]",
        metrics: AsgiMetrics,
        routes: Routes,
        *,
        left: "Left | None",
    ) -> None:
        """Begin: the request counts as active from here to its end.

        Args:
            scope: What the server gave, as *receive* and *send*.
            receive: The server's own.
            send: The server's own.
            metrics: Where durations go.
            routes: Where the route template comes from.
            left: Given where somebody further in opens the request's span.

        """
        self._scope = scope
        self.receive = receive
        self._send = send
        self._metrics = metrics
        self._routes = routes
        self._left = left
        self._answered_s = 0.0
        self._root = scope.get("root_path", "")
        self._token = self._span = None
        self._stays = False
        self.begin(_environ_of(scope))
        scope[KEY] = self

    def begin(self, environ: "dict[str, Any]") -> None:
        """Begin, with a record apart: what the server gave must not wait with it."""
        if self.prepare(environ):
            record = self._record = Record()
            record.began_s, record.ended_s = self.began_s, 0.0
            record.environ = environ
            UNDERWAY.add(self)
            ENTER(record)

    def open_span(self, environ: "dict[str, Any]") -> "CallSpan | None":
        """Open the request's span, unless that is left to somebody further in."""
        return super().open_span(environ) if self._left is None else None

    async def send(self, message: Any) -> None:
        """Pass a message of the answer on to the server, untouched."""
        await self._send(message)
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self.status = str(message["status"])
                self.streamed = True  # an error cannot change the status any more
                if self._left is not None:
                    self._left.look()
            elif kind == "http.response.body":
                if not message.get("more_body"):
                    self._answered()
            elif kind in _LAST:
                self._answered()
        except Exception:
            notice("asgi-send", "probekit: a message of an answer was not understood")

    def matched(self, rule: Any) -> None:
        """Keep the template of the rule that Quart's router chose."""
        mount = self._scope.get("root_path", "")[len(self._root) :]
        self.route = "" if rule is None else mount + rule.rule

    def give_up(self) -> None:
        """Be forgotten: it has not begun well."""
        record = getattr(self, "_record", None)
        if record is not None:
            record.ended_s, record.environ = UNHEARD, GONE
            UNDERWAY.discard(self)
        super().give_up()

    def leave(self) -> None:
        """End because the application has returned; a second time does no harm."""
        try:
            if self._answered_s:
                seconds = perf_counter() - self._answered_s
                if seconds >= BACKGROUND_FROM_S:
                    self._metrics.background(seconds, self.answer())
            elif not self.status:
                self.status = _NOT_ANSWERED
            if self._stays and self._span is not None:
                self._span.leave()
        except Exception:
            notice("asgi-leave", "probekit: the end of a request went unseen")
        if self.ended_s:
            self._scope.pop(KEY, None)  # also where nothing was to be recorded
        else:
            self.end()
        if self._token is not None:
            left(self._token)
            self._token = None

    def fail(self, error: BaseException) -> None:
        """End because the application raised, if it has not ended yet."""
        was_over = self.ended_s or self._stays
        Exchange.fail(self, error)
        if was_over:
            self.leave()

    def end(self) -> None:
        """Record the duration, until the answer was complete; once."""
        if self.ended_s:
            return
        ended_s = perf_counter()
        if not self.route:
            self.route = self._routes.template(self._scope, self._root, self.status)
        if self.traced:
            self.leave_trace()
        UNDERWAY.discard(self)
        self._scope.pop(KEY, None)  # breaks the cycle between the two
        # From here on nothing is called: cut off before, all is done once more.
        record, environ = self._record, self.environ
        record.method = self.method = environ["REQUEST_METHOD"]
        record.scheme = self.scheme = environ["wsgi.url_scheme"]
        record.protocol = self.protocol = environ["SERVER_PROTOCOL"]
        record.route, record.status = self.route, self.status
        record.error = self.error
        record.environ = self.environ = GONE
        self.ended_s = ended_s
        record.ended_s = self._answered_s or ended_s

    def _answered(self) -> None:
        if self._answered_s:
            return
        self._answered_s = perf_counter()
        # Starlette answers with a 500 first and lets the error out afterwards.
        if not self.status.startswith("5"):
            # What goes on after the answer belongs to the caller's trace still.
            self._stays = True
            self.end()

    def note(self, error: BaseException) -> None:
        """Record an exception that nobody handled, once."""
        self._look_for_route()
        if self._left is None:
            super().note(error)
        else:
            self._left.within(lambda: Exchange.note(self, error))

    def _look_for_route(self) -> None:
        if not self.route:
            self.route = self._routes.template(self._scope, self._root, self.status)


def _environ_of(scope: "MutableMapping[str, Any]") -> "dict[str, Any]":
    """What an exchange asks of WSGI's environ."""
    environ = {
        "REQUEST_METHOD": scope["method"],
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "SERVER_PROTOCOL": PROTOCOLS.get(scope["http_version"], ""),
    }
    traced = REGISTRY.tracing is not None
    if traced:
        environ["PATH_INFO"] = scope["path"]
    for name, value in scope["headers"]:
        if name == b"traceparent" or traced:
            key = name.decode("latin-1").upper().replace("-", "_")
            environ[f"HTTP_{key}"] = value.decode("latin-1")
            if not traced:
                break
    return environ
