"""Any WSGI application: every request timed and counted.

```python
from probekit.integrations.wsgi import ProbekitMiddleware

application = ProbekitMiddleware(application, exclude=["/health"])
```

Imports no framework. The route template comes from what the framework leaves in the
environ (Werkzeug and Flask, Bottle), from our Django middleware, or from *route*.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from probekit.integrations.http import (
    Answer,
    ServerMetrics,
    excluded_paths,
    share_trace_ids,
)
from probekit.integrations.wsgi_exchange import KEY, Exchange, Stream
from probekit.notice import notice
from probekit.recording.quiet import is_disabled

Environ: TypeAlias = "dict[str, Any]"
Application: TypeAlias = "Callable[[Environ, Callable[..., Any]], Iterable[bytes]]"
RouteOf: TypeAlias = "Callable[[Environ], str | None]"

_WHOLE = frozenset({list, tuple})  # bodies that are made when the call returns


class ProbekitMiddleware:
    """The application, with a clock around it; never changes an answer.

    Records ``http.server.request.duration``, until the last byte of a body that is
    made while it is sent, ``http.server.active_requests``, and exceptions that the
    application lets through.

    Example:
        >>> def application(environ, start_response):
        ...     start_response("200 OK", [])
        ...     return [b"hello"]
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
            app: The application.
            exclude: Paths (``PATH_INFO``) that are not recorded; ``*`` stands for any
                text.
            route: Says the route template of a request that has been answered, from
                its environ; None or an empty text where no route matched. Asked when
                the framework has left nothing that is known here.

        Raises:
            ConfigError: A pattern is not text or does not begin with ``/`` or ``*``.

        """
        self.app = app
        self._excluded = excluded_paths(exclude)
        self._route = route
        self._metrics = ServerMetrics()
        self._is_off = is_disabled()
        if not self._is_off:
            share_trace_ids()

    def __call__(
        self,
        environ: Environ,
        start_response: "Callable[..., Any]",
    ) -> "Iterable[bytes]":
        """Answer as the application does.

        Threads:
            Any; never waits.

        """
        exchange = self._begun(environ, start_response)
        if exchange is None:
            return self.app(environ, start_response)
        try:
            body = self.app(environ, exchange.start_response)
        except BaseException as error:
            exchange.fail(error)
            raise
        if type(body) in _WHOLE or _is_file(body, environ):
            exchange.end()
            return body
        exchange.streamed = True
        return Stream(body, exchange)

    def _begun(
        self,
        environ: Environ,
        start_response: "Callable[..., Any]",
    ) -> "_RoutedExchange | None":
        try:
            # An application inside an application is a part of the same request.
            if self._is_off or KEY in environ:
                return None
            excluded = self._excluded
            if excluded is not None and excluded.match(environ.get("PATH_INFO", "")):
                return None
            return _RoutedExchange(environ, start_response, self._metrics, self._route)
        except Exception:
            notice("wsgi-begin", "probekit: a request could not be watched")
            return None


class _RoutedExchange(Exchange):
    """An exchange that looks for the route where no framework has told it."""

    def __init__(
        self,
        environ: Environ,
        start_response: "Callable[..., Any]",
        metrics: ServerMetrics,
        route: "RouteOf | None",
    ) -> None:
        super().__init__(environ, start_response, metrics, None)
        self._route_of = route

    def _answer(self) -> Answer:
        if not self._route:
            self._route = self._found_route()
        return super()._answer()

    def _found_route(self) -> str:
        environ = self._environ
        bottle = environ.get("bottle.route")
        if bottle is not None:
            return str(getattr(bottle, "rule", ""))
        if self._route_of is None:
            return ""
        try:
            return str(self._route_of(environ) or "")
        except Exception as error:
            notice("wsgi-route-of", f"the given route function failed: {error!r}")
            return ""


def _is_file(body: object, environ: Environ) -> bool:
    """Whether the server may have quicker ways to send *body* if it sees it as it is.

    Servers recognise what their own ``wsgi.file_wrapper`` has made: an object of its
    class, or (uWSGI) the very file.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:
        return False
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return hasattr(body, "fileno")
