"""Real HTTP clients against a server on loopback: figures, names, context, silence."""

import asyncio
import contextlib

import pytest
from opentelemetry import trace
from recorded import http_server, instrumented, take

import probekit
from needs import library
from probekit.recording.registry import REGISTRY
from probekit.tracing.connection import connect
from probekit.tracing.policy import plan_of

pytestmark = pytest.mark.backend

METRIC = "http.client.request.duration"
TRACE, SPAN = "a" * 32, "b" * 16


def by_requests(url):
    with library("requests").Session() as session:
        return session.get(url).status_code


def by_httpx(url):
    with library("httpx").Client(follow_redirects=True) as session:
        return session.get(url).status_code


def by_httpx_async(url):
    async def ask():
        async with library("httpx").AsyncClient(follow_redirects=True) as session:
            return (await session.get(url)).status_code

    return asyncio.run(ask())


def by_urllib3(url):
    with library("urllib3").PoolManager() as pool:
        return pool.request("GET", url, retries=library("urllib3").Retry(1)).status


def by_aiohttp(url):
    async def ask():
        session = library("aiohttp").ClientSession()
        async with session, session.get(url) as response:
            return response.status

    return asyncio.run(ask())


CLIENTS = [by_requests, by_httpx, by_httpx_async, by_urllib3, by_aiohttp]
clients = pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__[3:])


@pytest.fixture
def server():
    with http_server() as (port, seen):
        yield port, seen


@pytest.fixture(autouse=True)
def patched():
    names = ["requests", "httpx", "urllib3", "aiohttp"]
    for name in names:
        library(name)
    with instrumented(*names):
        yield


def attributes(port, **more):
    return {
        "http.request.method": "GET",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        **more,
    }


@clients
def test_a_call_is_one_value_however_many_patched_layers_it_passes(ask, server):
    port, _ = server
    assert ask(f"http://127.0.0.1:{port}/ok") == 200

    expected = attributes(port, **{"http.response.status_code": 200})
    assert [(expected, 1)] == take().of(METRIC)


@clients
def test_a_redirect_belongs_to_the_call_that_followed_it(ask, server):
    port, seen = server
    assert ask(f"http://127.0.0.1:{port}/moved") == 200

    assert len(seen) == 2
    expected = attributes(port, **{"http.response.status_code": 200})
    assert [(expected, 1)] == take().of(METRIC)


@clients
def test_a_span_has_the_address_without_what_is_nobodys_business(ask, server):
    port, _ = server
    connection = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})
    try:
        with trace.get_tracer("shop").start_as_current_span("page"):
            ask(f"http://127.0.0.1:{port}/ok/4111111111111111?card=4111&q=tea#top")
    finally:
        connection.close()
    (span, _) = REGISTRY.drain().spans
    expected = f"http://127.0.0.1:{port}/ok/[redacted]?card=REDACTED&q=REDACTED"

    assert ("GET", expected) == (span.name, span.attributes["url.full"])


@clients
def test_a_refused_request_is_an_error_by_its_status(ask, server):
    port, _ = server
    card = "4111111111111111"
    ask(f"http://127.0.0.1:{port}/missing?card={card}")

    more = {"http.response.status_code": 404, "error.type": "404"}
    taken = take()
    assert [(attributes(port, **more), 1)] == taken.of(METRIC)
    assert card not in repr(taken)


@clients
def test_the_libraries_own_exception_passes_and_names_the_error(ask, server):
    port, _ = server
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client has its own
        ask(f"http://127.0.0.1:{port}/cut")

    ((found, count),) = take().of(METRIC)
    kind = type(caught.value)
    assert (f"{kind.__module__}.{kind.__qualname__}", 1) == (found["error.type"], count)
    assert "http.response.status_code" not in found


@clients
def test_the_trace_context_goes_out_and_only_when_there_is_one(
    ask, server, monkeypatch
):
    port, seen = server
    ask(f"http://127.0.0.1:{port}/ok")
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: (TRACE, SPAN))
    ask(f"http://127.0.0.1:{port}/ok")

    sent = [
        {name.lower(): value for name, value in headers.items()}.get("traceparent")
        for headers in seen
    ]
    assert [None, f"00-{TRACE}-{SPAN}-01"] == sent


@clients
def test_nothing_is_recorded_inside_suppress(ask, server):
    port, _ = server
    with probekit.suppress():
        ask(f"http://127.0.0.1:{port}/ok")

    assert [] == take().of(METRIC)


@clients
def test_an_answer_of_opentelemetrys_exporters_is_not_recorded(ask, server):
    from opentelemetry import context

    port, _ = server
    token = context.attach(context.set_value("suppress_instrumentation", True))
    try:
        ask(f"http://127.0.0.1:{port}/ok")
    finally:
        context.detach(token)

    assert [] == take().of(METRIC)


def test_an_opentelemetry_span_is_the_parent_that_is_sent(server):
    from opentelemetry import trace

    port, seen = server
    span = trace.NonRecordingSpan(
        trace.SpanContext(
            int(TRACE, 16),
            int(SPAN, 16),
            is_remote=False,
            trace_flags=trace.TraceFlags(1),
        )
    )
    with trace.use_span(span):
        by_requests(f"http://127.0.0.1:{port}/ok")

    assert f"00-{TRACE}-{SPAN}-01" == seen[0]["traceparent"]


def test_a_trace_header_of_the_applications_own_stays(server, monkeypatch):
    requests = library("requests")
    port, seen = server
    monkeypatch.setattr(REGISTRY, "trace_ids", lambda: (TRACE, SPAN))
    requests.get(f"http://127.0.0.1:{port}/ok", headers={"Traceparent": "mine"})

    assert "mine" == {k.lower(): v for k, v in seen[0].items()}["traceparent"]


def test_a_hostile_response_costs_its_status_and_nothing_else(server):
    requests = library("requests")
    port, _ = server

    class Hostile(requests.Response):
        @property
        def status_code(self):
            raise RuntimeError("no")

        @status_code.setter
        def status_code(self, value):
            pass

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request, **_options):
            answer = Hostile()
            answer.request, answer.url = request, request.url
            answer._content = b"hi"
            return answer

        def close(self):
            pass

    with requests.Session() as session:
        session.mount("http://", Adapter())
        with contextlib.suppress(RuntimeError):  # requests asks for the status as well
            session.get(f"http://127.0.0.1:{port}/ok")

    ((found, count),) = take().of(METRIC)
    assert (1, "GET") == (count, found["http.request.method"])


def test_a_method_that_somebody_made_up_does_not_make_a_series(server):
    requests = library("requests")
    port, _ = server
    for index in range(3):
        with requests.Session() as session:
            session.request(f"WEIRD{index}", f"http://127.0.0.1:{port}/ok")

    assert [("_OTHER", 3)] == [
        (found["http.request.method"], count) for found, count in take().of(METRIC)
    ]


def test_every_function_is_put_back_by_identity():
    from probekit.integrations import libraries

    places = [
        (library("requests").Session, "send"),
        (library("httpx").Client, "send"),
        (library("httpx").AsyncClient, "send"),
        (library("urllib3").PoolManager, "urlopen"),
        (library("aiohttp").ClientSession, "_request"),
    ]
    wrapped = [vars(owner)[name] for owner, name in places]
    originals = [function.__wrapped__ for function in wrapped]
    libraries.uninstall()

    for (owner, name), original in zip(places, originals, strict=True):
        assert vars(owner)[name] is original
