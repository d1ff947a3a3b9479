"""Any ASGI application: requests and websockets timed and counted.

```python
from probekit.integrations.asgi import ProbekitMiddleware

app = ProbekitMiddleware(app, exclude=["/health"])    # around any application
app.add_middleware(ProbekitMiddleware)                # Starlette and FastAPI
```

Pure: no framework is imported, no task is started, messages pass unchanged, lifespans
are left alone. See ``asgi_exchange`` for requests, ``asgi_socket`` for websockets,
``asgi_routes`` for where the route template comes from.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from probekit.integrations.asgi_exchange import AsgiExchange, AsgiMetrics
from probekit.integrations.asgi_native import Left, native_of, opens_span
from probekit.integrations.asgi_routes import RouteOf, Routes
from probekit.integrations.asgi_socket import Socket, SocketMetrics
from probekit.integrations.http import excluded_paths, share_trace_ids
from probekit.integrations.wsgi_exchange import KEY
from probekit.notice import notice
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY

Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Any]]"
Send: TypeAlias = "Callable[[Any], Awaitable[None]]"
Application: TypeAlias = "Callable[[Any, Any, Any], Awaitable[None]]"


class ProbekitMiddleware:
    """The application, with a clock around it; never changes a message.

    Records ``http.server.request.duration`` (to the last message of the body),
    ``http.server.active_requests``, ``probekit.http.server.background.duration`` (what
    goes on after the answer), ``probekit.websocket.duration`` and its sisters, and
    exceptions that the application lets through.

    Example:
        >>> async def application(scope, receive, send):
        ...     ...
        >>> watched = ProbekitMiddleware(application, exclude="/health")

    """

    def __init__(
        self,
        app: Application,
        *,
        exclude: "str | Iterable[str]" = (),
        route: "RouteOf | None" = None,
    ) -> None:
        """Stand in front of *app*.

        Args:
            app: The application, or the next one inward.
            exclude: Paths (``scope["path"]``) that are not recorded; ``*`` stands for
                any text.
            route: Says the route template of an answered request from its scope; None
                or an empty text where no route matched. Asked when the framework has
                left nothing that is known here.

        Raises:
            ConfigError: A pattern is not text or does not begin with ``/`` or ``*``.

        """
        self.app = app
        self._excluded = excluded_paths(exclude)
        self._routes = Routes(route)
        self._metrics = AsgiMetrics()
        self._sockets = SocketMetrics()
        self._native = native_of(app)
        self._is_off = is_disabled()
        if not self._is_off:
            share_trace_ids()
            _attach_quart(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as the application does.

        Threads:
            The event loop's; never waits by itself.

        """
        watched = self._begun(scope, receive, send)
        if watched is None:
            await self.app(scope, receive, send)
            if scope["type"] == "lifespan" and not self._is_off:
                _write_what_is_left()
            return
        try:
            await self.app(scope, watched.receive, watched.send)
            watched.leave()
        except BaseException as error:
            watched.fail(error)
            raise

    def _begun(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> "AsgiExchange | Socket | None":
        watched: AsgiExchange | Socket | None = None
        try:
            kind = scope["type"]
            # An application inside an application is a part of the same request.
            if self._is_off or kind not in {"http", "websocket"} or KEY in scope:
                return None
            excluded = self._excluded
            if excluded is not None and excluded.match(scope["path"]):
                scope[KEY] = None  # nor is it to be watched further in
                return None
            left = None
            if self._native is not None and REGISTRY.tracing is not None:
                left = Left() if opens_span(self._native, scope) else None
            if kind == "http":
                watched = exchange = AsgiExchange()
                exchange.enter(
                    scope, receive, send, self._metrics, self._routes, left=left
                )
            else:
                watched = socket = Socket()
                socket.enter(
                    scope, receive, send, self._sockets, self._routes, left=left
                )
        except Exception:
            if watched is not None:
                scope.pop(KEY, None)
                watched.give_up()
            notice("asgi-begin", "probekit: a request could not be watched")
            return None
        return watched


def _write_what_is_left() -> None:
    """Write what was recorded last: the application's life is over.

    Servers may end their processes by the signal that they were sent, without
    ``atexit``. Nothing is waited for but the disk.
    """
    runtime = sys.modules.get("probekit.runtime")
    if runtime is not None:  # else nothing was configured, and there is no buffer
        runtime.flush(timeout_s=0.0)


def _attach_quart(app: object) -> None:
    """Listen to Quart, which leaves no route in the scope, if that is what *app* is."""
    quart = sys.modules.get("quart")
    owner = getattr(app, "__self__", app)  # of the bound method ``asgi_app``
    if quart is not None and isinstance(owner, quart.Quart):
        from probekit.integrations.quart_hooks import attach

        attach(owner)
