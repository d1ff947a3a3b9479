"""One websocket over ASGI, from the handshake to its end.

A connection is no request: it has metrics of its own, and one span from its handshake
to its end where traces are on. Messages are counted, never looked into. Nothing here
raises.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import Token
from time import perf_counter
from typing import Any

from probekit.integrations.asgi_exchange import PROTOCOLS
from probekit.integrations.asgi_native import Left
from probekit.integrations.asgi_routes import Routes
from probekit.integrations.http import (
    REMOTE,
    attributes_of,
    error_type,
    known_scheme,
    record_unhandled,
)
from probekit.integrations.spans import serve_request
from probekit.integrations.wsgi_exchange import KEY, entered, left
from probekit.notice import notice
from probekit.recording.bound import BoundCounter
from probekit.recording.errors.seen import mark_recorded
from probekit.recording.instruments import counter, histogram, up_down_counter
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan

_ACCEPTED = "101"
_REFUSED = "403"  # what a server answers to a close before the accept
_FAILED = "500"
_METHOD = "GET"  # of every handshake
# Codes of the protocol itself; clients may send others without end.
_CODES = frozenset({*range(1000, 1016)} - {1004})


class SocketMetrics:
    """The metrics of websockets."""

    __slots__ = ("_duration", "_messages", "_open")

    def __init__(self) -> None:
        """Make the instruments; the same ones for every application of the process."""
        self._duration = histogram(
            "probekit.websocket.duration",
            unit="s",
            description="Time from the handshake to the end of a websocket.",
        )
        self._open = up_down_counter(
            "probekit.websocket.active",
            unit="{connection}",
            description="Websockets that are open.",
            ends_with_process=True,
        )
        self._messages = counter(
            "probekit.websocket.messages",
            unit="{message}",
            description="Messages over websockets.",
        )

    def open(self, scheme: str) -> BoundCounter:
        """Give the handle that counts open connections."""
        return self._open.bind({"url.scheme": scheme})

    def messages(self, direction: str, route: str) -> BoundCounter:
        """Give the handle that counts messages, ``receive`` or ``transmit``."""
        attributes = {"network.io.direction": direction}
        if route:
            attributes["http.route"] = route
        return self._messages.bind(attributes)

    def record(self, seconds: float, attributes: "dict[str, Any]") -> None:
        """Take the duration of a connection."""
        self._duration.record(seconds, attributes)


class Socket:
    """What is known of a websocket; ``enter`` comes first."""

    _over = _is_traced = False
    _token: "Token[tuple[str, str]] | None" = None
    _span: "CallSpan | None" = None

    def enter(
        self,
        scope: "MutableMapping[str, Any]",
        receive: "Callable[[], Awaitable[Any]]",
        send: "Callable[[Any], Awaitable[None]]",
        metrics: SocketMetrics,
        routes: Routes,
        *,
        left: "Left | None",
    ) -> None:
        """Begin; *left* where somebody further in opens the websocket's span."""
        self._began_s = perf_counter()
        self._left = left
        self._scope = scope
        self._receive = receive
        self._send = send
        self._metrics = metrics
        self._routes = routes
        self._root = scope.get("root_path", "")
        self._scheme = known_scheme(scope.get("scheme", "ws"))
        self._route = self._status = self._error = ""
        self._code = 0
        self._open: BoundCounter | None = None
        self._incoming: BoundCounter | None = None
        self._outgoing: BoundCounter | None = None
        for name, value in scope["headers"]:
            if name == b"traceparent":
                self._is_traced = True
                self._token = entered(value.decode("latin-1"))
                break
        if REGISTRY.tracing is not None and left is None:
            header = _reader(scope["headers"])
            self._span = serve_request(_METHOD, self._scheme, scope["path"], header)
        scope[KEY] = self

    def give_up(self) -> None:
        """Be forgotten: it has not begun well."""
        self._over = True
        span, self._span = self._span, None
        if span is not None:
            span.end()
        if self._is_traced and self._token is None:  # it may not have come to be kept
            REMOTE.set(("", ""))
        self._undo()

    async def receive(self) -> Any:
        """Pass a message of the client's on, untouched."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "websocket.receive":
                if self._incoming is None:
                    self._incoming = self._messages("receive")
                self._incoming.add(1)
            elif kind == "websocket.disconnect":
                self._code = self._code or message.get("code") or 1005
        except Exception:
            notice("asgi-receive", "probekit: a websocket message was not understood")
        return message

    async def send(self, message: Any) -> None:
        """Pass a message of the application's on, untouched."""
        await self._send(message)
        try:
            if self._left is not None:
                self._left.look()
            kind = message["type"]
            if kind == "websocket.send":
                if self._outgoing is None:
                    self._outgoing = self._messages("transmit")
                self._outgoing.add(1)
            elif kind == "websocket.accept":
                self._status = _ACCEPTED
                self._open = self._metrics.open(self._scheme)
                self._open.add(1)
            elif kind == "websocket.close":
                if self._status:
                    self._code = self._code or message.get("code") or 1000
                else:
                    self._status = _REFUSED
            elif kind == "websocket.http.response.start":
                self._status = str(message["status"])
        except Exception:
            notice("asgi-send", "probekit: a websocket message was not understood")

    def matched(self, rule: Any) -> None:
        """Keep the template of the rule that Quart's router chose."""
        mount = self._scope.get("root_path", "")[len(self._root) :]
        self._route = "" if rule is None else mount + rule.rule

    def routed(self, template: str) -> None:
        """Keep the template that a framework further inside has told."""
        self._route = template

    def note(self, error: BaseException) -> None:
        """Record an exception that nobody handled."""
        if self._error:
            return
        self._error = error_type(error)
        if isinstance(error, Exception):
            route = self._template()
            answer = _METHOD, self._scheme, route, self._status, "", self._error
            began_s = self._began_s
            if self._left is None:
                record_unhandled(error, answer, began_s)
            else:
                self._left.within(lambda: record_unhandled(error, answer, began_s))

    def fail(self, error: BaseException) -> None:
        """End because the application raised."""
        try:
            self.note(error)
            if self._error:
                mark_recorded(error)
                self._status = self._status or _FAILED
        except Exception:
            notice("asgi-error", "probekit: an error of a websocket was not recorded")
        finally:
            try:
                self.leave()
            except BaseException:  # a signal's handler would not have it
                self.leave()
                raise

    def leave(self) -> None:
        """Record the duration, once; a second time does no harm."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.add(-1)
        if not self._over:
            seconds = perf_counter() - self._began_s
            try:
                attributes = self._attributes()
                self._over = True
                self._metrics.record(seconds, attributes)
                if self._span is not None:
                    self._end(self._span, attributes)
            except Exception:
                notice("asgi-end", "probekit: a websocket was not recorded")
        self._scope.pop(KEY, None)  # breaks the cycle between the two
        self._undo()

    def _undo(self) -> None:
        """The caller's ids are not the running ones any more."""
        if self._token is not None:
            left(self._token)
            self._token = None

    def _end(self, span: CallSpan, attributes: "dict[str, Any]") -> None:
        """Close the span, with the attributes of the duration: its example."""
        route = self._route
        span.describe(f"{_METHOD} {route}" if route else _METHOD, attributes)
        span.end(error_type=str(attributes.get("error.type", "")))

    def _attributes(self) -> "dict[str, Any]":
        protocol = PROTOCOLS.get(self._scope.get("http_version", ""), "")
        attributes: dict[str, Any] = attributes_of(
            (
                _METHOD,
                self._scheme,
                self._template(),
                self._status,
                protocol,
                self._error,
            ),
        )
        del attributes["http.request.method"]
        if self._code in _CODES:
            attributes["probekit.websocket.close_code"] = self._code
        return attributes

    def _messages(self, direction: str) -> BoundCounter:
        return self._metrics.messages(direction, self._template())

    def _template(self) -> str:
        if not self._route:
            self._route = self._routes.template(self._scope, self._root, self._status)
        return self._route


def _reader(
    headers: "Iterable[tuple[bytes, bytes]]",
) -> "Callable[[str], str | None]":
    """Reads a header by its name; one that came in parts is put together."""

    def header(name: str) -> "str | None":
        wanted = name.encode("latin-1")
        found = [value.decode("latin-1") for key, value in headers if key == wanted]
        return ",".join(found) if found else None

    return header
