"""``/metrics`` inside an application: WSGI and ASGI around one pure answer.

Each request reads the buffer once, read-only, under the gate that no fork crosses;
no connection stays open between two requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

from probekit.exporters.prometheus.scrape import Scrape, Scraped
from probekit.model import Snapshot
from probekit.recording.doors import suppress
from probekit.runtime.client import snapshot

Environ = dict[str, Any]
Scope = dict[str, Any]
StartResponse = Callable[..., Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def wsgi_app(
    *, aliases: bool = False
) -> "Callable[[Environ, StartResponse], Iterable[bytes]]":
    """See :func:`probekit.exporters.prometheus.wsgi_app`."""
    scrape = Scrape(_stand, aliases=aliases)

    def application(
        environ: Environ, start_response: StartResponse
    ) -> "Iterable[bytes]":
        method = str(environ.get("REQUEST_METHOD", "GET"))
        found = scrape.answer(
            method,
            str(environ.get("HTTP_ACCEPT", "")),
            str(environ.get("HTTP_ACCEPT_ENCODING", "")),
        )
        phrase = HTTPStatus(found.status).phrase
        start_response(f"{found.status} {phrase}", list(_headers(found).items()))
        return [b"" if method == "HEAD" else found.body]

    return application


def asgi_app(*, aliases: bool = False) -> "Callable[..., Awaitable[None]]":
    """See :func:`probekit.exporters.prometheus.asgi_app`."""
    scrape = Scrape(_stand, aliases=aliases)

    async def application(scope: Scope, receive: object, send: Send) -> None:
        del receive  # what is asked stands in the scope
        if scope["type"] != "http":
            raise ValueError(f"/metrics speaks HTTP, not {scope['type']!r}")
        given = _given(scope)
        method = str(scope.get("method", "GET"))
        found = await asyncio.to_thread(
            scrape.answer,
            method,
            given.get("accept", ""),
            given.get("accept-encoding", ""),
        )
        headers = [
            (name.lower().encode(), value.encode())
            for name, value in _headers(found).items()
        ]
        await send(
            {"type": "http.response.start", "status": found.status, "headers": headers}
        )
        body = b"" if method == "HEAD" else found.body
        await send({"type": "http.response.body", "body": body})

    return application


def _given(scope: Scope) -> "dict[str, str]":
    found: dict[str, str] = {}
    for name, value in scope.get("headers", ()):
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _headers(found: Scraped) -> "dict[str, str]":
    return {**found.headers, "Content-Length": str(len(found.body))}


def _stand() -> Snapshot:
    """Where everything stands; our own reading is nobody's database call."""
    with suppress():
        return snapshot()
