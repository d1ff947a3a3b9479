"""One request in Django, from our middleware inward to the end of its answer.

Where our WSGI or ASGI middleware stands further outside, the request is its: then a
guest tells it the route and the errors, and keeps the database's time only.
"""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from probekit.integrations.asgi_exchange import PROTOCOLS
from probekit.integrations.django.database import DatabaseMetrics, Tally
from probekit.integrations.django.routes import TEMPLATES, template_of
from probekit.integrations.wsgi_exchange import KEY, Exchange, Stream
from probekit.notice import notice
from probekit.passing import let_pass
from probekit.recording.registry import REGISTRY


def exchange_of(request: Any) -> Any:
    """The exchange that *request* belongs to, Django's or one further out."""
    found = request.META.get(KEY)
    if found is None:
        scope = getattr(request, "scope", None)
        found = scope.get(KEY) if scope is not None else None
    return found


class Visit(Exchange):
    """A request that is Django's own; never raises.

    Every Python frame that a request passes here is paid by every request: the common
    case has as few as possible.

    Attributes:
        request: Django's; to be set at once.
        tally: Its statements; None in a project without databases.
    """

    __slots__ = ("request", "tally")

    request: Any
    tally: "Tally | None"

    def stream(self, response: Any) -> Any:
        """Take a response that is made while it is sent, and return it."""
        self.lasts()
        watch_stream(response, self)
        return response

    def fail(self, error: BaseException) -> None:
        """End because something outside of Django's own net raised."""
        if not self.ended_s:
            try:
                self.route = template_of(self.request)
            except Exception:
                notice("django-route", "probekit: a route could not be read")
        super().fail(error)

    def enter(
        self,
        environ: "dict[str, Any]",
        database: "DatabaseMetrics | None",
    ) -> None:
        """Begin: the request counts as active from here to ``end``."""
        self.begin(environ)
        if self.ended_s:  # nothing is to be recorded
            return
        if environ is not self.request.META:
            self.request.META[KEY] = self
        if database is not None:
            self.tally = Tally(database)

    def end(self) -> None:
        """Record; the second time does nothing."""
        if self.ended_s:
            return
        environ, request = self.environ, self.request
        super().end()
        self.request = None  # the record is kept until it is drained
        if environ is not request.META:
            request.META.pop(KEY, None)
        if self.tally is not None:
            tell(self.tally, request, self.template())


class Guest:
    """A request that is known further outside already; never raises.

    Attributes:
        tally: Its statements; None in a project without databases.
        length_bytes: None: the end of a stream is its last chunk.
    """

    length_bytes: "int | None" = None
    status = route = ""  # the other one knows them

    def __init__(
        self,
        request: Any,
        exchange: Any,
        database: "DatabaseMetrics | None",
    ) -> None:
        """Begin."""
        self._request = request
        self._exchange = exchange
        self._over = False
        self.tally = None if database is None else Tally(database)

    def stream(self, response: Any) -> Any:
        """Take a response that is made while it is sent, and return it."""
        watch_stream(response, self)
        return response

    def fail(self, error: BaseException) -> None:
        """End; the exception goes on to where the request is known."""
        del error
        self.end()

    def end(self) -> None:
        """Tell the route; the second time does nothing."""
        if self._over:
            return
        self._over = True
        try:
            route = template_of(self._request)
            self._exchange.routed(route)
            if self.tally is not None:
                tell(self.tally, self._request, route)
        except Exception:
            notice("django-route", "probekit: a route could not be read")


Watched: TypeAlias = "Visit | Guest"


def ended(watched: Watched, request: Any, response: Any) -> Any:
    """Return Django's response, its end recorded; that of a stream comes later."""
    try:
        watched.status = str(response.status_code)
        match = request.resolver_match
        if match is not None:
            watched.route = TEMPLATES.get(match.route) or template_of(request)
        if response.streaming:
            return watched.stream(response)
    except Exception:  # no response of Django's
        watched.end()
        notice("django-answer", "probekit: an answer could not be looked at")
    watched.end()
    return response


def ended_anyway(
    watched: Watched, request: Any, response: Any, error: Exception
) -> Any:
    """Likewise after *error* came in between, which is raised if a signal's is."""
    try:
        let_pass(error)
    except BaseException:
        watched.end()
        raise
    return ended(watched, request, response)


def watch_stream(response: Any, watched: Watched) -> None:
    """Let *watched* end when the body of *response* does."""
    try:
        if getattr(response, "file_to_stream", None) is not None:
            pass  # the server may have quicker ways to send a file; it closes it
        elif response.is_async:
            if watched.tally is not None:
                watched.tally.leave()
            body = _AsyncStream(response.streaming_content, watched)
            response.streaming_content = body
        else:
            response.streaming_content = Stream(response.streaming_content, watched)
        response._resource_closers.append(watched.end)  # noqa: SLF001
    except Exception:
        watched.end()
        notice("django-stream", "probekit: a streamed answer could not be watched")


class _AsyncStream:
    """An asynchronous body; each of its chunks is made in whatever task sends it."""

    def __init__(self, body: Any, watched: Watched) -> None:
        self._body = body
        self._chunks: AsyncIterator[bytes] = aiter(body)
        self._watched = watched

    def __aiter__(self) -> "AsyncIterator[bytes]":
        return self

    async def __anext__(self) -> bytes:
        tally = self._watched.tally
        try:
            if tally is None:
                return await anext(self._chunks)
            with tally.within():
                return await anext(self._chunks)
        except StopAsyncIteration:
            self._watched.end()
            raise
        except BaseException as error:
            self._watched.fail(error)
            raise

    async def aclose(self) -> None:
        """Close the application's body, as consumers of a generator do."""
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()
        self._watched.end()


def tell(tally: Tally, request: Any, route: str) -> None:
    """Record the statements of a request that is over."""
    try:
        tally.record(request, route)
    except Exception:
        notice("django-db", "probekit: the statements of a request were not recorded")


def environ_of(request: Any) -> "dict[str, Any]":
    """What an exchange asks of WSGI's environ, where Django knows better."""
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
