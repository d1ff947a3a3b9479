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
from typing import TYPE_CHECKING, Any

from probekit.errors import ConfigError, MissingExtra
from probekit.integrations.http import (
    ServerMetrics,
    excluded_paths,
    share_trace_ids,
)
from probekit.integrations.wsgi_exchange import KEY, Exchange, Stream
from probekit.notice import notice
from probekit.recording.quiet import is_disabled

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
        attach(app)
        watch = Watch(app, self._excluded)
        app.wsgi_app = watch  # type: ignore[method-assign]


class Watch:
    """The application's WSGI callable, with a clock around it."""

    __slots__ = ("_app", "_excluded", "_inner", "_metrics")

    def __init__(self, app: "Flask", excluded: "re.Pattern[str] | None") -> None:
        """Stand in front of *app*'s present WSGI callable, middleware included."""
        self._app = app
        self._inner: Callable[..., Iterable[bytes]] = app.wsgi_app
        self._excluded = excluded
        self._metrics = ServerMetrics()

    def __call__(
        self,
        environ: "dict[str, Any]",
        start_response: "Callable[..., Any]",
    ) -> "Iterable[bytes]":
        """Answer as the application does.

        Threads:
            Any; never waits.

        """
        excluded = self._excluded
        try:
            # An application inside an application is a part of the same request.
            aside = KEY in environ or (
                excluded is not None and excluded.match(environ.get("PATH_INFO", ""))
            )
            if not aside:
                exchange = Exchange(
                    environ,
                    start_response,
                    self._metrics,
                    self._app.url_map,
                )
        except Exception:
            notice("flask-begin", "probekit: a Flask request could not be watched")
            aside = True
        if aside:
            return self._inner(environ, start_response)
        try:
            body = self._inner(environ, exchange.start_response)
        except BaseException as error:
            exchange.fail(error)
            raise
        if exchange.streamed:
            return Stream(body, exchange)
        exchange.end()
        return body
