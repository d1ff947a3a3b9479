"""Web frameworks watched without a line of the application's own."""

import asyncio

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from probekit.integrations import libraries
from probekit.integrations.asgi import ProbekitMiddleware
from probekit.integrations.flask import Probekit

METRIC = "http.server.request.duration"


@pytest.fixture
def patched(recorded):
    libraries.instrument_libraries(["flask", "starlette"])
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


def ask(app, path="/orders/7"):
    """One request over ASGI; the status."""
    sent = []
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("shop.test", 80),
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

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


def test_an_application_inside_or_around_ours_is_counted_once(patched, recorded):
    inside = starlette_app()
    inside.add_middleware(ProbekitMiddleware)
    outside = Starlette()
    outside.mount("/shop", starlette_app())
    ask(inside)
    ask(ProbekitMiddleware(starlette_app()))
    ask(outside, "/shop/orders/7")

    assert {"/orders/{number}": 2, "/shop/orders/{number}": 1} == routes(recorded)
