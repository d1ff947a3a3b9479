"""Requests that have not ended say their route, and who told them to end."""

import asyncio
import threading
from time import perf_counter

import pytest
from asgi_client import get
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from probekit.integrations.asgi import ProbekitMiddleware as AsgiMiddleware
from probekit.integrations.flask import Probekit
from probekit.integrations.wsgi import ProbekitMiddleware as WsgiMiddleware
from probekit.recording.registry import REGISTRY
from probekit.recording.underway.running import UNDERWAY
from probekit.runtime.heartbeat import long_operations


def look():
    """What a heartbeat would tell, were all that runs older than a second."""
    REGISTRY.drain()  # as it does five times a second
    found = long_operations(perf_counter() + 2.0)
    return [each for each in found if each.kind == "request"]


@pytest.fixture
def seen():
    assert set() == UNDERWAY
    yield []
    REGISTRY.drain()
    assert set() == UNDERWAY, "it entered and did not leave"


def told(seen):
    (found,) = seen
    return found.name, found.attributes


def flask_app(seen):
    app = Flask("shop")
    Probekit(app)

    @app.get("/orders/<int:number>")
    def order(number):
        seen.extend(look())
        return str(number)

    return app


def test_a_flask_request_under_way_is_told_with_its_route(seen):
    flask_app(seen).test_client().get("/orders/7?token=hunter2")

    name, attributes = told(seen)
    assert "GET /orders/<int:number>" == name
    assert {
        "http.request.method": "GET",
        "http.route": "/orders/<int:number>",
    } == attributes


def test_a_request_that_no_router_has_seen_is_told_by_its_method(seen):
    def application(environ, start_response):
        seen.extend(look())
        start_response("200 OK", [])
        return [b""]

    environ = {
        "REQUEST_METHOD": "POST",
        "wsgi.url_scheme": "http",
        "PATH_INFO": "/orders/7",
    }
    WsgiMiddleware(application)(environ, lambda *_: None)

    assert ("POST", {"http.request.method": "POST"}) == told(seen)


def test_a_streamed_answer_is_under_way_until_its_end(seen):
    app = Flask("shop")
    Probekit(app)

    @app.get("/feed")
    def feed():
        def chunks():
            yield b"a"
            seen.extend(look())
            yield b"b"

        return chunks()

    assert b"ab" == app.test_client().get("/feed").data
    assert "GET /feed" == told(seen)[0]


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "mounted"])
def test_an_asgi_request_that_waits_is_told_with_its_route(seen, framework):
    async def order(request):
        await asyncio.sleep(0)
        seen.extend(look())
        return PlainTextResponse("ok")

    route = Route("/orders/{number}", order)
    if framework == "fastapi":
        app = FastAPI(routes=[route])
    elif framework == "mounted":
        app = Starlette(routes=[Mount("/shop", routes=[route])])
    else:
        app = Starlette(routes=[route])
    prefix = "/shop" if framework == "mounted" else ""
    get(AsgiMiddleware(app), f"{prefix}/orders/7")

    assert f"GET {prefix}/orders/{{number}}" == told(seen)[0]


def test_an_asgi_request_that_waits_says_where(seen):
    """It is on no thread's stack: the place is that of its coroutines."""

    def look_once_it_waits(loop):
        # The thread begins while its starter is still on the loop's stack.
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(10)
        return look()

    async def waits(scope, receive, send):
        loop = asyncio.get_running_loop()
        seen.extend(await asyncio.to_thread(look_once_it_waits, loop))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def application(scope, receive, send):
        await waits(scope, receive, send)

    get(AsgiMiddleware(application), "/y")
    (found,) = [each for each in seen if each.kind == "request"]

    places = [line.rpartition(" in ")[2] for line in found.stack.splitlines()]
    names = [place.rpartition(".")[2] for place in places]
    assert "to_thread" == names[0]
    assert names.index("waits") < names.index("application")


def test_a_route_function_of_the_application_is_not_asked_from_our_thread(seen):
    """It is the application's code, made to be asked after the answer."""
    asked = []

    async def application(scope, receive, send):
        seen.extend(look())
        assert [] == asked
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    get(AsgiMiddleware(application, route=lambda scope: asked.append(1) or "/x"), "/y")

    assert "GET" == told(seen)[0]
    assert [1] == asked


def test_the_place_of_a_request_is_that_of_the_thread_that_serves_it(seen):
    inside, go = threading.Event(), threading.Event()
    app = Flask("shop")
    Probekit(app)

    @app.get("/slow")
    def hangs_here():
        inside.set()
        assert go.wait(10)
        return "ok"

    thread = threading.Thread(target=app.test_client().get, args=("/slow",))
    thread.start()
    assert inside.wait(10)
    (found,) = look()
    go.set()
    thread.join()

    assert "hangs_here" in found.stack
    assert "probekit/integrations" not in found.stack


def test_a_request_that_is_told_to_end_after_a_second_leaves_an_event(seen):
    """As a server's worker timeout does it; a quick one is nobody's concern."""
    app = flask_app([])

    @app.get("/slow/<name>")
    def slow(name):
        REGISTRY.drain()
        (exchange,) = UNDERWAY
        exchange.began_s -= 3.0 if name == "slow" else 0.0
        raise SystemExit(1)

    for name in ("quick", "slow"):
        with pytest.raises(SystemExit):
            app.test_client().get(f"/slow/{name}")
    (event,) = REGISTRY.drain().events

    assert "interrupted" == event.name
    assert "GET /slow/<name>" == event.attributes["probekit.operation.name"]
    assert "SystemExit" == event.attributes["error.type"]
    assert 3.0 <= event.attributes["probekit.operation.duration"] < 30
