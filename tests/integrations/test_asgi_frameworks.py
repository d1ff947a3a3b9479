"""Routes, errors and background work of real ASGI frameworks."""

import asyncio
import contextlib
import logging
from typing import Annotated

import fastapi
import litestar
import pytest
import quart
from asgi_client import connect, get
from recorded_requests import Told
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from probekit.integrations.asgi import ProbekitMiddleware

BACKGROUND = "probekit.http.server.background.duration"
SOCKETS = "probekit.websocket.duration"


class PaymentError(Exception):
    """What the shop raises."""


def told_of(app, *paths, **options):
    for path in paths:
        get(app, path, **options)
    return Told()


# -- Starlette -------------------------------------------------------------------------


async def order(request):
    return PlainTextResponse("ok")


async def broken(request):
    raise PaymentError("declined")


async def refused(request):
    raise HTTPException(404)


async def later(request):
    return PlainTextResponse("ok", background=BackgroundTask(asyncio.sleep, 0.02))


async def failing_later(request):
    async def fall():
        await asyncio.sleep(0.002)
        raise PaymentError("declined")

    return PlainTextResponse("ok", background=BackgroundTask(fall))


async def stream(request):
    async def chunks():
        for _ in range(3):
            await asyncio.sleep(0.004)
            yield b"x"

    return StreamingResponse(chunks())


async def socket(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def starlette_app(**options):
    inner = Starlette(routes=[Route("/in/{name}", order)])
    return Starlette(
        routes=[
            Route("/orders/{number:int}", order),
            Route("/broken", broken),
            Route("/refused/{number}", refused),
            Route("/later", later),
            Route("/failing-later", failing_later),
            Route("/stream", stream),
            Mount("/tenants/{tenant}", routes=[Route("/orders/{number}", order)]),
            Mount("/inner", app=inner),
            Mount("/again", app=inner),
            Mount("/static", app=StaticFiles(directory="/")),
            WebSocketRoute("/ws/{room}", socket),
        ],
        **options,
    )


@pytest.fixture(params=["around", "inside"])
def starlette(request):
    if request.param == "around":
        return ProbekitMiddleware(starlette_app())
    return starlette_app(middleware=[Middleware(ProbekitMiddleware)])


@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/orders/7", "/orders/{number:int}", 200),
        ("/tenants/eva/orders/7", "/tenants/{tenant}/orders/{number}", 200),
        ("/inner/in/eva", "/inner/in/{name}", 200),
        ("/again/in/eva", "/again/in/{name}", 200),
        ("/refused/7", "/refused/{number}", 404),
        ("/static/nothing.here", "/static/{path:path}", 404),
        ("/inner/nothing", "", 404),
        ("/nothing", "", 404),
        ("/orders/7/", "", 307),
    ],
)
def test_starlettes_route_is_its_template_with_its_mounts(
    starlette, path, route, status
):
    assert [(route, status)] == told_of(starlette, path).routes()


def test_starlettes_unhandled_error_is_a_500_with_its_type(starlette):
    told = told_of(starlette, "/broken")
    (found,) = told.of()

    assert ("/broken", 500) == (
        found["http.route"],
        found["http.response.status_code"],
    )
    assert f"{__name__}.PaymentError" == found["error.type"]
    assert [1] == [problem.count for problem in told.problems]


def test_starlettes_background_task_is_another_metric(starlette):
    told = told_of(starlette, "/later")

    assert told.values()[0] < 0.02 <= told.values(BACKGROUND)[0]
    assert ["/later"] == [found["http.route"] for found in told.of(BACKGROUND)]


def test_a_background_task_that_fails_leaves_the_request_as_it_was(starlette):
    told = told_of(starlette, "/failing-later")
    (request,), (work,) = told.of(), told.of(BACKGROUND)

    assert 200 == request["http.response.status_code"]
    assert "error.type" not in request
    assert f"{__name__}.PaymentError" == work["error.type"]
    assert 1 == len(told.problems)


def test_starlettes_stream_lasts_until_its_last_chunk(starlette):
    assert told_of(starlette, "/stream").values()[0] >= 0.012


def test_starlettes_websocket_has_its_route(starlette):
    connect(starlette, "/ws/7", "a")
    told = Told()

    assert [("/ws/{room}", 101)] == told.routes(SOCKETS)
    assert {2.0} == {
        1 + value
        for attributes, value in told.sums("probekit.websocket.messages").items()
        if ("http.route", "/ws/{room}") in attributes
    }


def test_a_middleware_that_runs_the_application_in_a_task_changes_nothing():
    async def pass_on(request, call_next):
        return await call_next(request)

    app = starlette_app(
        middleware=[
            Middleware(ProbekitMiddleware),
            Middleware(BaseHTTPMiddleware, dispatch=pass_on),
        ]
    )
    told = told_of(app, "/orders/7", "/broken")

    assert [("/broken", 500), ("/orders/{number:int}", 200)] == told.routes()
    assert 0.0 == told.level()


def test_a_startup_is_the_applications_own():
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events.append("up")
        yield {"shared": 1}
        events.append("down")

    app = ProbekitMiddleware(Starlette(lifespan=lifespan))

    async def live():
        incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent = []

        async def receive():
            return incoming.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan", "state": {}}, receive, send)
        return sent

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == asyncio.run(
        live()
    )
    assert ["up", "down"] == events


# -- FastAPI ---------------------------------------------------------------------------


def fastapi_app():
    app = fastapi.FastAPI()
    app.add_middleware(ProbekitMiddleware)
    router = fastapi.APIRouter(prefix="/v1")

    @router.get("/items/{item}")
    async def item(item: int):
        return item

    @app.get("/sync/{number}")
    def sync(number: int):
        return number

    @app.get("/broken")
    def fall():
        raise PaymentError("declined")

    async def session():
        yield 1
        await asyncio.sleep(0.01)

    @app.get("/torn-down")
    def torn_down(session: Annotated[int, fastapi.Depends(session)]):
        return session

    @app.get("/later")
    def after(tasks: fastapi.BackgroundTasks):
        tasks.add_task(asyncio.sleep, 0.02)

    @app.websocket("/ws/{room}")
    async def chat(websocket: fastapi.WebSocket, room: str):
        await websocket.accept()
        await websocket.close(1000)

    app.include_router(router, prefix="/api/{tenant}")
    nested = fastapi.FastAPI()
    nested.include_router(router)
    app.mount("/nested", nested)
    return app


@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/sync/7", "/sync/{number}", 200),
        ("/sync/seven", "/sync/{number}", 422),
        ("/api/eva/v1/items/7", "/api/{tenant}/v1/items/{item}", 200),
        ("/nested/v1/items/7", "/nested/v1/items/{item}", 200),
        ("/docs", "/docs", 200),
        ("/nothing", "", 404),
        ("/broken", "/broken", 500),
        ("/torn-down", "/torn-down", 200),
    ],
)
def test_fastapis_route_is_its_template_with_all_prefixes(path, route, status):
    assert [(route, status)] == told_of(fastapi_app(), path).routes()


def test_fastapis_error_is_a_500_with_its_type():
    told = told_of(fastapi_app(), "/broken")

    assert f"{__name__}.PaymentError" == told.of()[0]["error.type"]
    assert 1 == len(told.problems)


def test_fastapis_background_task_is_another_metric():
    told = told_of(fastapi_app(), "/later")

    (background_s,) = told.values(BACKGROUND)
    assert 1 == len(told.values())
    assert background_s >= 0.02


def test_fastapis_websocket_has_its_route():
    connect(fastapi_app(), "/ws/7")

    assert [("/ws/{room}", 101)] == Told().routes(SOCKETS)


# -- Quart -----------------------------------------------------------------------------


def quart_app():
    app = quart.Quart("quart_shop")

    @app.get("/orders/<int:number>")
    async def order(number):
        return "ok"

    @app.get("/broken")
    async def fall():
        raise PaymentError("declined")

    @app.get("/sync")
    def sync():
        return "ok"

    @app.websocket("/ws/<room>")
    async def chat(room):
        await quart.websocket.send(await quart.websocket.receive())

    app.asgi_app = ProbekitMiddleware(app.asgi_app)
    return app


@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/orders/7", "/orders/<int:number>", 200),
        ("/sync", "/sync", 200),
        ("/nothing", "", 404),
        ("/broken", "/broken", 500),
    ],
)
def test_quarts_route_is_its_rule(path, route, status):
    assert [(route, status)] == told_of(quart_app(), path).routes()


def test_quarts_error_has_its_type_and_is_recorded_once():
    told = told_of(quart_app(), "/broken")

    assert f"{__name__}.PaymentError" == told.of()[0]["error.type"]
    assert [1] == [problem.count for problem in told.problems]


def test_quarts_application_may_be_given_as_it_is():
    app = quart.Quart("shop")
    app.add_url_rule("/a/<b>", "a", view_func=lambda b: "ok")

    assert [("/a/<b>", 200)] == told_of(ProbekitMiddleware(app), "/a/1").routes()


def test_quarts_websocket_has_its_route():
    connect(quart_app(), "/ws/7", "a")

    assert [("/ws/<room>", 101)] == Told().routes(SOCKETS)


# -- errors that are logged as well ----------------------------------------------------


def behind_a_server(app):
    """A server's part of it: what an application lets out is logged."""

    async def served(scope, receive, send):
        try:
            await app(scope, receive, send)
        except PaymentError:
            logging.getLogger("server").exception("Exception in ASGI application")

    return served


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    "make",
    [
        lambda: ProbekitMiddleware(starlette_app()),
        lambda: starlette_app(middleware=[Middleware(ProbekitMiddleware)]),
        fastapi_app,
        quart_app,
    ],
)
def test_an_error_that_framework_and_server_log_as_well_counts_once(make):
    told = told_of(behind_a_server(make()), *["/broken"] * 20)

    assert 20 == sum(problem.count for problem in told.problems)
    assert any(event.name == "log" for event in told.events)


# -- Litestar --------------------------------------------------------------------------


@litestar.get("/orders/{number:int}")
async def litestar_order(request: litestar.Request) -> str:
    return "ok"


@litestar.get("/broken")
async def litestar_broken() -> str:
    raise PaymentError("declined")


@litestar.websocket("/ws/{room:str}")
async def litestar_socket(socket: litestar.WebSocket) -> None:
    await socket.accept()
    await socket.close()


def litestar_app(**options):
    handlers = [
        litestar.Router("/api", route_handlers=[litestar_order]),
        litestar_broken,
        litestar_socket,
    ]
    return litestar.Litestar(handlers, logging_config=None, **options)


@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/api/orders/7", "/api/orders/{number}", 200),
        ("/broken", "/broken", 500),
        ("/nothing", "", 404),
    ],
)
def test_litestars_route_is_its_template(path, route, status):
    app = ProbekitMiddleware(litestar_app())

    assert [(route, status)] == told_of(app, path).routes()


def test_litestars_own_middleware_stack_takes_it_too():
    app = litestar_app(middleware=[ProbekitMiddleware])

    assert [("/api/orders/{number}", 200)] == told_of(app, "/api/orders/7").routes()


def test_litestars_websocket_has_its_route():
    connect(ProbekitMiddleware(litestar_app()), "/ws/7")

    assert [("/ws/{room}", 101)] == Told().routes(SOCKETS)
