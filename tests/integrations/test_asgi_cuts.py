"""A signal at every place of our ASGI frames: no request stays behind."""

from contextlib import nullcontext

import pytest
from asgi_client import scope_of, socket_scope_of
from recorded_requests import Told

import probekit
from cuts import Late, cuts
from probekit.integrations.asgi import ProbekitMiddleware
from probekit.integrations.http import REMOTE
from probekit.integrations.wsgi_exchange import KEY
from probekit.recording.errors.problems import Problems
from probekit.recording.registry import REGISTRY
from probekit.recording.underway.running import UNDERWAY

TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
PARENT = [(b"traceparent", TRACE)]


class PaymentError(Exception):
    """What the shop raises."""


async def shop(scope, receive, send):
    """An application that waits for nothing: it runs without a loop."""
    if scope["path"] == "/broken":
        raise PaymentError("declined")
    probekit.event("order.seen")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


async def room(scope, receive, send):
    """Likewise, over a websocket."""
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/broken":
        raise PaymentError("declined")
    await send({"type": "websocket.send", "text": "a"})
    await send({"type": "websocket.close"})


async def receive():
    return {"type": "websocket.connect"}


async def send(_):
    return None


def serve(application, scope, during):
    """Serve one request as a server does, on this very stack."""
    serving = application(scope, receive, send)
    try:
        with during:
            serving.send(None)
    except (StopIteration, PaymentError, Late):  # the server's to see
        pass
    finally:
        serving.close()


pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


def cut_everywhere(application, make_scope, path, headers):
    """Serve, cut at each place in turn; what is left in the scope and of the caller."""
    for cut in cuts(spare="fail"):
        scope = make_scope(path, headers=headers)
        serve(application, scope, cut)
        ids = REMOTE.get()
        REMOTE.set(("", ""))
        yield KEY in scope, ids


@pytest.fixture(autouse=True)
def problems(monkeypatch):
    """Its own, for the same error again and again is told more and more rarely."""
    monkeypatch.setattr(REGISTRY, "problems", Problems(REGISTRY))


@pytest.mark.parametrize("headers", [[], PARENT], ids=["alone", "in a trace"])
@pytest.mark.parametrize("path", ["/orders/7", "/broken", "/stream"])
def test_a_limit_that_comes_at_any_place_leaves_no_request_active(path, headers):
    """Nor the ids of its caller running, nor the request in what the server gave.

    But where it comes at the first line of what ends a request that has failed.
    """
    application = ProbekitMiddleware(shop)
    served = cut_everywhere(application, scope_of, path, headers)
    for places, left in enumerate(served):
        assert (False, ("", "")) == left, places
        assert (0, set()) == (Told().level(), UNDERWAY), places
    assert places > 8


@pytest.mark.parametrize("headers", [[], PARENT], ids=["alone", "in a trace"])
@pytest.mark.parametrize("path", ["/rooms/7", "/broken"])
def test_a_limit_that_comes_at_any_place_leaves_nothing_of_a_websocket(path, headers):
    """But that it is open, where the limit comes in the very counting of that."""
    application = ProbekitMiddleware(room)
    served = cut_everywhere(application, socket_scope_of, path, headers)
    for places, left in enumerate(served):
        assert (False, ("", "")) == left, places
    assert places > 8


def test_a_request_that_is_not_recorded_and_fails_leaves_nothing_in_the_scope():
    scope = scope_of("/broken")
    with probekit.suppress():
        serve(ProbekitMiddleware(shop), scope, nullcontext())

    assert KEY not in scope
