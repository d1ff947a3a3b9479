"""One request in Django, from our middleware inward to the end of its answer.

Where our WSGI or ASGI middleware stands further outside, the request is its: then the
visit tells it the route and the errors, and keeps the database's time only.
"""

from collections.abc import AsyncIterator
from contextvars import Token
from typing import Any

from probekit.integrations.asgi_exchange import PROTOCOLS
from probekit.integrations.django.database import TALLY, DatabaseMetrics, tallied
from probekit.integrations.django.routes import template_of
from probekit.integrations.http import ServerMetrics, known_method
from probekit.integrations.wsgi_exchange import KEY, Exchange, Stream
from probekit.notice import notice
from probekit.recording.registry import REGISTRY


class Metrics:
    """Where the figures of all requests go."""

    __slots__ = ("database", "server")

    def __init__(self) -> None:
        """Make the instruments."""
        self.server = ServerMetrics()
        self.database = DatabaseMetrics()


def exchange_of(request: Any) -> Any:
    """The exchange that *request* belongs to, Django's or one further out."""
    found = request.META.get(KEY)
    if found is None:
        scope = getattr(request, "scope", None)
        found = scope.get(KEY) if scope is not None else None
    return found


class Visit:
    """What is known of a request that is being answered; never raises.

    Attributes:
        length_bytes: None: the end of a stream is its last chunk.
    """

    length_bytes: "int | None" = None
    _over = False

    def __init__(self, request: Any, metrics: Metrics, *, proxied: bool) -> None:
        """Begin.

        Args:
            request: Django's.
            metrics: Where the figures go.
            proxied: Whether Django believes a proxy's header about the scheme.

        """
        self._request = request
        self._metrics = metrics
        outer = exchange_of(request)
        self._is_own = outer is None
        self._exchange: Any = outer or _exchange(
            request, metrics.server, proxied=proxied
        )
        self._tally: list[float] = []
        self._token: Token[list[float] | None] | None = TALLY.set(self._tally)

    def answered(self, response: Any) -> Any:
        """Take Django's response and return it; a streamed one goes on."""
        try:
            if self._is_own:
                self._exchange.start_response(str(response.status_code), ())
            if not response.streaming:
                self.end()
            elif getattr(response, "file_to_stream", None) is not None:
                # The server may have quicker ways to send a file; it closes it.
                response._resource_closers.append(self.end)  # noqa: SLF001
            else:
                self._stream(response)
        except Exception:
            notice("django-answer", "probekit: an answer could not be looked at")
            self.end()
        return response

    def _stream(self, response: Any) -> None:
        self._exchange.streamed = True
        if response.is_async:
            self._leave()
            response.streaming_content = _AsyncStream(
                response.streaming_content,
                self,
            )
        else:
            response.streaming_content = Stream(response.streaming_content, self)
        response._resource_closers.append(self.end)  # noqa: SLF001

    def fail(self, error: BaseException) -> None:
        """End because of an exception that nobody turns into an answer."""
        try:
            self._exchange.routed(template_of(self._request))
            if self._is_own:
                self._exchange.fail(error)
        except Exception:
            notice("django-error", "probekit: an error was not recorded")
        self.end()

    def end(self) -> None:
        """Record; the second time does nothing."""
        if self._over:
            return
        self._over = True
        try:
            route = template_of(self._request)
            self._exchange.routed(route)
            if self._is_own:
                self._exchange.end()
                self._request.META.pop(KEY, None)
            self._leave()
            method = known_method(self._request.method or "")
            self._metrics.database.record(self._tally, method, route)
        except Exception:
            notice("django-end", "probekit: a request was not recorded")

    def tallied(self) -> Any:
        """Make a block whose statements are this request's."""
        return tallied(self._tally)

    def _leave(self) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        try:
            TALLY.reset(token)
        except ValueError:  # ended in another context than it began in
            TALLY.set(None)


class _AsyncStream:
    """An asynchronous body; each of its chunks is made in whatever task sends it."""

    def __init__(self, body: Any, visit: Visit) -> None:
        self._body = body
        self._chunks: AsyncIterator[bytes] = aiter(body)
        self._visit = visit

    def __aiter__(self) -> "AsyncIterator[bytes]":
        return self

    async def __anext__(self) -> bytes:
        try:
            with self._visit.tallied():
                return await anext(self._chunks)
        except StopAsyncIteration:
            self._visit.end()
            raise
        except BaseException as error:
            self._visit.fail(error)
            raise

    async def aclose(self) -> None:
        """Close the application's body, as consumers of a generator do."""
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()
        self._visit.end()


def _exchange(request: Any, metrics: ServerMetrics, *, proxied: bool) -> Exchange:
    environ = request.META
    if proxied or "wsgi.url_scheme" not in environ:
        environ = _environ_of(request)
    exchange = Exchange(environ, _told_nobody, metrics, None)
    request.META[KEY] = exchange
    return exchange


def _environ_of(request: Any) -> "dict[str, Any]":
    """What an exchange asks of WSGI's environ."""
    meta = request.META
    version = getattr(request, "scope", {}).get("http_version", "")
    environ = {
        "REQUEST_METHOD": request.method or "",
        "wsgi.url_scheme": request.scheme,
        "SERVER_PROTOCOL": meta.get("SERVER_PROTOCOL") or PROTOCOLS.get(version, ""),
    }
    if REGISTRY.tracing is not None:
        environ["PATH_INFO"] = request.path_info
        environ |= {name: meta[name] for name in meta if name.startswith("HTTP_")}
    elif "HTTP_TRACEPARENT" in meta:
        environ["HTTP_TRACEPARENT"] = meta["HTTP_TRACEPARENT"]
    return environ


def _told_nobody(*_head: object) -> None:
    """Stand where a server's ``start_response`` would: Django calls that itself."""
