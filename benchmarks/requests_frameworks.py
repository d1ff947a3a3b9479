"""What watching adds to a request: Flask, Django and FastAPI, beside the peers.

One call with a prepared environ or scope; a process for each way, turns in shuffled
rounds, CPU time of the serving thread; see ``requests_flask``. Peers that are not
installed are left out: install the group ``bench``.
"""

import os
import random
import statistics
from importlib.util import find_spec

from requests_flask import Served
from table import Row, Table

ROUNDS = 40
WARM_UP = 8
# What no middleware can go without that tells how long a request took: the clock's two
# readings, and their difference kept. No route, no status, no request under way.
CLOCK = "two clock reads and their difference, nothing else"
# Processes for each way: the same program differs from itself by some percent, as its
# hash seed and its memory fall out. The middle one of them counts. Peers, which are
# many times further away, have one.
PROCESSES = 3

FLASK = """
import sys, time
import flask
mode, calls = sys.argv[1], int(sys.argv[2])
app = flask.Flask("shop")

@app.get("/orders/<int:number>")
def order(number):
    return "order"

after = lambda: None
if mode == "probekit":
    from probekit.integrations.flask import Probekit
    from probekit.recording.registry import REGISTRY
    Probekit(app)
    REGISTRY.watch.rest_for(1e9)  # as a running pump does
    after = REGISTRY.drain
elif mode == "clock":
    kept, inner = [], app.wsgi_app
    after = kept.clear
    def wsgi_app(environ, start_response):
        began_s = time.perf_counter()
        body = inner(environ, start_response)
        kept.append(time.perf_counter() - began_s)
        return body
    app.wsgi_app = wsgi_app
elif mode == "prometheus":
    from prometheus_flask_exporter import PrometheusMetrics
    PrometheusMetrics(app)
elif mode == "sentry":
    import sentry_sdk
    from sentry_sdk.transport import Transport
    class Nowhere(Transport):
        def capture_envelope(self, envelope): pass
    sentry_sdk.init(dsn="http://k@127.0.0.1/1", traces_sample_rate=1.0,
                    transport=Nowhere())
elif mode == "otel":
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    OTEL
    FlaskInstrumentor().instrument_app(app)

environ = app.test_request_context("/orders/7").request.environ.copy()
environ.pop("werkzeug.request", None)
head = lambda *_: None

def ask():
    body = app(dict(environ), head)
    list(body)
    body.close()
TURNS
"""
DJANGO = """
import sys, time
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
mode, calls = sys.argv[1], int(sys.argv[2])
after = lambda: None
middleware = ["django.middleware.common.CommonMiddleware"]
if mode == "probekit":
    middleware.insert(0, "probekit.integrations.django.ProbekitMiddleware")
elif mode == "clock":
    kept = []
    after = kept.clear
    def clocked(get_response):
        def serve(request):
            began_s = time.perf_counter()
            response = get_response(request)
            kept.append(time.perf_counter() - began_s)
            return response
        return serve
    middleware.insert(0, __name__ + ".clocked")
elif mode == "prometheus":
    middleware.insert(0, "django_prometheus.middleware.PrometheusBeforeMiddleware")
    middleware.append("django_prometheus.middleware.PrometheusAfterMiddleware")
elif mode == "sentry":
    import sentry_sdk
    from sentry_sdk.transport import Transport
    class Nowhere(Transport):
        def capture_envelope(self, envelope): pass
    sentry_sdk.init(dsn="http://k@127.0.0.1/1", traces_sample_rate=1.0,
                    transport=Nowhere())
settings.configure(SECRET_KEY="of a benchmark", ALLOWED_HOSTS=["*"],
                   ROOT_URLCONF=__name__, MIDDLEWARE=middleware, LOGGING_CONFIG=None)
urlpatterns = [path("orders/<int:number>/", lambda request, number: HttpResponse("o"))]
django.setup()
if mode == "otel":
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    OTEL
    DjangoInstrumentor().instrument()
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory
serve = WSGIHandler()
if mode == "probekit":
    from probekit.recording.registry import REGISTRY
    REGISTRY.watch.rest_for(1e9)  # as a running pump does
    after = REGISTRY.drain
environ = RequestFactory().get("/orders/7/").environ
head = lambda *_: None

def ask():
    body = serve(dict(environ), head)
    list(body)
    body.close()
TURNS
"""
FASTAPI = """
import asyncio, sys, time
import fastapi
mode, calls = sys.argv[1], int(sys.argv[2])
after = lambda: None
app = fastapi.FastAPI()

@app.get("/orders/{number}")
async def order(number: int):
    return number

if mode == "probekit":
    from probekit.integrations.asgi import ProbekitMiddleware
    from probekit.recording.registry import REGISTRY
    app.add_middleware(ProbekitMiddleware)
    REGISTRY.watch.rest_for(1e9)  # as a running pump does
    after = REGISTRY.drain
elif mode == "clock":
    kept = []
    after = kept.clear
    class Clocked:
        def __init__(self, app):
            self.app = app
        async def __call__(self, scope, receive, send):
            began_s = time.perf_counter()
            await self.app(scope, receive, send)
            kept.append(time.perf_counter() - began_s)
    app.add_middleware(Clocked)
elif mode == "prometheus":
    from prometheus_fastapi_instrumentator import Instrumentator
    Instrumentator().instrument(app)
elif mode == "sentry":
    import sentry_sdk
    from sentry_sdk.transport import Transport
    class Nowhere(Transport):
        def capture_envelope(self, envelope): pass
    sentry_sdk.init(dsn="http://k@127.0.0.1/1", traces_sample_rate=1.0,
                    transport=Nowhere())
elif mode == "otel":
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    OTEL
    FastAPIInstrumentor.instrument_app(app)
scope = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
    "scheme": "http", "path": "/orders/7", "raw_path": b"/orders/7", "root_path": "",
    "query_string": b"", "headers": [(b"host", b"a"), (b"accept", b"*/*")],
    "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
}
loop = asyncio.new_event_loop()

async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}

async def send(message):
    pass

def ask():
    loop.run_until_complete(app(dict(scope), receive, send))
TURNS
"""
OTEL = """
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult
    class Nothing(SpanExporter):
        def export(self, spans): return SpanExportResult.SUCCESS
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nothing()))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
""".strip("\n")
TURNS = """
for _ in sys.stdin:
    clock = time.thread_time
    began = clock()
    for _ in range(calls):
        ask()
    served = clock()
    after()
    print((served - began) / calls, (clock() - served) / calls, flush=True)
"""
# framework → (its server, mode → module that must be there)
FRAMEWORKS = {
    "Flask": (
        FLASK,
        {
            "prometheus": "prometheus_flask_exporter",
            "otel": "opentelemetry.instrumentation.flask",
            "sentry": "sentry_sdk",
        },
    ),
    "Django": (
        DJANGO,
        {
            "prometheus": "django_prometheus",
            "otel": "opentelemetry.instrumentation.django",
            "sentry": "sentry_sdk",
        },
    ),
    "FastAPI": (
        FASTAPI,
        {
            "prometheus": "prometheus_fastapi_instrumentator",
            "otel": "opentelemetry.instrumentation.fastapi",
            "sentry": "sentry_sdk",
        },
    ),
}
GOALS = {"Flask": (1.06, 1.10), "Django": (1.03, 1.10), "FastAPI": (None, None)}
NAMES = {
    "clock": CLOCK,
    "prometheus": "its Prometheus exporter",
    "otel": "OpenTelemetry, spans and metrics",
    "sentry": "sentry, traces at 1.0",
}


def is_there(module):
    """Whether a peer is installed."""
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def measure(framework):
    """The rows of one framework."""
    server, peers = FRAMEWORKS[framework]
    text = server.replace("    OTEL", OTEL).replace("TURNS", TURNS)
    modes = ["bare", "probekit", "clock"]
    modes += [mode for mode, module in peers.items() if is_there(module)]
    served = {
        mode: [Served(mode, text) for _ in range(1 if mode in peers else PROCESSES)]
        for mode in modes
    }
    every = [one for group in served.values() for one in group]
    try:
        for round_ in range(WARM_UP + ROUNDS):
            for one in random.sample(every, len(every)):
                one.take_turn()
            if round_ == WARM_UP - 1:
                for one in every:
                    one.times_s.clear()
    finally:
        for one in every:
            one.stop()
    quiet = {
        mode: sorted(o.quiet_us() for o in group) for mode, group in served.items()
    }
    bare = statistics.median(quiet["bare"])
    spread = (quiet["bare"][-1] - quiet["bare"][0]) / bare
    yield Row(f"bare {framework} request", bare, "µs", note=f"spread {spread:.1%}")
    for mode in modes[1:]:
        goal, floor = GOALS[framework] if mode == "probekit" else (None, None)
        ratios = [each / bare for each in quiet[mode]]
        middle = statistics.median(ratios)
        yield Row(
            f"{framework}, {NAMES.get(mode, mode)}, times bare",
            middle,
            "x",
            goal=goal,
            floor=floor,
            note=f"{(middle - 1) * bare:+.1f} µs a request; "
            f"processes {ratios[0]:.2f} to {ratios[-1]:.2f}",
        )
        if mode == "probekit":
            later = statistics.median(each.draining_us() for each in served[mode])
            yield Row(
                f"{framework}, {mode} with its background work, times bare",
                middle + later / bare,
                "x",
                note=f"{later:+.1f} µs a request, on the pump's thread",
            )


def run():
    """Measure all three; ratios against the bare application of the same run."""
    rows = [row for framework in FRAMEWORKS for row in measure(framework)]
    return Table(
        "A request, by framework",
        rows,
        note=f"CPU time of the serving thread; quiet tenth of {ROUNDS} rounds of a "
        f"hundred requests; the middle one of {PROCESSES} processes, of peers the only "
        "one. Peers: each framework's own package, with its defaults. Load of the "
        f"machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
    )


if __name__ == "__main__":
    print(run().to_markdown())
