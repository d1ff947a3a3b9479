"""One contender in a process of its own: how each library times, counts and ships.

``python peer.py NAME HTTP_PORT UDP_PORT``; a line on stdin names what to measure.
An answer is nanoseconds a call and those of the bare call in the same turn. Each
library ships to a receiver that keeps nothing; queues are long enough to lose nothing
where the library lets one say so.
"""

import asyncio
import functools
import gc
import os
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time_ns

TURN_NS = 4_000_000
# CPU turns end with a delivery, threads have to be started: both need longer turns.
LONG_TURN_NS = {"cpu": 150_000_000, "threads": 25_000_000}
MOST = {"cpu": 300_000, "threads": 40_000}
THREADS = 4
LEAST_BARE = 2_000  # bare calls are too short to judge a few of them


class Way:
    """What a library gives; None where it has no such thing."""

    def __init__(self, time, time_async=None, count=None, flush=None, stop=None):
        self.time = time
        self.time_async = time_async
        self.count = count
        self.flush = flush or (lambda: None)
        self.stop = stop or (lambda: None)


def probekit(http, udp):
    import probekit

    folder = tempfile.TemporaryDirectory()
    probekit.configure(
        "bench",
        buffer=Path(folder.name) / "buffer.db",
        exporters=f"otlp://127.0.0.1:{http}",
        host_metrics=False,
    )

    def stop():
        probekit.shutdown()
        folder.cleanup()

    add = probekit.counter("bench.counted").bind({"plan": "pro"}).add
    return Way(probekit.probe, probekit.probe, lambda: add, probekit.flush, stop)


def disabled(http, udp):
    """Ours in a process with ``PROBEKIT_DISABLE=1``."""
    import probekit

    add = probekit.counter("bench.counted").bind({"plan": "pro"}).add
    return Way(probekit.probe, probekit.probe, lambda: add)


def prometheus_client(http, udp):
    from prometheus_client import Counter, Histogram, generate_latest

    seconds = Histogram("bench_seconds", "d")

    def time_async(function):
        async def timed(*args, **kwargs):
            with seconds.time():
                return await function(*args, **kwargs)

        return timed

    child = Counter("bench_things", "d", ["plan"]).labels("pro")
    return Way(seconds.time(), time_async, lambda: child.inc, generate_latest)


def otel_metrics(http, udp):
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
        OTLPMetricExporter,
    )
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    there = OTLPMetricExporter(f"http://127.0.0.1:{http}/v1/metrics")
    provider = MeterProvider([PeriodicExportingMetricReader(there)])
    meter = provider.get_meter("bench")
    histogram = meter.create_histogram("bench.duration", "s")

    def time(function):
        attributes = {"code.function.name": function.__qualname__}

        @functools.wraps(function)
        def timed(*args, **kwargs):
            t0 = perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                histogram.record(perf_counter() - t0, attributes)

        return timed

    def time_async(function):
        attributes = {"code.function.name": function.__qualname__}

        @functools.wraps(function)
        async def timed(*args, **kwargs):
            t0 = perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                histogram.record(perf_counter() - t0, attributes)

        return timed

    counter = meter.create_counter("bench.counted")

    def count():
        return functools.partial(counter.add, attributes={"plan": "pro"})

    return Way(time, time_async, count, provider.force_flush, provider.shutdown)


def otel_spans(http, udp):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    there = OTLPSpanExporter(f"http://127.0.0.1:{http}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(there))
    tracer = provider.get_tracer("bench")
    span = functools.partial(tracer.start_as_current_span, "bare")
    return Way(
        span(),
        span(),
        None,
        provider.force_flush,
        provider.shutdown,
    )


def autometrics(http, udp):
    from autometrics import autometrics, init
    from prometheus_client import generate_latest

    init(tracker="prometheus", service_name="bench")
    return Way(autometrics, autometrics, None, generate_latest)


def statsd(http, udp):
    from statsd import StatsClient

    client = StatsClient("127.0.0.1", udp)
    return Way(client.timer("bench.bare"), None, lambda: lambda n: client.incr("b", n))


def dogstatsd(http, udp):
    from datadog.dogstatsd import DogStatsd

    client = DogStatsd("127.0.0.1", udp, telemetry_min_flush_interval=3600)
    tags = ["plan:pro"]

    def count():
        return lambda n: client.increment("bench.counted", n, tags=tags)

    return Way(client.timed("b"), client.timed("b"), count, client.flush)


def sentry(http, udp):
    import sentry_sdk

    sentry_sdk.init(f"http://k@127.0.0.1:{http}/1", traces_sample_rate=1.0)

    def time(function):
        @functools.wraps(function)
        def timed(*args, **kwargs):
            with sentry_sdk.start_transaction(op="function", name="bare"):
                return function(*args, **kwargs)

        return timed

    def time_async(function):
        @functools.wraps(function)
        async def timed(*args, **kwargs):
            with sentry_sdk.start_transaction(op="function", name="bare"):
                return await function(*args, **kwargs)

        return timed

    return Way(time, time_async, None, sentry_sdk.flush)


def logfire(http, udp):
    import logfire
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    there = BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{http}/v1/traces"))
    logfire.configure(
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        additional_span_processors=[there],
    )
    decorate = logfire.instrument("bare", extract_args=False)
    return Way(decorate, decorate, None, logfire.force_flush, logfire.shutdown)


def ddtrace(http, udp):
    os.environ["DD_TRACE_AGENT_URL"] = f"http://127.0.0.1:{http}"
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    from ddtrace.trace import tracer

    return Way(tracer.wrap("bare"), tracer.wrap("bare"), None, tracer.flush)


def clocks(http, udp):
    """No library: what two looks at the clock cost, the unit of our goals."""

    def time(function):
        def two(a, b=1):
            perf_counter()
            perf_counter()
            return a

        return two

    return Way(time)


WAYS = {
    "two clock reads": clocks,
    "probekit": probekit,
    "probekit, disabled": disabled,
    "prometheus_client": prometheus_client,
    "OTel metrics": otel_metrics,
    "OTel spans": otel_spans,
    "autometrics": autometrics,
    "statsd": statsd,
    "dogstatsd": dogstatsd,
    "sentry": sentry,
    "logfire": logfire,
    "ddtrace": ddtrace,
}


def bare(a, b=1):
    return a


async def bare_async(a, b=1):
    return a


def raising(a, b=1):
    raise ValueError(a)


def fresh(function):
    """A copy with a code object of its own."""
    return type(function)(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
    )


def loop(text, kind="def", **names):
    """A compiled loop: nanoseconds of n turns; no two share inline caches."""
    source = (
        f"{kind} run(n):\n    t0 = now()\n    for _ in range(n):\n"
        + "".join(f"        {line}\n" for line in text.splitlines())
        + "    return now() - t0\n"
    )
    space = {"now": perf_counter_ns, **names}
    exec(compile(source, "<loop>", "exec"), space)
    return space["run"]


def async_loop(function):
    run = loop("await f(1, 2)", "async def", f=function)

    def go(n):
        return LOOP.run_until_complete(run(n))

    return go


def threaded(run):
    def go(n):
        threads = [
            threading.Thread(target=run, args=(max(n // THREADS, 1),))
            for _ in range(THREADS)
        ]
        t0 = process_time_ns()  # of the process: who waits for the GIL costs nothing
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return process_time_ns() - t0

    return go


TRY = "try:\n    f(1, 2)\nexcept ValueError:\n    pass"
LOOP = asyncio.new_event_loop()


def pairs(way):
    """What to measure → (its loop, the bare loop); left out where there is none."""
    found = {
        "sync": (
            loop("f(1, 2)", f=way.time(fresh(bare))),
            loop("f(1, 2)", f=fresh(bare)),
        ),
        "raising": (
            loop(TRY, f=way.time(fresh(raising))),
            loop(TRY, f=fresh(raising)),
        ),
    }
    found["threads"] = tuple(map(threaded, found["sync"]))
    if way.time_async:
        timed = way.time_async(fresh(bare_async))
        found["async"] = async_loop(timed), async_loop(fresh(bare_async))
    if way.count:
        found["count"] = loop("add(1)", add=way.count()), loop("pass")
    return found


def calls_for(run, turn_ns, most):
    """How often to call, for a turn of about *turn_ns*."""
    run(50)
    cost_ns = max(min(run(50) for _ in range(3)) / 50, 20)
    return max(50, min(int(turn_ns / cost_ns), most))


def known_run(known, source):
    """What to calibrate with: starting threads says nothing about a call."""
    return known["sync" if source == "threads" else source][0]


def cpu_of(way, run, calls):
    """CPU nanoseconds of the whole process a call, until all is shipped."""
    t0 = process_time_ns()
    run(calls)
    way.flush()
    return (process_time_ns() - t0) / calls


def main(name, http, udp):
    way = WAYS[name](int(http), int(udp))
    known = pairs(way)
    calls = {}
    gc.collect()
    gc.freeze()  # what a library has loaded is not looked through in each turn
    for line in sys.stdin:
        what = line.strip()
        source = "sync" if what == "cpu" else what
        if source not in known:
            print(flush=True)
            continue
        entry, base = known[source]
        if what not in calls:
            turn_ns = LONG_TURN_NS.get(what, TURN_NS)
            most = MOST.get(what, 5_000)
            calls[what] = calls_for(known_run(known, source), turn_ns, most)
        n = calls[what]
        gc.collect()
        if what == "cpu":
            base_n = max(n, LEAST_BARE)
            t0 = process_time_ns()
            base(base_n)
            base_ns = (process_time_ns() - t0) / base_n
            print(cpu_of(way, entry, n), base_ns, flush=True)
        else:
            gc.disable()
            base_n = max(n, LEAST_BARE)
            took, base_took = entry(n), base(base_n)
            gc.enable()
            print(took / n, base_took / base_n, flush=True)
    way.stop()
    LOOP.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
