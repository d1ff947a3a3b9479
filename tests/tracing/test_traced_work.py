import asyncio
import sqlite3

import pytest
from flask import Flask
from opentelemetry import trace

import probekit
from probekit.integrations.asgi import ProbekitMiddleware
from probekit.integrations.flask import Probekit
from probekit.integrations.libraries import instrument_libraries, uninstall
from probekit.recording.registry import REGISTRY

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}


@pytest.fixture
def on(traces, served):
    """Traces on, for the process's own registry."""
    traces(1.0, registry=served)
    return served


def spans_of(registry):
    return {span.name: span for span in registry.drain().spans}


@pytest.fixture
def shop():
    app = Flask("shop")
    Probekit(app)

    @app.get("/orders/<int:number>")
    def order(number):
        if number == 13:
            raise LookupError("no such order")
        return {"order": number}

    @app.get("/slow")
    def slow():
        def body():
            yield "a"
            yield trace.get_current_span().name

        return body()

    return app.test_client()


def test_a_request_over_wsgi_is_a_span_of_its_callers_trace(on, shop):
    shop.get("/orders/7?token=secret", headers=CALLER)
    found = spans_of(on)["GET /orders/<int:number>"]

    assert (TRACE, SPAN, 2) == (found.trace_id, found.parent_span_id, found.kind)
    assert 200 == found.attributes["http.response.status_code"]
    assert "/orders/<int:number>" == found.attributes["http.route"]
    assert "secret" not in str(found)
    assert 0 == found.status
    assert not trace.get_current_span().is_recording()


def test_a_failed_request_is_a_failed_span_and_its_error_says_which(on, shop):
    shop.get("/orders/13")
    harvest = on.drain()
    (span,) = harvest.spans
    (error,) = [event for event in harvest.events if event.name == "exception"]

    assert (2, "LookupError") == (span.status, span.attributes["error.type"])
    assert (span.trace_id, span.span_id) == (error.trace_id, error.span_id)


def test_a_streamed_answer_is_one_span_until_its_last_byte(on, shop):
    answer = shop.get("/slow")
    text = answer.get_data(as_text=True)
    (span,) = on.drain().spans

    assert text.startswith("aGET")
    assert "GET /slow" == span.name
    assert not trace.get_current_span().is_recording()


def test_a_request_while_traces_are_off_has_no_span(served, shop):
    shop.get("/orders/7", headers=CALLER)

    assert {} == spans_of(served)


def test_a_request_over_asgi_is_a_span_and_its_background_stays_in_the_trace(on):
    seen = []

    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        seen.append(trace.get_current_span().get_span_context().trace_id)

    async def ask():
        headers = [(name.encode(), value.encode()) for name, value in CALLER.items()]
        scope = {
            "type": "http", "method": "GET", "path": "/x", "http_version": "1.1",
            "headers": headers, "scheme": "http",
        }  # fmt: skip
        sent = []

        async def send(message):
            sent.append(message)

        await ProbekitMiddleware(application)(scope, None, send)
        seen.append(trace.get_current_span().get_span_context().trace_id)

    asyncio.run(ask())
    found = spans_of(on)["GET"]

    assert (TRACE, SPAN, 2) == (found.trace_id, found.parent_span_id, found.kind)
    assert ("vendor=1", "/x") == (found.trace_state, found.attributes["url.path"])
    assert [int(TRACE, 16), 0] == seen


@pytest.fixture
def sqlite():
    instrument_libraries(["sqlite3"])
    yield sqlite3.connect(":memory:")
    uninstall()


def test_a_database_call_is_a_client_span_inside_a_recorded_trace_only(on, sqlite):
    sqlite.execute("CREATE TABLE orders (id)")
    with trace.get_tracer("shop").start_as_current_span("root") as root:
        sqlite.execute("SELECT * FROM orders WHERE id = ?", (4111,))
        with pytest.raises(sqlite3.OperationalError):
            sqlite.execute("SELECT * FROM nowhere")
        between = trace.get_current_span()
    sqlite.close()
    found = spans_of(on)

    assert {"root", "SELECT orders", "SELECT nowhere"} == set(found)
    assert 3 == found["SELECT orders"].kind
    assert "sqlite" == found["SELECT orders"].attributes["db.system.name"]
    assert found["root"].span_id == found["SELECT orders"].parent_span_id
    assert (2, "sqlite3.OperationalError") == (
        found["SELECT nowhere"].status,
        found["SELECT nowhere"].attributes["error.type"],
    )
    assert root is between


def test_a_span_carries_every_attribute_of_its_series(on, shop):
    """So that it can be the example of a point in it."""
    shop.get("/orders/7")
    harvest = on.drain()
    (span,) = harvest.spans
    (series,) = [
        each for each in (harvest.series[series_id] for series_id, _ in harvest.raw)
        if each.name == "http.server.request.duration"
        and ("http.route", "/orders/<int:number>") in each.attributes
        and ("http.response.status_code", 200) in each.attributes
    ]  # fmt: skip

    assert dict(series.attributes).items() <= dict(span.attributes).items()


async def chat(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        with trace.get_tracer("chat").start_as_current_span(message["text"]):
            if message["text"] == "fall":
                raise LookupError("no such room")


async def visit(*texts):
    """One websocket; what is the current span when it is over."""
    messages = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in texts),
        {"type": "websocket.disconnect", "code": 1001},
    ]
    headers = [(name.encode(), value.encode()) for name, value in CALLER.items()]
    scope = {
        "type": "websocket", "path": "/rooms/7", "http_version": "1.1",
        "headers": [*headers, (b"tracestate", b"other=2")], "scheme": "ws",
    }  # fmt: skip

    async def receive():
        return messages.pop(0)

    async def send(message):
        pass

    try:
        application = ProbekitMiddleware(chat, route=lambda _: "/rooms/{room}")
        await application(scope, receive, send)
    except LookupError:
        return trace.get_current_span(), "fell"
    return trace.get_current_span(), "left"


def test_a_websocket_is_one_span_of_its_callers_trace_around_its_messages(on):
    after, _ = asyncio.run(visit("hello", "again"))
    found = spans_of(on)
    span = found.pop("GET /rooms/{room}")

    assert {"hello", "again"} == set(found)
    assert {span.span_id} == {each.parent_span_id for each in found.values()}
    assert (TRACE, SPAN, 2) == (span.trace_id, span.parent_span_id, span.kind)
    assert "vendor=1,other=2" == span.trace_state
    assert 1001 == span.attributes["probekit.websocket.close_code"]
    assert ("ws", 101, "/rooms/7") == tuple(
        span.attributes[name]
        for name in ("url.scheme", "http.response.status_code", "url.path")
    )
    assert not after.get_span_context().is_valid


def test_a_websocket_that_fails_is_a_failed_span_and_its_error_says_which(on):
    after, how = asyncio.run(visit("fall"))
    harvest = on.drain()
    (span,) = [each for each in harvest.spans if each.kind == 2]
    (error,) = [each for each in harvest.events if each.name == "exception"]

    assert "fell" == how
    assert (2, "LookupError") == (span.status, span.attributes["error.type"])
    assert (span.trace_id, span.span_id) == (error.trace_id, error.span_id)
    assert not after.get_span_context().is_valid


def test_a_job_begins_a_trace_and_what_it_does_is_part_of_it(on, sqlite):
    with probekit.job("nightly", attributes={"region": "eu"}):
        sqlite.execute("CREATE TABLE orders (id)")
        sqlite.execute("SELECT * FROM orders")
    sqlite.close()
    found = spans_of(on)
    run = found["nightly"]

    assert ("", 1, 0) == (run.parent_span_id, run.kind, run.status)
    assert {"probekit.job.name": "nightly", "region": "eu"} == dict(run.attributes)
    assert run.span_id == found["SELECT orders"].parent_span_id
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_job_inside_a_trace_and_inside_a_job_is_a_part_of_it(on):
    twice = probekit.job("again")
    with trace.get_tracer("shop").start_as_current_span("root"), twice, twice:
        pass
    root, inner, outer = sorted(on.drain().spans, key=lambda span: span.name != "root")

    assert root.span_id == outer.parent_span_id
    assert outer.span_id == inner.parent_span_id


def test_a_job_that_fails_is_a_failed_span_and_its_error_says_which(on):
    @probekit.job("hourly")
    async def refresh():
        raise LookupError("no such report")

    with pytest.raises(LookupError):
        asyncio.run(refresh())
    harvest = on.drain()
    (span,) = harvest.spans
    (error,) = [event for event in harvest.events if event.name == "exception"]

    assert (2, "LookupError") == (span.status, span.attributes["error.type"])
    assert (span.trace_id, span.span_id) == (error.trace_id, error.span_id)


def test_a_job_that_is_interrupted_or_exits_has_no_failed_span(on):
    with pytest.raises(SystemExit), probekit.job("hourly"):
        raise SystemExit(3)
    (span,) = on.drain().spans

    assert 0 == span.status


def test_a_job_that_the_head_does_not_record_records_nothing_inside(traces, served):
    traces(0.0, registry=served)
    with probekit.job("nightly"):
        carried = trace.get_current_span().get_span_context()
        with trace.get_tracer("shop").start_as_current_span("inside") as inside:
            same = carried.trace_id == inside.get_span_context().trace_id

    assert same
    assert [] == served.drain().spans


def test_configure_takes_traces_and_refuses_what_is_no_policy():
    """What runs, runs on."""
    probekit.configure("first", buffer=":memory:", host_metrics=False, traces=0.5)
    with pytest.raises(probekit.ConfigError, match="traces"):
        probekit.configure("second", buffer=":memory:", traces=object())
    still = probekit.status().service, REGISTRY.tracing is not None
    probekit.shutdown()

    assert ("first", True) == still
    assert REGISTRY.tracing is None
