"""Traces switched on by the environment alone, in programs that know nothing of us."""

import json

import pytest

from program import Program

pytestmark = pytest.mark.e2e

SHOP = """
import asyncio, sqlite3
import django
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from fastapi import FastAPI
from flask import Flask

connection = sqlite3.connect(":memory:")
connection.execute("CREATE TABLE orders (id)")
CALLER = "00-%032x-00f067aa0ba902b7-01"

flask = Flask("shop")

@flask.get("/flask/<int:number>")
def flask_order(number):
    connection.execute("SELECT * FROM orders WHERE id = ?", (number,))
    return "ok"

api = FastAPI()

@api.get("/fastapi/{number}")
async def api_order(number: int):
    connection.execute("SELECT * FROM orders WHERE id = ?", (number,))
    return "ok"

def django_order(request, number):
    connection.execute("SELECT * FROM orders WHERE id = ?", (number,))
    return HttpResponse("ok")

urlpatterns = [path("django/<int:number>", django_order)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
django.setup()

async def ask(number):
    scope = {"type": "http", "method": "GET", "path": f"/fastapi/{number}",
             "raw_path": b"", "query_string": b"", "root_path": "", "scheme": "http",
             "headers": [(b"traceparent", (CALLER % number).encode())],
             "http_version": "1.1", "server": ("shop", 80), "client": ("c", 1)}
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        pass
    await api(scope, receive, send)

for number in range(1, 11):
    headers = {"traceparent": CALLER % number}
    assert flask.test_client().get(f"/flask/{number}", headers=headers).text == "ok"
    assert Client(headers=headers).get(f"/django/{number}").content == b"ok"
    asyncio.run(ask(number))
assert settings.MIDDLEWARE == []
"""
SERVERS = {
    "GET /flask/<int:number>",
    "GET /fastapi/{number}",
    "GET /django/<int:number>",
}
CALLER = "00f067aa0ba902b7"
SPANS = "SELECT trace_id, span_id, parent_span_id, name, attributes FROM span"


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def ran(program, **settings):
    """How the program was started says everything."""
    settings["PROBEKIT_BUFFER"] = program.buffer
    settings["PROBEKIT_EXPORTERS"] = f"file://{program.folder}/told.jsonl"
    words = ("-m", "probekit", "run", program.write(SHOP))
    program.ended(program.spawn(*words, **settings))
    program.ended(program.spawn("-m", "probekit", "ship", "--once", **settings))
    return program.sql(SPANS)


def asked_by(span_id, spans):
    """The outermost of the spans around one; FastAPI has some of its own inside."""
    parents = {row[1]: row[2] for row in spans}
    while parents[span_id] != CALLER:
        span_id = parents[span_id]
    return span_id


def test_requests_and_what_they_ask_a_database_are_traces(program):
    spans = ran(program, PROBEKIT_TRACES="1.0")
    requests = {row[1]: row for row in spans if row[2] == CALLER}
    statements = [row for row in spans if row[3] == "SELECT orders"]

    assert SERVERS == {row[3] for row in requests.values()}
    assert 30 == len(requests) == len(statements)
    assert {f"{number:032x}" for number in range(1, 11)} == {row[0] for row in spans}
    for trace_id, span_id, *_, attributes in statements:
        assert trace_id == requests[asked_by(span_id, spans)][0]
        assert "sqlite" == json.loads(attributes)["db.system.name"]
    assert [(30,)] == program.sql(
        "SELECT sum(count) FROM series WHERE name = 'http.server.request.duration'"
    )
