"""What happens inside Flask while a request is under way.

Imported when an application is given, because it imports Flask. Flask's own hooks
(``after_request``) would do too, but cost each request ten times as much: Flask asks
each of them, each time, whether it is a coroutine.
"""

import inspect
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, got_request_exception, has_request_context, request

from probekit.integrations.wsgi_exchange import KEY, Exchange
from probekit.notice import notice
from probekit.recording.errors.seen import forget_mark

_current: "Callable[[], Any]" = request._get_current_object  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug documents it


def attach(app: Flask) -> None:
    """Look at every answer of *app*, and at every unhandled error."""
    dispatch = app.full_dispatch_request
    context = _context_getter(app)
    app.full_dispatch_request = (  # type: ignore[method-assign]
        _watched(app, dispatch)
        if context is None
        else _watched_quickly(app, dispatch, context)
    )
    app.handle_exception = _ending(  # type: ignore[method-assign]
        _watched(app, app.handle_exception)
    )
    got_request_exception.connect(note_exception, app)


def _context_getter(app: Flask) -> "Callable[[], Any] | None":
    """What gives the running request's context where ``request`` is a detour to it."""
    if inspect.signature(app.full_dispatch_request).parameters:
        return None  # Flask from 3.2 on
    from flask import globals as flask_globals

    variable = getattr(flask_globals, "_cv_request", None)
    return getattr(variable, "get", None)


def _watched(
    app: Flask, answer: "Callable[..., Response]"
) -> "Callable[..., Response]":
    def watched(*arguments: Any) -> Response:
        try:
            response = answer(*arguments)
        except Exception:  # comes back as Flask's signal
            raise
        except BaseException:  # a worker's timeout is a SystemExit
            _exchange()
            raise
        try:
            asked = _current()
            exchange = asked.environ.get(KEY)
            if exchange is not None:
                _look(app, exchange, asked.url_rule, response)
        except Exception:
            notice("flask-answer", "probekit: a Flask response could not be looked at")
        return response

    return watched


def _ending(handle: "Callable[..., Response]") -> "Callable[..., Response]":
    """Have an error that became an answer be known as recorded until then only."""

    def ending(*arguments: Any) -> Response:
        response = handle(*arguments)
        forget_mark(arguments[-1])
        return response

    return ending


def _watched_quickly(
    app: Flask, answer: "Callable[[], Response]", context: "Callable[[], Any]"
) -> "Callable[[], Response]":
    """The same, and ``_look``, without their frames: every request would pay."""

    def watched() -> Response:
        try:
            response = answer()
        except Exception:
            raise
        except BaseException:
            _exchange()
            raise
        try:
            asked = context().request
            exchange = asked.environ.get(KEY)
            if exchange is not None:
                rule = asked.url_rule
                if rule is not None and exchange.site is app:
                    exchange.route = rule
                else:
                    exchange.matched(rule)
                exchange.status = response._status  # noqa: SLF001 - without a frame
                if response.response.__class__ is not list:
                    _note_stream(exchange, response)
        except Exception:
            notice("flask-answer", "probekit: a Flask response could not be looked at")
        return response

    return watched


def _look(app: Flask, exchange: Exchange, rule: Any, response: Response) -> None:
    if rule is not None and exchange.site is app:
        exchange.route = rule  # its template is asked for later
    else:
        exchange.matched(rule)
    exchange.status = response.status
    if response.response.__class__ is not list:
        _note_stream(exchange, response)


def _note_stream(exchange: Exchange, response: Response) -> None:
    if response.is_streamed:
        # A file that is passed through belongs to the server, which may have
        # quicker ways to send it; wrapped, it would lose them.
        exchange.streamed = not response.direct_passthrough
        exchange.length_bytes = response.content_length


def note_exception(_app: Flask, exception: BaseException, **_: Any) -> None:
    """Record what no error handler took; a receiver of Flask's signal."""
    try:
        exchange = _exchange()
        if exchange is None:
            forget_mark(exception)
        else:
            exchange.note(exception)
    except Exception:
        notice("flask-error", "probekit: a Flask error could not be recorded")


def _exchange() -> "Exchange | None":
    if not has_request_context():
        return None
    exchange: Exchange | None = request.environ.get(KEY)
    if exchange is not None:
        exchange.matched(request.url_rule)
    return exchange
