"""What the plain ASGI middleware records, and that it changes nothing."""

import asyncio
import gc
import inspect
import weakref

import pytest
from asgi_client import call, connect, get, scope_of, socket_scope_of
from recorded_requests import Told

import probekit
from probekit.errors import ConfigError
from probekit.integrations.asgi import ProbekitMiddleware
from probekit.integrations.asgi_routes import Routes

BASE = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "network.protocol.version": "1.1",
}
BACKGROUND = "probekit.http.server.background.duration"
SOCKETS = "probekit.websocket.duration"


class PaymentError(Exception):
    """What the shop raises."""


async def answer(send, status=200, body=b"ok"):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def shop(scope, receive, send):
    """An application without a framework."""
    path = scope["path"]
    if path == "/raise":
        raise PaymentError("declined")
    if path == "/raise-after-the-answer":
        await answer(send)
        await asyncio.sleep(0.002)
        raise PaymentError("declined")
    if path == "/answer-and-raise":
        await answer(send, 500)
        raise PaymentError("declined")
    if path == "/silent":
        return
    if path == "/event":
        probekit.event("order.refunded")
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await asyncio.sleep(0.004)
            chunk = {"type": "http.response.body", "body": b"x"}
            await send(chunk | {"more_body": number < 2})
        return
    if path == "/broken-stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise PaymentError("declined")
    if path == "/background":
        await answer(send)
        await asyncio.sleep(0.03)
        return
    await answer(send, int(path[1:]) if path[1:].isdigit() else 200)


def told_of(path, app=shop, **options):
    get(ProbekitMiddleware(app), path, **options)
    return Told()


def test_a_request_has_its_method_its_status_and_no_route_of_its_own():
    told = told_of("/200")

    assert [BASE | {"http.response.status_code": 200}] == told.of()
    assert 0.0 == told.level()


def test_a_request_is_active_until_its_answer_is_complete():
    during = []
    get(ProbekitMiddleware(shop), "/200", on_send=lambda _: during.append(Told()))
    after = Told()

    assert [1.0, 0] == [told.level() for told in during]
    assert [0, 0] == [len(told.of()) for told in during]
    assert (1, -1.0) == (len(after.of()), after.level())


def test_unmatched_paths_are_one_series():
    app = ProbekitMiddleware(shop)
    for path in ("/a", "/b", "/c"):
        get(app, path)

    assert [("", 200)] * 3 == Told().routes()


def test_the_duration_ends_with_the_last_message_of_the_body():
    (streamed_s,) = told_of("/stream").values()
    told = told_of("/background")

    assert streamed_s >= 0.012
    assert told.values()[0] < 0.03 <= told.values(BACKGROUND)[0]
    assert [{"http.request.method": "GET"}] == told.of(BACKGROUND)


def test_an_application_that_returns_at_once_has_no_background():
    assert [] == told_of("/200").of(BACKGROUND)


def test_an_error_after_the_answer_is_the_backgrounds():
    told = told_of("/raise-after-the-answer")

    assert [BASE | {"http.response.status_code": 200}] == told.of()
    assert f"{__name__}.PaymentError" == told.of(BACKGROUND)[0]["error.type"]
    assert [1] == [problem.count for problem in told.problems]


@pytest.mark.parametrize("path", ["/raise", "/answer-and-raise"])
def test_an_error_is_a_500_with_its_type_and_passes_unchanged(path):
    found = get(ProbekitMiddleware(shop), path)
    told = Told()

    assert isinstance(found.error, PaymentError)
    assert [
        BASE
        | {
            "http.response.status_code": 500,
            "error.type": f"{__name__}.PaymentError",
        }
    ] == told.of()
    assert [1] == [problem.count for problem in told.problems]
    assert 0.0 == told.level()


def test_an_error_in_a_stream_keeps_the_status_that_was_sent():
    (found,) = told_of("/broken-stream").of()

    assert 200 == found["http.response.status_code"]
    assert f"{__name__}.PaymentError" == found["error.type"]


def test_an_application_that_says_nothing_is_a_500_as_servers_answer():
    assert [("", 500)] == told_of("/silent").routes()


def test_a_5xx_speaks_for_itself():
    (found,) = told_of("/503").of()

    assert "503" == found["error.type"]


def test_a_cancelled_request_is_timed_and_is_no_error():
    async def hang(scope, receive, send):
        await asyncio.Event().wait()

    async def cut():
        task = asyncio.ensure_future(
            call(ProbekitMiddleware(hang), scope_of("/")),
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut())
    told = Told()

    assert [BASE] == told.of()
    assert 0.0 == told.level()
    assert [] == told.problems


def test_messages_are_the_same_objects_with_and_without():
    head = {"type": "http.response.start", "status": 200, "headers": []}
    body = {"type": "http.response.body", "body": b"ok"}
    trailers = {"type": "http.response.trailers", "headers": []}

    async def app(scope, receive, send):
        for message in (head, body, trailers):
            await send(message)

    sent = get(ProbekitMiddleware(app), "/").messages

    assert [id(head), id(body), id(trailers)] == [id(message) for message in sent]


def test_no_task_is_started_and_the_applications_task_is_the_servers():
    seen = []

    async def app(scope, receive, send):
        seen.append((asyncio.current_task(), len(asyncio.all_tasks())))
        await answer(send)

    async def serve():
        await call(ProbekitMiddleware(app), scope_of("/"))
        return asyncio.current_task()

    task = asyncio.run(serve())

    assert [(task, 1)] == seen


def test_servers_see_an_application_of_the_third_version():
    assert inspect.iscoroutinefunction(ProbekitMiddleware(shop).__call__)


def test_lifespans_and_unknown_scopes_reach_the_application_untouched():
    seen = []

    async def app(*arguments):
        seen.append(arguments)

    for kind in ("lifespan", "carrier.pigeon"):
        arguments = ({"type": kind}, object(), object())
        asyncio.run(ProbekitMiddleware(app)(*arguments))
        assert all(a is b for a, b in zip(arguments, seen.pop(), strict=True))
        assert {"type": kind} == arguments[0]
    assert [] == Told().of()


def test_excluded_paths_are_not_recorded():
    app = ProbekitMiddleware(shop, exclude=["/health", "/static/*"])
    for path in ("/health", "/static/a/b", "/200"):
        get(app, path)

    assert [("", 200)] == Told().routes()


@pytest.mark.parametrize("pattern", ["health", "", 7, None])
def test_a_pattern_that_matches_no_path_is_refused_with_its_value(pattern):
    with pytest.raises(ConfigError, match=rf"exclude: {pattern!r} "):
        ProbekitMiddleware(shop, exclude=[pattern])


def test_watched_twice_is_counted_once():
    get(ProbekitMiddleware(ProbekitMiddleware(shop)), "/200")

    assert 1 == len(Told().of())


def test_a_function_may_say_the_route():
    app = ProbekitMiddleware(shop, route=lambda scope: "/<status>")
    get(app, "/404")

    assert [("/<status>", 404)] == Told().routes()


def test_a_route_function_that_fails_costs_the_route_only():
    app = ProbekitMiddleware(shop, route=lambda scope: 1 / 0)
    assert 200 == get(app, "/200").status

    assert [("", 200)] == Told().routes()


def test_a_route_function_that_fails_five_times_in_a_row_is_left_alone():
    """Also when what it raises fails to say what it is."""
    asked = []

    class Wordless(Exception):
        def __str__(self):
            raise self

        __repr__ = __str__

    def route(scope):
        asked.append(scope)
        raise Wordless

    app = ProbekitMiddleware(shop, route=route)
    for _ in range(7):
        get(app, "/200")

    assert 5 == len(asked)
    assert 7 * [("", 200)] == Told().routes()


def test_the_callers_trace_is_on_what_is_recorded_during_the_request():
    trace, span = "a" * 32, "b" * 16
    app = ProbekitMiddleware(shop)
    for header in (f"00-{trace}-{span}-01", f"00-{'0' * 32}-{span}-01"):
        get(app, "/event", headers=[(b"traceparent", header.encode())])
    get(app, "/event")

    assert [(trace, span), ("", ""), ("", "")] == [
        (event.trace_id, event.span_id) for event in Told().events
    ]


def test_work_after_the_answer_is_in_the_callers_trace_still():
    trace, span = "a" * 32, "b" * 16

    async def app(scope, receive, send):
        await answer(send)
        probekit.event("later")

    header = (b"traceparent", f"00-{trace}-{span}-01".encode())

    async def serve():
        await call(ProbekitMiddleware(app), scope_of("/", headers=[header]))
        probekit.event("outside")

    asyncio.run(serve())

    assert [trace, ""] == [event.trace_id for event in Told().events]


def test_a_request_inside_suppress_is_not_recorded():
    with probekit.suppress():
        get(ProbekitMiddleware(shop), "/background")
        get(ProbekitMiddleware(shop), "/raise")
    told = Told()

    assert ([], [], [], 0) == (
        told.of(),
        told.of(BACKGROUND),
        told.problems,
        told.level(),
    )


def test_nothing_keeps_a_request_or_its_exception_alive():
    kept = []

    class Scope(dict):
        """One that can be referred to weakly."""

    async def app(scope, receive, send):
        error = PaymentError("declined")
        kept.append(weakref.ref(error))
        raise error

    scope = Scope(scope_of("/"))
    kept.append(weakref.ref(scope))
    watched = ProbekitMiddleware(app)
    gc.disable()
    try:
        found = asyncio.run(call(watched, scope))
        del scope, found
        gc.collect()
    finally:
        gc.enable()

    assert [None, None] == [reference() for reference in kept]


def test_a_disabled_probekit_passes_everything_through(monkeypatch):
    monkeypatch.setenv("PROBEKIT_DISABLE", "1")

    assert 200 == get(ProbekitMiddleware(shop), "/200").status
    assert [] == Told().of()


@pytest.mark.parametrize(
    "place", ["ServerMetrics.active", "ServerMetrics.duration", "parse_traceparent"]
)
def test_a_fault_of_ours_does_not_reach_the_client(monkeypatch, place):
    def fall(*_):
        raise RuntimeError

    module = "wsgi_exchange" if place == "parse_traceparent" else "http"
    monkeypatch.setattr(f"probekit.integrations.{module}.{place}", fall)
    app = ProbekitMiddleware(shop)

    assert 200 == get(app, "/200", headers=[(b"traceparent", b"x")]).status


# -- websockets ------------------------------------------------------------------------


async def echo(scope, receive, send):
    await receive()
    if scope["path"] == "/refused":
        await send({"type": "websocket.close"})
        return
    if scope["path"] == "/raise-first":
        raise PaymentError("declined")
    await send({"type": "websocket.accept"})
    if scope["path"] == "/close":
        await send({"type": "websocket.close", "code": 4321})
        return
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["text"] == "raise":
            raise PaymentError("declined")
        await send({"type": "websocket.send", "text": message["text"]})


SOCKET = {"url.scheme": "ws", "network.protocol.version": "1.1"}


def socket_told(path, *messages):
    connect(ProbekitMiddleware(echo), path, *messages)
    return Told()


def test_a_websocket_is_counted_timed_and_no_request():
    told = socket_told("/", "a", "b")

    assert [
        SOCKET
        | {"http.response.status_code": 101, "probekit.websocket.close_code": 1001}
    ] == told.of(SOCKETS)
    assert {
        (("network.io.direction", "receive"),): 2.0,
        (("network.io.direction", "transmit"),): 2.0,
    } == told.sums("probekit.websocket.messages")
    assert [] == told.of()
    assert 0.0 == told.level("probekit.websocket.active")


def test_a_websocket_that_was_refused_is_a_403():
    assert [SOCKET | {"http.response.status_code": 403}] == socket_told("/refused").of(
        SOCKETS
    )


def test_codes_that_anybody_may_make_up_are_not_recorded():
    assert [SOCKET | {"http.response.status_code": 101}] == socket_told("/close").of(
        SOCKETS
    )


@pytest.mark.parametrize("path, status", [("/raise-first", 500), ("/", 101)])
def test_an_error_in_a_websocket_is_recorded_with_what_was_answered(path, status):
    told = socket_told(path, "raise")
    (found,) = told.of(SOCKETS)

    assert f"{__name__}.PaymentError" == found["error.type"]
    assert status == found["http.response.status_code"]
    assert [1] == [problem.count for problem in told.problems]
    assert 0.0 == told.level("probekit.websocket.active")


def test_a_websocket_is_open_from_its_accept_to_its_end():
    levels = []

    async def serve():
        incoming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect"}]
        await call(
            ProbekitMiddleware(echo),
            socket_scope_of("/"),
            incoming,
            on_send=lambda _: levels.append(Told().level("probekit.websocket.active")),
        )

    asyncio.run(serve())

    assert [0] == levels
    assert 0.0 == Told().level("probekit.websocket.active")


# -- routes ----------------------------------------------------------------------------


class Route:
    def __init__(self, path, endpoint):
        self.path, self.endpoint = path, endpoint


class Mount:
    def __init__(self, path, routes):
        self.path, self.routes, self.app = path, routes, object()


class Router:
    def __init__(self, *routes):
        self.routes = routes


def test_older_frameworks_that_leave_an_endpoint_are_looked_up():
    def view():
        pass

    router = Router(Route("/other", None), Mount("/v{n}", [Route("/a/{b}", view)]))
    scope = {"router": router, "endpoint": view, "path": "/v1/a/2", "root_path": "/v1"}

    assert "/v{n}/a/{b}" == Routes(None).template(scope, "", "200")


def test_one_endpoint_at_two_places_is_told_apart_by_the_path():
    def view():
        pass

    router = Router(Route("/a/{x}", view), Route("/b/{x:path}", view), Mount("/c", []))
    routes = Routes(None)

    assert ["/a/{x}", "/b/{x:path}"] == [
        routes.template(
            {"router": router, "endpoint": view, "path": path, "root_path": ""},
            "",
            "200",
        )
        for path in ("/a/1", "/b/1/2/3")
    ]


@pytest.mark.parametrize("left", [{"route": 7}, {"endpoint": 7}, {"router": 7}])
def test_what_another_framework_leaves_is_no_route(left):
    scope = {"path": "/", "root_path": "", **left}

    assert "" == Routes(None).template(scope, "", "200")
