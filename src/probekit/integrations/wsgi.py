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

from probekit.integrations.http import excluded_paths, share_trace_ids
from probekit.integrations.ledger import LEDGER
from probekit.integrations.route_hook import Asked, careful
from probekit.integrations.wsgi_exchange import KEY, Exchange, Stream, is_aside
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
        self._route = careful(route)
        LEDGER.open()
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
        excluded = self._excluded
        # An application inside an application is a part of the same request.
        if (
            self._is_off
            or KEY in environ
            or (excluded is not None and is_aside(excluded, environ))
        ):
            return self.app(environ, start_response)
        exchange = _RoutedExchange()
        try:
            exchange.route_of = self._route
            exchange.begin(environ)
            start_response = exchange.answered(start_response)
        except Exception:
            exchange.give_up()
            notice("wsgi-begin", "probekit: a request could not be watched")
        try:
            body = self.app(environ, start_response)
            if type(body) in _WHOLE or _is_file(body, environ):
                exchange.end()
                return body
            exchange.lasts()
            return Stream(body, exchange)
        except BaseException as error:
            exchange.fail(error)
            raise


class _RoutedExchange(Exchange):
    """An exchange that looks for the route where no framework has told it."""

    __slots__ = ("route_of",)

    route_of: "Asked | None"

    def note(self, error: BaseException) -> None:
        self._look_for_route()
        super().note(error)

    def end(self) -> None:
        if not self.ended_s:
            self._look_for_route()
            super().end()

    def _look_for_route(self) -> None:
        if self.route:
            return
        try:
            bottle = self.environ.get("bottle.route")
            if bottle is not None:
                self.route = str(getattr(bottle, "rule", ""))
            elif self.route_of is not None:
                self.route = self.route_of(self.environ)
        except Exception as error:  # somebody else's object under Bottle's key
            notice("wsgi-route", "probekit: a route could not be read", error)


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
