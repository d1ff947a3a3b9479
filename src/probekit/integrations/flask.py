"""Flask: every request timed and counted by method, route template and status.

```python
from probekit.integrations.flask import Probekit

app = Flask(__name__)
Probekit(app, exclude=["/health", "/static/*"])
```

Records ``http.server.request.duration`` and ``http.server.active_requests``, and
unhandled exceptions. Never changes a response. Flask is imported when an application
is given, not before.
"""

import re
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from probekit.errors import ConfigError, MissingExtra
from probekit.integrations.http import excluded_paths, share_trace_ids
from probekit.integrations.ledger import LEDGER
from probekit.integrations.record import GONE
from probekit.integrations.wsgi_exchange import (
    DEADLINE,
    ENTER,
    KEY,
    UNHEARD,
    Exchange,
    Stream,
    is_aside,
)
from probekit.notice import notice
from probekit.passing import let_pass
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY

if TYPE_CHECKING:
    from flask import Flask

_EXTENSION = "probekit"


class Probekit:
    """Watches the requests of one or several Flask applications.

    Example:
        >>> from flask import Flask
        >>> app = Flask("shop")
        >>> watched = Probekit(app, exclude=["/health"])

    """

    def __init__(
        self,
        app: "Flask | None" = None,
        *,
        exclude: "str | Iterable[str]" = (),
    ) -> None:
        """Watch *app* now, or later through ``init_app``.

        Args:
            app: The application; None in an application factory.
            exclude: Paths that are not recorded, as the application's routes see them
                (without the mount point); ``*`` stands for any text.

        Raises:
            ConfigError: A pattern is not text or does not begin with ``/`` or ``*``.

        """
        self._excluded = excluded_paths(exclude)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: "Flask") -> None:
        """Watch the requests of *app*; a second time changes nothing.

        With ``PROBEKIT_DISABLE=1`` the application stays as it is.

        Raises:
            ConfigError: *app* is not a Flask application.
            MissingExtra: Flask is not installed.

        """
        try:
            import flask
        except ImportError as error:
            raise MissingExtra(
                "Flask is not installed: pip install 'probekit[flask]'",
            ) from error
        if not isinstance(app, flask.Flask):
            raise ConfigError(
                f"Probekit watches a flask.Flask, got {type(app).__qualname__}",
            )
        if _EXTENSION in app.extensions or is_disabled():
            return
        app.extensions[_EXTENSION] = self
        from probekit.integrations.flask_hooks import attach

        share_trace_ids()
        # Middleware in between may answer by itself, or change what Flask answers.
        tells = getattr(app.wsgi_app, "__func__", None) is flask.Flask.wsgi_app
        attach(app)
        app.wsgi_app = watched(  # type: ignore[method-assign]
            app,
            self._excluded,
            tells=tells,
        )


def watched(
    app: "Flask",
    excluded: "re.Pattern[str] | None",
    *,
    tells: bool,
) -> "Callable[..., Iterable[bytes]]":
    """Make *app*'s WSGI callable, middleware included, one with a clock around it.

    A function in a function: Python calls it without the way through ``__call__`` that
    an object would need, and every request would pay.

    Args:
        app: The application.
        excluded: Paths that are not recorded.
        tells: Whether hooks tell the route and the status of every answer.

    """
    inner: Callable[..., Iterable[bytes]] = app.wsgi_app
    LEDGER.open()

    def wsgi_app(
        environ: "dict[str, Any]",
        start_response: "Callable[..., Any]",
    ) -> "Iterable[bytes]":
        # An application inside an application is a part of the same request.
        if KEY in environ or (excluded is not None and is_aside(excluded, environ)):
            return inner(environ, start_response)
        # What ``begin`` and ``end`` do, without their frames: see ``Exchange``.
        exchange = Exchange()
        try:
            exchange.began_s = began_s = perf_counter()
            exchange.environ = environ
            exchange.site = app
            exchange.status = exchange.route = exchange.error = ""
            exchange.streamed = exchange.traced = False
            exchange.mount = environ.get("SCRIPT_NAME", "")
            if began_s > DEADLINE[()] and REGISTRY.due():
                exchange.ended_s = UNHEARD
            else:
                exchange.ended_s = 0.0
                if REGISTRY.tracing is not None or "HTTP_TRACEPARENT" in environ:
                    exchange.join_trace(environ)
                environ[KEY] = exchange
                ENTER(exchange)
            if not tells:
                start_response = exchange.answered(start_response)
        except Exception:
            exchange.give_up()
            notice("flask-begin", "probekit: a Flask request could not be watched")
        try:
            body = inner(environ, start_response)
            if exchange.streamed:
                return Stream(body, exchange)
            if exchange.ended_s or exchange.traced:
                exchange.end()
                return body
        except BaseException as error:
            exchange.fail(error)
            raise
        try:
            ended_s = perf_counter()
            exchange.method = environ["REQUEST_METHOD"]
            exchange.scheme = environ["wsgi.url_scheme"]
            exchange.protocol = environ["SERVER_PROTOCOL"]
            del environ[KEY]
        except Exception as error:  # a server that leaves names out
            exchange.end()
            let_pass(error)
            return body
        exchange.environ = GONE
        exchange.ended_s = ended_s
        return body

    return wsgi_app
