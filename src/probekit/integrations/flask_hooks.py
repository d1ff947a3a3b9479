"""What Flask calls on our behalf while a request is under way.

Imported when an application is given, because it imports Flask. The hooks find the
exchange in the request's environ; without one (an excluded path) they do nothing.
"""

from typing import Any

from flask import Flask, Response, got_request_exception, request

from probekit.integrations.wsgi_exchange import KEY, Exchange
from probekit.notice import notice


def attach(app: Flask) -> None:
    """Register the hooks with *app*, before all others: that is, to run after them."""
    app.after_request_funcs.setdefault(None, []).insert(0, note_answer)
    app.teardown_request_funcs.setdefault(None, []).append(note_end)
    got_request_exception.connect(note_exception, app)


def note_answer(response: Response) -> Response:
    """Note the route, and whether the body is still to be made."""
    try:
        exchange = _exchange()
        if exchange is not None:
            # A file that is passed through belongs to the server, which may have
            # quicker ways to send it; wrapped, it would lose them.
            exchange.streamed = response.is_streamed and not response.direct_passthrough
            if exchange.streamed:
                exchange.length_bytes = response.content_length
    except Exception:
        notice("flask-answer", "probekit: a Flask response could not be looked at")
    return response


def note_exception(_app: Flask, exception: BaseException, **_: Any) -> None:
    """Record what no error handler took."""
    try:
        exchange = _exchange()
        if exchange is not None:
            exchange.note(exception)
    except Exception:
        notice("flask-error", "probekit: a Flask error could not be recorded")


def note_end(error: "BaseException | None") -> None:
    """Note the route of a request that ends with a ``SystemExit``, as timeouts do."""
    if error is None or isinstance(error, Exception):
        return
    try:
        _exchange()
    except Exception:
        notice("flask-end", "probekit: the end of a Flask request went unseen")


def _exchange() -> "Exchange | None":
    current = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    exchange: Exchange | None = current.environ.get(KEY)
    if exchange is not None:
        exchange.matched(current.url_rule)
    return exchange
