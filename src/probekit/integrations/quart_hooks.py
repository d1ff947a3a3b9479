"""What Quart calls on our behalf while a request or a websocket is under way.

Imported when our ASGI middleware is put around a Quart application, because it imports
Quart, which leaves no route in the scope and lets no error out.
"""

from typing import Any

from quart import (
    Quart,
    has_request_context,
    has_websocket_context,
    request,
    signals,
    websocket,
)

from probekit.integrations.wsgi_exchange import KEY
from probekit.notice import notice
from probekit.recording.errors.seen import forget_mark


def attach(app: Quart) -> None:
    """Hear of every request, websocket and unhandled error of *app*; once."""
    signals.request_started.connect(note_start, app)
    signals.websocket_started.connect(note_start, app)
    signals.got_request_exception.connect(note_exception, app)
    signals.got_websocket_exception.connect(note_exception, app)


def detach(app: Quart) -> None:
    """Hear no more of *app*."""
    signals.request_started.disconnect(note_start, app)
    signals.websocket_started.disconnect(note_start, app)
    signals.got_request_exception.disconnect(note_exception, app)
    signals.got_websocket_exception.disconnect(note_exception, app)


async def note_start(_app: Quart, **_: Any) -> None:
    """Note the route; a coroutine, because others are run in a thread each time."""
    _watched()


async def note_exception(_app: Quart, exception: BaseException, **_: Any) -> None:
    """Record what no error handler took."""
    watched = _watched()
    try:
        if watched is None:
            forget_mark(exception)
        else:
            watched.note(exception)
    except Exception:
        notice("quart-error", "probekit: a Quart error could not be recorded")


def _watched() -> Any:
    try:
        if has_request_context():
            current: Any = request
        elif has_websocket_context():
            current = websocket
        else:
            return None
        watched = current.scope.get(KEY)
        if watched is not None:
            watched.matched(current.url_rule)
        return watched
    except Exception:
        notice("quart-route", "probekit: a Quart request could not be looked at")
        return None
