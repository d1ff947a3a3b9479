"""Web frameworks watched without a line of the application's own."""

import asyncio
import inspect
from typing import Annotated

import litestar
import pytest
import quart
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from probekit.integrations import libraries
from probekit.integrations.asgi import ProbekitMiddleware
from probekit.integrations.flask import Probekit
from program import Program

METRIC = "http.server.request.duration"


@pytest.fixture
def patched(recorded):
    libraries.instrument_libraries(["flask", "starlette", "quart", "litestar"])
    recorded()


def routes(recorded):
    """Route → requests."""
    return {found.get("http.route"): count for found, count in recorded().of(METRIC)}


def flask_app():
    app = Flask("shop")
    app.add_url_rule("/orders/<int:number>", "order", lambda number: f"{number}")
    app.add_url_rule("/health", "health", view_func=lambda: "ok")
    return app


def starlette_app(**more):
    async def order(request):
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/orders/{number}", order)], **more)


def fastapi_app():
    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int):
        return number

    return app


def quart_app(**more):
    app = quart.Quart("shop")

    @app.get("/orders/<int:number>")
    async def order(number):
        return str(number)

    @app.get("/broken")
    async def broken():
        raise LookupError("no such order")

    return app


def litestar_app(**more):
    @litestar.get("/orders/{number:int}", media_type="text/plain", sync_to_thread=False)
    def order(number: Annotated[int, litestar.params.PathParameter()]) -> str:
        return str(number)

    return litestar.Litestar([order], openapi_config=None, **more)


def ask(app, path="/orders/7"):
    """One request over ASGI; the status."""
    sent = []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("shop.test", 80),
    }  # fmt: skip

    bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    answered = asyncio.Event()

    async def receive():
        if bodies:
            return bodies.pop()
        await answered.wait()  # then the client goes: some frameworks wait for that
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def test_a_flask_application_is_watched_from_its_first_request(patched, recorded):
    client = flask_app().test_client()
    client.get("/orders/7")
    client.get("/orders/8")

    assert {"/orders/<int:number>": 2} == routes(recorded)


def test_what_a_flask_application_says_itself_holds(patched, recorded):
    app = flask_app()
    Probekit(app, exclude="/health")
    client = app.test_client()
    client.get("/health")
    client.get("/orders/7")

    assert {"/orders/<int:number>": 1} == routes(recorded)


def test_a_flask_application_is_put_back_by_identity(patched, recorded):
    app = flask_app()
    before = dict(vars(app))
    extensions = dict(app.extensions)
    app.test_client().get("/orders/7")
    watched = set(vars(app)) - set(before)
    libraries.uninstall()
    app.test_client().get("/orders/7")

    assert watched
    assert set(before) == set(vars(app))
    assert extensions == app.extensions
    assert {"/orders/<int:number>": 1} == routes(recorded)


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_a_starlette_application_is_watched_until_the_library_is_put_back(
    make, patched, recorded
):
    app = make()
    statuses = [ask(app)]
    libraries.uninstall()
    statuses += [ask(app)]

    assert [200, 200] == statuses
    assert {"/orders/{number}": 1} == routes(recorded)


@pytest.mark.parametrize(
    "make, route",
    [(quart_app, "/orders/<int:number>"), (litestar_app, "/orders/{number}")],
)
def test_quart_and_litestar_are_watched_until_the_library_is_put_back(
    make, route, recorded
):
    """Also applications that were made before: patched is what is called."""
    app = make()
    libraries.instrument_libraries(["quart", "litestar"])
    recorded()
    statuses = [ask(app), ask(ProbekitMiddleware(app))]
    is_asgi3 = inspect.iscoroutinefunction(app.__call__)  # so servers look at it
    libraries.uninstall()
    statuses += [ask(app)]

    assert is_asgi3
    assert [200, 200, 200] == statuses
    assert {route: 2} == routes(recorded)
    assert "wrapt" not in type(vars(type(app))["__call__"]).__module__


@pytest.mark.parametrize("make", [starlette_app, fastapi_app, quart_app, litestar_app])
def test_what_our_middleware_around_an_application_leaves_out_is_left_out(
    make, patched, recorded
):
    statuses = [
        ask(ProbekitMiddleware(make(), exclude="/orders/7")),
        ask(ProbekitMiddleware(make(), exclude="/orders/8")),
    ]

    assert [200, 200] == statuses
    assert [1] == list(routes(recorded).values())


@pytest.mark.parametrize("make", [quart_app, litestar_app])
def test_a_server_that_asks_for_a_factory_gets_its_error_and_nothing_is_told(
    make, patched, monkeypatch
):
    """Uvicorn calls what it is given without arguments, to see what that is."""
    told = []
    monkeypatch.setattr(
        "probekit.integrations.libraries.asgi.told", lambda *words: told.append(words)
    )
    with pytest.raises(TypeError, match="scope"):
        make()()

    assert [] == told


def test_what_quart_and_litestar_applications_say_themselves_holds(patched, recorded):
    """Their own middleware leaves these paths out, and nothing else counts them."""
    shop = quart_app()
    shop.asgi_app = ProbekitMiddleware(shop.asgi_app, exclude="/orders/*")
    named = litestar_app(middleware=[ProbekitMiddleware])
    ask(shop)
    ask(named)

    assert {"/orders/{number}": 1} == routes(recorded)


def test_an_error_in_quart_is_recorded_with_its_request(patched, recorded):
    app = quart_app()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    statuses = [ask(app, "/broken"), ask(app, "/broken")]
    seen = recorded()
    libraries.uninstall()
    ask(app, "/broken")

    assert [500, 500] == statuses
    assert [2] == [problem.count for problem in seen.problems]
    assert [] == recorded().problems


def test_a_websocket_and_a_lifespan_of_quart_pass_as_they_are(patched, recorded):
    app = quart_app()

    @app.websocket("/ws/<room>")
    async def room(room):
        await quart.websocket.send(room)

    async def talk():
        async with (
            app.test_app() as running,
            running.test_client().websocket("/ws/blue") as socket,
        ):
            return await socket.receive()

    assert "blue" == asyncio.run(talk())
    ((found, count),) = recorded().of("probekit.websocket.duration")
    assert ("/ws/<room>", 1) == (found["http.route"], count)


def test_an_application_inside_or_around_ours_is_counted_once(patched, recorded):
    inside = starlette_app()
    inside.add_middleware(ProbekitMiddleware)
    outside = Starlette()
    outside.mount("/shop", starlette_app())
    ask(inside)
    ask(ProbekitMiddleware(starlette_app()))
    ask(outside, "/shop/orders/7")

    assert {"/orders/{number}": 2, "/shop/orders/{number}": 1} == routes(recorded)


DJANGO = """
import django.urls, probekit
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from probekit.integrations import libraries
from probekit.runtime.client import snapshot

def count():
    probekit.flush()
    return sum(each.value.count for each in snapshot().points
               if each.series.name == "http.server.request.duration")

urlpatterns = [django.urls.path("orders/<int:number>",
                                lambda _, number: HttpResponse("ok"))]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[])
probekit.configure("shop", buffer=":memory:", host_metrics=False, own_metrics=False)
libraries.instrument_libraries("django")
client, counts = Client(), []
for change in (None, libraries.uninstall, libraries.instrument_libraries):
    if change is not None:
        change()
    assert 200 == client.get("/orders/7").status_code
    counts.append(count())
print(counts, settings.MIDDLEWARE)
"""


@pytest.mark.e2e
def test_a_chain_of_djangos_is_watched_while_the_library_is_patched(tmp_path):
    """It is built once; what stands in it is switched off, and on again."""
    assert "[1, 1, 2] []\n" == Program(tmp_path).run(DJANGO)
