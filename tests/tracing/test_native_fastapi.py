"""Around FastAPI, which opens spans by itself, a request has one span all the same."""

import asyncio
import contextlib

import fastapi
import pytest
from opentelemetry import trace
from starlette.middleware.cors import CORSMiddleware

from probekit.integrations.asgi import ProbekitMiddleware

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = [(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
SERVER = 2


@pytest.fixture
def on(traces, served):
    """Traces on, for the process's own registry."""
    traces(1.0, registry=served)
    return served


def make_app(**options):
    app = fastapi.FastAPI(**options)

    @app.get("/orders/{number}")
    async def order(number: int):
        if number == 13:
            raise LookupError("no such order")
        return number

    @app.websocket("/rooms/{room}")
    async def room(socket: fastapi.WebSocket, room: str):
        await socket.accept()
        if room == "13":
            raise LookupError("no such room")
        await socket.close()

    return app


def inside(app):
    app.add_middleware(ProbekitMiddleware)
    return app


WAYS = {
    "around": ProbekitMiddleware,
    "around other middleware": lambda app: ProbekitMiddleware(CORSMiddleware(app)),
    "inside": inside,
}


def ask(app, path="/orders/7", headers=(), **more):
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"token=geheim",
        "root_path": "",
        "headers": [(b"host", b"shop.test"), *headers],
        "server": ("shop.test", 80),
        **more,
    }
    kind = "websocket.connect" if scope["type"] == "websocket" else "http.request"

    async def receive():
        return {"type": kind, "body": b"", "more_body": False}

    async def send(message):
        pass

    async def served():
        with contextlib.suppress(LookupError):  # the server's to see
            await app(scope, receive, send)

    asyncio.run(served())


def servers_of(harvest):
    return [span for span in harvest.spans if span.kind == SERVER]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("headers", [(), CALLER])
def test_a_request_has_one_span_of_its_callers_trace(on, way, headers):
    ask(WAYS[way](make_app()), headers=headers)
    harvest = on.drain()
    (span,) = servers_of(harvest)

    assert ("GET /orders/{number}", 200) == (
        span.name,
        span.attributes["http.response.status_code"],
    )
    assert (SPAN if headers else "") == span.parent_span_id
    assert {TRACE if headers else span.trace_id} == {
        each.trace_id for each in harvest.spans
    }
    assert "geheim" not in str(harvest.spans)
    assert not trace.get_current_span().is_recording()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "kind, path", [("http", "/orders/13"), ("websocket", "/rooms/13")]
)
def test_an_error_says_in_which_span_of_its_request_it_happened(on, way, kind, path):
    """A websocket's is its endpoint's, where FastAPI makes a span of that."""
    ask(WAYS[way](make_app()), path, type=kind)
    harvest = on.drain()
    (span,) = servers_of(harvest)
    (error,) = [each for each in harvest.events if each.name == "exception"]

    assert span.trace_id == error.trace_id
    assert error.span_id in {each.span_id for each in harvest.spans}
    assert 1 == sum(problem.count for problem in harvest.problems)


@pytest.mark.parametrize(
    "telemetry",
    [
        {"tracing": False},
        {"exclude": lambda scope: True},
        {"tracer_provider": trace.NoOpTracerProvider()},
    ],
)
@pytest.mark.parametrize(
    "kind, path", [("http", "/orders/7"), ("websocket", "/rooms/7")]
)
def test_where_fastapi_opens_none_for_us_it_is_ours(on, telemetry, kind, path):
    ask(ProbekitMiddleware(make_app(telemetry=telemetry)), path, type=kind)

    assert ["GET " + ("/orders/{number}" if kind == "http" else "/rooms/{room}")] == [
        span.name for span in servers_of(on.drain())
    ]


def test_while_traces_are_off_there_is_none(served):
    ask(ProbekitMiddleware(make_app()))

    assert [] == served.drain().spans
