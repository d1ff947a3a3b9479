"""An ASGI server of a few lines: one call, every message kept."""

import asyncio
from typing import NamedTuple


class Answer(NamedTuple):
    """What a server would have sent."""

    status: int
    body: bytes
    messages: list
    error: "BaseException | None"


def scope_of(path, method="GET", headers=(), **more):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop.test"), *headers],
        "client": ("127.0.0.1", 1234),
        "server": ("shop.test", 80),
        **more,
    }


def socket_scope_of(path, headers=()):
    scope = scope_of(path, headers=headers, type="websocket", scheme="ws")
    del scope["method"]
    return scope | {"subprotocols": []}


async def call(app, scope, incoming=None, on_send=None):
    """Serve *scope*; *incoming* are the client's messages, then it only waits."""
    waiting = list(
        [{"type": "http.request", "body": b"", "more_body": False}]
        if incoming is None
        else incoming
    )
    sent = []
    answered = asyncio.Event()

    async def receive():
        if waiting:
            message = waiting.pop(0)
            return await message() if callable(message) else message
        # As servers do: once the answer is out, whoever still listens hears of the
        # end (some frameworks wait for it before they return).
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()
        if on_send is not None:
            on_send(message)

    error = None
    try:
        await app(scope, receive, send)
    except Exception as caught:
        error = caught
    status = [m["status"] for m in sent if m["type"] == "http.response.start"]
    body = b"".join(
        m.get("body", b"") for m in sent if m["type"] == "http.response.body"
    )
    return Answer(status[0] if status else 0, body, sent, error)


def get(app, path, method="GET", headers=(), **options):
    """One request, in a loop of its own."""
    return asyncio.run(call(app, scope_of(path, method, headers), **options))


def connect(app, path, *messages, headers=()):
    """One websocket: the client connects, sends, and goes."""
    incoming = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in messages),
        {"type": "websocket.disconnect", "code": 1001},
    ]
    return asyncio.run(call(app, socket_scope_of(path, headers), incoming))
