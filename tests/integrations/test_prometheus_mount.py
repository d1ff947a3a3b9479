"""``/metrics`` inside an application: WSGI, ASGI, Flask."""

import asyncio

import pytest
from flask import Flask

import probekit
from probekit.exporters.prometheus import asgi_app, wsgi_app


@pytest.fixture
def recorded(tmp_path):
    probekit.configure("shop", buffer=tmp_path / "b.db", host_metrics=False)
    probekit.counter("mount.orders").add(3, {"plan": "pro"})
    assert probekit.flush(10)
    yield b'mount_orders_total{plan="pro"} 3.0\n'
    probekit.shutdown()


def call_wsgi(application, **environ):
    told = {}

    def start_response(status, headers):
        told.update(status=status, headers=dict(headers))

    body = b"".join(application({"REQUEST_METHOD": "GET", **environ}, start_response))
    return told, body


async def call_asgi(application, scope):
    sent = []

    async def send(message):
        sent.append(message)

    await application(
        {"type": "http", "method": "GET", "headers": [], **scope}, None, send
    )
    return sent


def test_wsgi_shows_the_totals(recorded):
    told, body = call_wsgi(wsgi_app())

    assert "200 OK" == told["status"]
    assert recorded in body
    assert str(len(body)) == told["headers"]["Content-Length"]


def test_asgi_shows_the_same_and_negotiates(recorded):
    accept = [(b"accept", b"application/openmetrics-text")]
    start, body = asyncio.run(call_asgi(asgi_app(), {"headers": accept}))

    assert 200 == start["status"]
    assert recorded in body["body"]
    assert body["body"].endswith(b"# EOF\n")


def test_flask_mounts_it_beside_the_application(recorded):
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    application = Flask("shop")
    application.wsgi_app = DispatcherMiddleware(
        application.wsgi_app, {"/metrics": wsgi_app()}
    )
    answer = application.test_client().get("/metrics")

    assert recorded in answer.data


def test_without_a_buffer_it_says_so():
    probekit.shutdown()
    told, _ = call_wsgi(wsgi_app())

    assert "503 Service Unavailable" == told["status"]
