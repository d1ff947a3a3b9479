"""An application that serves requests at a fixed rate and says how long each took.

``python application.py MODE BUFFER HTTP_PORT INTERVAL_S``. A request does a tenth of a
millisecond of work of its own, records eight spans and eight values; over a second
2,000 series and 2,000 spans. For each line on stdin it serves for so many seconds and
answers with latencies. Latency counts from the moment the request was due, so that
waiting for the interpreter counts too.
"""

import hashlib
import sys
import time
from pathlib import Path

RATE, STEPS, SERIES = 250, 8, 2_000
PAYLOAD = b"x" * 2_000


def work():
    for _ in range(20):
        hashlib.sha256(PAYLOAD).digest()


def bare():
    def request(number):
        work()

    return request, lambda: None


def watched(mode, buffer, http, interval_s):
    from opentelemetry import trace

    import probekit

    probekit.configure(
        "bench",
        buffer=Path(buffer),
        exporters=f"otlp://127.0.0.1:{http}",
        interval_s=interval_s,
        traces=1.0,
        host_metrics=False,
        shipper="process" if mode == "process" else "thread",
        # The budget would thin the spans out, and the load is to stay what it is.
        limits={"cpu_ratio": 1.0},
    )
    values = probekit.histogram("bench.value", "s")
    record = [values.bind({"route": f"/{n}"}).record for n in range(SERIES)]

    @probekit.probe(name="bench.step", span=True)
    def step(number):
        record[number % SERIES](0.001)

    span = trace.get_tracer("bench").start_as_current_span

    def request(number):
        with span("bench.request"):
            work()
            for each in range(STEPS - 1):
                step(number * STEPS + each)
            record[(number * STEPS + STEPS - 1) % SERIES](0.001)

    return request, probekit.shutdown


def serve(request, duration_s):
    """Latencies, seconds, of requests that are due at a fixed rate."""
    found, due = [], time.perf_counter() + 0.01
    for number in range(int(duration_s * RATE)):
        while (left := due - time.perf_counter()) > 0:
            time.sleep(left)
        request(number)
        found.append(time.perf_counter() - due)
        due += 1 / RATE
    return found


def main(mode, buffer, http, interval_s):
    made = (
        bare()
        if mode == "bare"
        else watched(mode, buffer, int(http), float(interval_s))
    )
    request, stop = made
    for line in sys.stdin:
        cpu = time.process_time()
        found = serve(request, float(line))
        cpu = (time.process_time() - cpu) / float(line)
        print(cpu, *(f"{each * 1e3:.4f}" for each in found), flush=True)
    stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
