"""Websockets behind a real server, with a real client: metrics and spans."""

import json
import signal
import sys

import pytest
import serving

import needs

pytestmark = [pytest.mark.e2e, pytest.mark.backend, pytest.mark.timeout(90)]

ROOMS = """
import probekit
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from probekit.integrations.asgi import ProbekitMiddleware

probekit.configure(traces=1.0)

async def room(socket):
    name = socket.path_params["room"]
    if name == "locked":
        await socket.close()
        return
    await socket.accept()
    for _ in range(2):
        await socket.send_text(await socket.receive_text())
    if name == "broken":
        raise LookupError(name)
    await socket.close(1008)

app = Starlette(routes=[WebSocketRoute("/rooms/{room}", room)])
app.add_middleware(ProbekitMiddleware)
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
STATUS, CODE = "http.response.status_code", "probekit.websocket.close_code"


@pytest.fixture
def site(tmp_path):
    return serving.Site(tmp_path)


def talk(port, room):
    """Say two words in a room; (what was heard, the close code or the status)."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    heard = []
    try:
        with connect(
            f"ws://127.0.0.1:{port}/rooms/{room}",
            additional_headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        ) as socket:
            for word in ("hello", "goodbye"):
                socket.send(word)
                heard.append(socket.recv(20))
            socket.recv(20)
    except ConnectionClosed as closed:
        return heard, closed.rcvd.code if closed.rcvd else 1006  # no close frame
    except InvalidStatus as refused:
        return heard, refused.response.status_code
    raise AssertionError("the room was left open")


def test_a_websocket_behind_uvicorn_is_told_by_route_status_and_close_code(site):
    """Each connection is a span of its caller's trace; messages are counted."""
    needs.libraries("uvicorn", "websockets")
    site.write("rooms.py", ROOMS)
    server = sys.executable, "-m", "uvicorn", "--port", "{port}", "rooms:app"
    with site.running(*server, code=-signal.SIGTERM):
        talked = ["hello", "goodbye"]

        assert (talked, 1008) == talk(site.port, "1")
        assert (talked, 1006) == talk(site.port, "broken")
        assert ([], 403) == talk(site.port, "locked")
    site.fold()
    route, told = "/rooms/{room}", {}
    duration = "probekit.websocket.duration"
    for text, count in site.sql(
        "SELECT attributes, count FROM series WHERE name = ?", duration
    ):
        found = json.loads(text)
        status, code = (found.get(name) for name in (STATUS, CODE))
        told[status, code] = found["http.route"], found.get("error.type"), count

    assert {
        (101, 1008): (route, None, 1),
        (101, None): (route, "LookupError", 1),
        (403, None): (route, None, 1),
    } == told
    assert 8 == site.total("probekit.websocket.messages")
    assert 0 == site.total("probekit.websocket.active")
    spans = site.sql("SELECT name, trace_id, parent_span_id, status FROM span")

    assert [(f"GET {route}", TRACE, PARENT, code) for code in (0, 0, 2)] == sorted(
        spans
    )
