"""What probekit adds to a Flask request: one WSGI call with a prepared environ.

Each application lives in a process of its own (applications that share one disturb
each other's specialised bytecode), the processes take turns in shuffled rounds, and
``bare`` runs twice to show the noise. CPU time of the serving thread, so that other
work on the machine counts less.
"""

import random
import statistics
import subprocess
import sys
from pathlib import Path

from table import Row, Table

ROUNDS = 150
CALLS = 100  # in a round
MODES = ("bare", "bare again", "probekit", "prometheus_client")

SERVER = """
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
elif mode == "prometheus_client":
    from prometheus_client import Gauge, Histogram
    duration = Histogram("d", "", ["method", "route", "status"])
    active = Gauge("a", "", ["method"])

    @app.before_request
    def begin():
        flask.g.began = time.perf_counter()
        active.labels(flask.request.method).inc()

    @app.after_request
    def end(response):
        method, rule = flask.request.method, flask.request.url_rule
        labels = duration.labels(method, rule.rule, response.status_code)
        labels.observe(time.perf_counter() - flask.g.began)
        active.labels(method).dec()
        return response

environ = app.test_request_context("/orders/7").request.environ.copy()
environ.pop("werkzeug.request", None)
head = lambda *_: None

for _ in sys.stdin:
    serve, clock = app.wsgi_app, time.thread_time
    began = clock()
    for _ in range(calls):
        body = serve(dict(environ), head)
        list(body)
        body.close()
    served = clock()
    after()
    print((served - began) / calls, (clock() - served) / calls, flush=True)
"""


class Served:
    """An application in a process of its own."""

    def __init__(self, mode, server=SERVER):
        self.times_s = []
        self.drains_s = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", server, mode, str(CALLS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )

    def take_turn(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        serving_s, draining_s = self._process.stdout.readline().split()
        self.times_s.append(float(serving_s))
        self.drains_s.append(float(draining_s))

    def stop(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def quiet_us(self):
        """The tenth part of the rounds that were disturbed least."""
        return statistics.quantiles(self.times_s, n=10)[0] * 1e6

    def draining_us(self):
        """The same of what is done later for each request, by another thread."""
        return statistics.quantiles(self.drains_s, n=10)[0] * 1e6


def run():
    """Measure; ratios against the bare application of the same run."""
    served = {mode: Served(mode) for mode in MODES}
    try:
        for round_ in range(ROUNDS + 10):
            for mode in random.sample(MODES, len(MODES)):
                served[mode].take_turn()
            if round_ == 9:  # warm now
                for one in served.values():
                    one.times_s.clear()
    finally:
        for one in served.values():
            one.stop()
    quiet = {mode: one.quiet_us() for mode, one in served.items()}
    later = served["probekit"].draining_us()
    bare = quiet["bare"]
    rows = [Row("bare Flask request", bare, "µs")]
    rows += [
        Row(
            f"{mode}, times bare",
            quiet[mode] / bare,
            "x",
            goal=1.06 if mode == "probekit" else None,
            floor=1.10 if mode == "probekit" else None,
            note=f"{quiet[mode] - bare:+.1f} µs a request",
        )
        for mode in MODES[1:]
    ]
    rows.append(
        Row(
            "probekit with its background work, times bare",
            (quiet["probekit"] + later) / bare,
            "x",
            note=f"{later:+.1f} µs a request, on the pump's thread",
        )
    )
    return Table("A Flask request", rows, note="CPU time; quiet tenth of the rounds.")


if __name__ == "__main__":
    print(run().to_markdown())
