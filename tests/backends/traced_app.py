"""Three programs of one trace, run by ``test_one_trace.py``.

``front`` asks ``shop`` over HTTP, ``shop`` sends a task, a Celery worker works on it.
"""

import os
import sys
import threading
import urllib.request

from celery import Celery

import probekit

URL = f"redis://127.0.0.1:{os.environ['TRACED_REDIS_PORT']}/0"
app = Celery("traced", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True

probekit.instrument_libraries(["celery", "urllib"])
probekit.configure(
    "traced",
    buffer=os.environ["TRACED_BUFFER"],
    host_metrics=False,
    interval_s=0.5,
    traces=1.0,
)


@probekit.probe(name="pack", span=True)
def pack():
    return "packed"


@app.task(name="traced.ship")
def ship():
    return pack()


def serve():
    from flask import Flask
    from werkzeug.serving import make_server

    from probekit.integrations.flask import Probekit

    shop = Flask("shop")
    Probekit(shop)

    @shop.get("/orders/<int:number>")
    def order(number):
        return {"task": ship.delay().get(timeout=30)}

    server = make_server("127.0.0.1", 0, shop)
    print(server.port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.readline()
    print(probekit.flush(), flush=True)


def ask(port):
    from opentelemetry import trace

    with trace.get_tracer("front").start_as_current_span("checkout"):
        url = f"http://127.0.0.1:{port}/orders/7"
        with urllib.request.urlopen(url, timeout=60) as answer:
            print(answer.read().decode())
    print(probekit.flush())


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else ask(sys.argv[2])
