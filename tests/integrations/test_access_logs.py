"""The server's access log and the buffer tell the same: 4 workers, 5,000 requests.

Counts are compared exactly, by route and status. A retried request would be counted
twice by both.
"""

import json
import re
import sys
from collections import Counter

import pytest
import serving

import needs

pytestmark = [pytest.mark.e2e, pytest.mark.backend, pytest.mark.timeout(180)]

REQUESTS = 5000
FLASK = """
import time, flask, probekit
from probekit.integrations.flask import Probekit

probekit.configure()
app = flask.Flask("shop")
app.logger.disabled = True
Probekit(app)

class PaymentError(Exception):
    pass

@app.get("/orders/<int:number>/")
def order(number):
    probekit.event("order.seen", {"number": number})
    return "ok"

@app.get("/missing/<int:number>/")
def missing(number):
    flask.abort(404)

@app.get("/slow/")
def slow():
    time.sleep(0.02)
    return "ok"

@app.get("/broken/")
def broken():
    raise PaymentError("declined")
"""
FASTAPI = """
import asyncio, fastapi, probekit
from probekit.integrations.asgi import ProbekitMiddleware

probekit.configure()
app = fastapi.FastAPI()
app.add_middleware(ProbekitMiddleware)

class PaymentError(Exception):
    pass

@app.get("/orders/{number}/")
async def order(number: int):
    probekit.event("order.seen", {"number": number})
    return "ok"

@app.get("/missing/{number}/")
def missing(number: int):
    raise fastapi.HTTPException(404)

@app.get("/slow/")
async def slow():
    await asyncio.sleep(0.02)
    return "ok"

@app.get("/broken/")
async def broken():
    raise PaymentError("declined")
"""
DJANGO_URLS = """
import asyncio, time
from django.http import Http404, HttpResponse
from django.urls import path
import probekit

class PaymentError(Exception):
    pass

def order(request, number):
    probekit.event("order.seen", {"number": number})
    return HttpResponse("ok")

def missing(request, number):
    raise Http404

def slow(request):
    time.sleep(0.02)
    return HttpResponse("ok")

def broken(request):
    raise PaymentError("declined")

async def async_order(request, number):
    return order(request, number)

async def async_missing(request, number):
    raise Http404

async def async_slow(request):
    await asyncio.sleep(0.02)
    return HttpResponse("ok")

async def async_broken(request):
    raise PaymentError("declined")

ASYNC = __name__.startswith("async")
urlpatterns = [
    path("orders/<int:number>/", async_order if ASYNC else order),
    path("missing/<int:number>/", async_missing if ASYNC else missing),
    path("slow/", async_slow if ASYNC else slow),
    path("broken/", async_broken if ASYNC else broken),
]
"""
DJANGO = """
from django.conf import settings

settings.configure(
    SECRET_KEY="of a test", ALLOWED_HOSTS=["*"], ROOT_URLCONF="{urls}",
    MIDDLEWARE=["probekit.integrations.django.ProbekitMiddleware"],
    PROBEKIT={{}}, LOGGING_CONFIG=None,
)
import django, logging
django.setup()
logging.getLogger("django").setLevel(logging.CRITICAL)
from django.core.{kind} import get_{kind}_application
app = get_{kind}_application()
"""
GUNICORN = [
    *(sys.executable, "-m", "gunicorn", "--workers", "4", "--bind", "127.0.0.1:{port}"),
    *("--worker-class", "gthread", "--threads", "4", "--log-level", "warning"),
    *("--access-logfile", "access.log", "--access-logformat"),
    '{{"path":"%(U)s","status":%(s)s,"s":%(L)s,"trace":"%({{traceparent}}i)s"}}',
    "app:app",
]
UVICORN = [
    *(sys.executable, "-m", "uvicorn", "--workers", "4", "--port", "{port}"),
    *("--no-use-colors", "app:app"),
]
_UVICORN_LINE = re.compile(r'"GET (\S+) HTTP/1\.1" (\d{3})')
_ROUTES = {
    "braces": {"/orders/": "/orders/{number}/", "/missing/": "/missing/{number}/"},
    "angles": {
        "/orders/": "/orders/<int:number>/",
        "/missing/": "/missing/<int:number>/",
    },
}


def route_of(path, style):
    """The template of a path, as the framework writes it."""
    head = re.match(r"/\w+/", path)[0]
    if head == "/nothing/":
        return ""
    return _ROUTES[style].get(head, head)


def trace_of(number):
    return f"{number + 1:032x}"


def paths():
    kinds = ["/orders/{}/"] * 14 + ["/missing/{}/", "/nothing/{}/", "/broken/"]
    listed = [kinds[n % len(kinds)].format(n) for n in range(REQUESTS)]
    listed[100::100] = ["/slow/"] * len(listed[100::100])
    return listed


def headers(number):
    """Each tenth request is part of a trace."""
    if number % 10:
        return {}
    return {"traceparent": f"00-{trace_of(number)}-{'b' * 16}-01"}


def gunicorns_log(site):
    lines = (site.folder / "access.log").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def uvicorns_log(site):
    found = _UVICORN_LINE.findall(site.told())
    return [{"path": path, "status": int(status)} for path, status in found]


APPS = {
    "flask": ("gunicorn", "angles", {"app.py": FLASK}),
    "django": (
        "gunicorn",
        "angles",
        {"app.py": DJANGO.format(urls="urls", kind="wsgi"), "urls.py": DJANGO_URLS},
    ),
    "django-async": (
        "uvicorn",
        "angles",
        {
            "app.py": DJANGO.format(urls="async_urls", kind="asgi"),
            "async_urls.py": DJANGO_URLS,
        },
    ),
    "fastapi": ("uvicorn", "braces", {"app.py": FASTAPI}),
}


@pytest.mark.parametrize("name", APPS)
def test_the_access_log_and_the_buffer_agree(tmp_path, name):
    server, style, files = APPS[name]
    needs.libraries(server)
    site = serving.Site(tmp_path)
    for file, text in files.items():
        site.write(file, text)
    asked = paths()
    command = GUNICORN if server == "gunicorn" else UVICORN

    with site.running(*command):
        answered = serving.drive(site.port, asked, headers=headers)
        # Everything arrives while the servers run: no flush, no end of a process.
        serving.eventually(lambda: site.counted() >= REQUESTS)
    site.fold()
    lines = gunicorns_log(site) if server == "gunicorn" else uvicorns_log(site)
    logged = Counter((route_of(each["path"], style), each["status"]) for each in lines)
    found = site.requests()

    assert REQUESTS == sum(answered.values())
    assert logged == {key: count for key, (count, _, _) in found.items()}
    assert logged == Counter(
        (route_of(path, style), status) for path, status in answered.elements()
    )
    for (_, status), (_, _, errors) in found.items():
        assert errors == ({""} if status < 500 else errors - {"", "500"})
    (count,) = (
        errors for (_, status), (_, _, errors) in found.items() if status == 500
    )
    assert 1 == len(count)
    assert next(iter(count)).endswith(".PaymentError")
    assert [(logged["/broken/", 500],)] == site.sql("SELECT sum(count) FROM problem")
    durations_agree(found, lines, style)
    traces_agree(site, asked, lines)


def durations_agree(found, lines, style):
    """No request took longer inside the application than the server says."""
    slow, slow_s, _ = found["/slow/", 200]
    assert slow_s >= 0.02 * slow
    logged_s = Counter()
    for each in lines:
        if "s" in each:  # uvicorn writes none
            logged_s[route_of(each["path"], style), each["status"]] += each["s"]
    for key, seconds in logged_s.items():
        assert 0 < found[key][1] <= seconds + 1e-6 * found[key][0]


def traces_agree(site, asked, lines):
    """What a request has recorded carries the trace id that the log shows."""
    events = {
        json.loads(attributes)["number"]: trace
        for attributes, trace in site.sql(
            "SELECT attributes, trace_id FROM event WHERE name = 'order.seen'"
        )
    }
    assert events == {
        n: trace_of(n) if n % 10 == 0 else ""
        for n, path in enumerate(asked)
        if path.startswith("/orders/")
    }
    for each in lines:
        if each.get("trace", "-") != "-" and each["path"].startswith("/orders/"):
            number = int(each["path"].split("/")[2])
            assert each["trace"].split("-")[1] == events[number]
