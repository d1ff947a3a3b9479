"""An application that serves requests at a fixed rate and says how long each took.

``python application.py MODE LOAD BUFFER HTTP_PORT INTERVAL_S``. A request does a tenth
of a millisecond of work of its own and records eight values; under heavy load they go
to 2,000 series, with eight spans, under light load to 300, without. For each line on
stdin it serves for so many seconds and answers with latencies. They count from the
moment a request was due, so that waiting for the interpreter counts too; who is later
than ``PATIENCE_S`` is let go, or on a busy machine only the backlog would be measured.
"""

import hashlib
import sys
import time
from pathlib import Path

RATE, STEPS, PATIENCE_S = 250, 8, 0.1
SERIES = {"heavy": 2_000, "light": 300}
PAYLOAD = b"x" * 2_000


def work():
    for _ in range(20):
        hashlib.sha256(PAYLOAD).digest()


def bare():
    def request(number):
        work()

    return request, lambda: None


def watched(mode, load, buffer, http, interval_s):
    from opentelemetry import trace

    import probekit

    probekit.configure(
        "bench",
        buffer=Path(buffer),
        exporters=f"otlp://127.0.0.1:{http}",
        interval_s=interval_s,
        traces=1.0 if load == "heavy" else None,
        host_metrics=False,
        shipper="process" if mode == "process" else "thread",
        # The budget would thin the spans out, and the load is to stay what it is.
        limits={"cpu_ratio": 1.0},
    )
    values = probekit.histogram("bench.value", "s")
    series = SERIES[load]
    record = [values.bind({"route": f"/{n}"}).record for n in range(series)]

    @probekit.probe(name="bench.step", span=True)
    def step(number):
        record[number % series](0.001)

    span = trace.get_tracer("bench").start_as_current_span
    block = span if load == "heavy" else probekit.timer

    def request(number):
        with block("bench.request"):
            work()
            for each in range(STEPS - 1):
                step(number * STEPS + each)
            record[(number * STEPS + STEPS - 1) % series](0.001)

    return request, probekit.shutdown


def serve(request, duration_s):
    """Latencies, seconds, of requests that are due at a fixed rate."""
    found, due = [], time.perf_counter() + 0.01
    for number in range(int(duration_s * RATE)):
        while (left := due - time.perf_counter()) > 0:
            time.sleep(left)
        request(number)
        now = time.perf_counter()
        found.append(now - due)
        due = max(due + 1 / RATE, now - PATIENCE_S)
    return found


def main(mode, load, buffer, http, interval_s):
    if mode == "bare":
        request, stop = bare()
    else:
        request, stop = watched(mode, load, buffer, int(http), float(interval_s))
    for line in sys.stdin:
        cpu = time.process_time()
        found = serve(request, float(line))
        cpu = (time.process_time() - cpu) / float(line)
        print(cpu, *(f"{each * 1e3:.4f}" for each in found), flush=True)
    stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
