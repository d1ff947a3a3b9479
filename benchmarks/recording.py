"""What recording costs: each entry over the bare call, interleaved and shuffled.

``quiet`` is min(entry) - min(bare); ``median`` is the median of (entry - bare) of the
same round. Verdicts are given on ratios, which hold on any machine; the clock's two
reads and the peers are measured in the same rounds.
"""

import asyncio
import gc
import importlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from time import perf_counter, perf_counter_ns

from table import Row, Table
from turns import rounds

from probekit.recording.functions.outcome import FUNCTION_DURATION
from probekit.recording.hook.modules import Instrumentation
from probekit.recording.hook.pattern import checked_rule
from probekit.recording.instrument import Instrument
from probekit.recording.instruments import Counter, count, instrument
from probekit.recording.probe import Wish
from probekit.recording.registry import REGISTRY, Registry

CALLS = 2000
ROUNDS = rounds(150, 20)
FLOOR_ROUNDS = 20
CHANGED = "functions that @probe changes under PROBEKIT_DISABLE=1"


class Planned:
    """A registry whose lists are emptied between rounds, as by a pump."""

    def __init__(self):
        self.registry = Registry()
        self.registry.watch.rest_for(3600)
        REGISTRY.watch.rest_for(3600)  # count() knows no other

    def empty(self):
        for handle in [*self.registry.handles, *REGISTRY.handles]:
            handle.forget()


def bare(a, b=1):
    return a


def two_clocks(a, b=1):
    perf_counter()
    perf_counter()
    return a


def raising(a, b=1):
    raise ValueError(a)


async def bare_async(a, b=1):
    return a


def loop_of(text, **names):
    """A compiled loop of its own, so that no two entries share inline caches."""
    source = (
        "def run(n):\n    t0 = now()\n    for _ in range(n):\n"
        + "".join(f"        {line}\n" for line in text.splitlines())
        + "    return now() - t0\n"
    )
    space = {"now": perf_counter_ns, **names}
    exec(compile(source, "<loop>", "exec"), space)
    return space["run"]


def async_loop_of(function):
    source = (
        "async def run(n):\n    t0 = now()\n    for _ in range(n):\n"
        "        await f(1, 2)\n    return now() - t0\n"
    )
    space = {"now": perf_counter_ns, "f": function}
    exec(compile(source, "<loop>", "exec"), space)

    def run(n):
        coroutine = space["run"](n)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it must not wait")

    return run


def fresh(function):
    """A copy with a code object of its own."""
    return type(function)(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
    )


def entries(plan):
    """Name -> loop."""
    registry = plan.registry
    probe = Wish(registry=registry).grant
    counted = Wish(registry=registry, counted=True).grant
    orders = instrument(Counter, "bench.orders", registry=registry)
    bound = orders.bind({"plan": "pro"})
    plain = orders.bind()
    attributes = {"plan": "pro"}
    attempt = "try:\n    f(1, 2)\nexcept ValueError:\n    pass"
    loops = {
        "bare": loop_of("f(1, 2)", f=fresh(bare)),
        "bare again": loop_of("f(1, 2)", f=fresh(bare)),
        "two clocks": loop_of("f(1, 2)", f=fresh(two_clocks)),
        "probe": loop_of("f(1, 2)", f=probe(fresh(bare))),
        "bare raising": loop_of(attempt, f=fresh(raising)),
        "probe raising": loop_of(attempt, f=probe(fresh(raising))),
        "bare async": async_loop_of(bare_async),
        "probe async": async_loop_of(probe(bare_async)),
        "probe.count": loop_of("f(1, 2)", f=counted(fresh(bare))),
        "probe.count async": async_loop_of(counted(bare_async)),
        "empty": loop_of("pass"),
        "bound add": loop_of("add(1)", add=plain.add),
        "bound add method": loop_of("h.add(1)", h=bound),
        "add with attributes": loop_of("c.add(1, a)", c=orders, a=attributes),
        "count()": loop_of("count('bench.counted', plan='pro')", count=count),
    }
    off = Registry()
    switched = Wish(registry=off).grant(fresh(bare))
    off.enabled = False
    loops["switched off at run time"] = loop_of("f(1, 2)", f=switched)
    loops["hot"] = loop_of("f(1, 2)", f=hot_function())
    return loops | peers()


def hot_function():
    """A function of an instrumented module, counted always and timed every 16th time.

    In a registry of its own that nobody drains: a drain might cool it.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_hot.py").write_text("def hot(a, b=1):\n    return a\n")
        sys.path.insert(0, folder)
        module = importlib.import_module("bench_hot")
        sys.path.remove(folder)
    registry = Registry()
    registry.watch.rest_for(3600)
    instrumentation = Instrumentation(registry)
    named = [module.__name__]
    instrumentation.add(checked_rule(named, (), None, properties=False, dunders=False))
    (stitch,) = instrumentation
    stitch.heat()
    return module.hot


def peers():
    """The same by prometheus_client and OpenTelemetry, where installed."""
    loops = {}
    try:
        import prometheus_client as prom
    except ImportError:
        return loops
    seconds = prom.Histogram("bench_seconds", "d", registry=prom.CollectorRegistry())
    loops["prometheus time()"] = loop_of("f(1, 2)", f=seconds.time()(fresh(bare)))
    things = prom.Counter("bench_things", "d", registry=prom.CollectorRegistry())
    loops["prometheus inc()"] = loop_of("inc()", inc=things.inc)
    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    except ImportError:
        return loops
    meter = MeterProvider([InMemoryMetricReader()]).get_meter("bench")
    otel = meter.create_histogram("bench.duration", "s")
    inner = fresh(bare)

    def timed(*args, **kwargs):
        t0 = perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            otel.record(perf_counter() - t0, {"code.function.name": "bare"})

    loops["otel histogram"] = loop_of("f(1, 2)", f=timed)
    return loops


def measure(loops, plan, rounds):
    """Name -> nanoseconds a call, one for each round."""
    figures = defaultdict(list)
    order = list(loops)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            random.shuffle(order)
            for name in order:
                figures[name].append(loops[name](CALLS) / CALLS)
                plan.empty()
            if len(figures["bare"]) % FLOOR_ROUNDS == 0:
                plan.registry.drain()
    finally:
        gc.enable()
    return figures


def threads_cost(plan):
    """Cost of a probed call in 4 threads over that in one, and calls lost.

    Losses are looked for with a switch interval of 10 µs as well: threads meet in the
    middle of a call far more often then.
    """
    registry = Registry()
    registry.watch.rest_for(3600)
    probed = Wish(registry=registry).grant(fresh(bare))
    loop, base = loop_of("f(1, 2)", f=probed), loop_of("f(1, 2)", f=fresh(bare))
    total, lost, calls = {1: [], 4: []}, 0, 20_000
    for _ in range(12):
        for number in (1, 4):
            share = calls // number

            def timed(run, number=number, share=share):
                threads = [
                    threading.Thread(target=run, args=(share,)) for _ in range(number)
                ]
                t0 = perf_counter()
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                return (perf_counter() - t0) / calls * 1e9

            over = timed(loop) - timed(base)
            total[number].append(over)
            lost += calls - registry.drain().binned[0][1].count
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            timed(loop)
        finally:
            sys.setswitchinterval(usual)
        lost += calls - registry.drain().binned[0][1].count
    return statistics.median(total[4]) / statistics.median(total[1]), lost


DISABLED = """
import probekit
def sync(): pass
async def coroutine(): pass
class Shop: pass
print(sum(probekit.probe(each) is not each for each in (sync, coroutine, Shop)))
"""


def changed_when_disabled():
    """How many decorated things are not the very same object with the switch set."""
    command = [sys.executable, "-c", DISABLED]
    environment = {**os.environ, "PROBEKIT_DISABLE": "1"}
    return int(subprocess.check_output(command, env=environment))


def drain_cost():
    """Nanoseconds a value that the background work takes."""
    registry = Registry()
    handle = instrument_of(registry).handle(None)
    values = [random.lognormvariate(-7, 1) for _ in range(50_000)]
    best = []
    for _ in range(7):
        handle.values.extend(values)
        t0 = time.perf_counter_ns()
        registry.drain()
        best.append((time.perf_counter_ns() - t0) / len(values))
    return min(best)


def instrument_of(registry) -> Instrument:
    from probekit.recording.instruments import Histogram

    return instrument(Histogram, FUNCTION_DURATION, "s", registry=registry)


def run():
    """Measure everything and return the table."""
    plan = Planned()
    figures = measure(entries(plan), plan, ROUNDS)
    over, medians = {}, {}
    for name, base in {
        **dict.fromkeys(figures, "bare"),
        "probe raising": "bare raising",
        "probe async": "bare async",
        "probe.count async": "bare async",
        **dict.fromkeys(
            ("bound add", "bound add method", "add with attributes", "count()"),
            "empty",
        ),
        "prometheus inc()": "empty",
    }.items():
        if name in figures:
            over[name] = min(figures[name]) - min(figures[base])
            pairs = zip(figures[name], figures[base], strict=True)
            medians[name] = statistics.median(a - b for a, b in pairs)
    clocks = over["two clocks"]
    on_four, lost = threads_cost(plan)
    background = drain_cost()

    def row(name, text, goal, floor, **more):
        note = f"quiet {over[name]:.0f} ns, median {medians[name]:.0f} ns"
        return Row(text, over[name] / clocks, "x", goal, floor, note=note, **more)

    rows = [
        Row("two perf_counter() reads", clocks, "ns", note="the unit of what follows"),
        Row("noise: bare against bare", over["bare again"], "ns"),
        row("probe", "@probe, of two clock reads", 2.1, 2.5),
        row("probe async", "@probe on a coroutine, of two clock reads", 2.8, 4.0),
        row("probe raising", "@probe, a call that raises", 6.0, 9.0),
        row("hot", "a hot function, of two clock reads", 0.9, 1.2),
        row("probe.count", "@probe.count, of two clock reads", 0.55, 1.0),
        row("probe.count async", "@probe.count on a coroutine", None, None),
        row("bound add", "bound counter, add(1), of two clock reads", None, None),
        row("bound add method", "bound counter, handle.add(1)", None, None),
        row("add with attributes", "counter.add(1, attributes)", None, None),
        row("count()", "count(name, plan=...)", None, None),
        row(
            "switched off at run time",
            "@probe, switched off at run time, of two clock reads",
            0.35,
            0.6,
        ),
        Row(CHANGED, changed_when_disabled(), "of 3", 0, 0, note="sync, async, class"),
        Row("@probe in 4 threads, of one thread", on_four, "x", 1.4, 2.0),
        Row("calls lost in 4 threads, switch interval 10 µs", lost, "", 0, 0),
        Row("background work a value", background, "ns", note="exact bins, sorted"),
        Row(
            "@probe with its background work, of two clock reads",
            (over["probe"] + background) / clocks,
            "x",
            note="by its parts; the whole process: see the peers",
        ),
    ]
    for peer, text, ours, goal, floor in (
        (
            "prometheus time()",
            "prometheus @Histogram.time() over @probe",
            "probe",
            10,
            8,
        ),
        ("otel histogram", "OpenTelemetry histogram over @probe", "probe", 40, None),
        (
            "prometheus time()",
            "prometheus @Histogram.time() over a hot function",
            "hot",
            25,
            None,
        ),
        (
            "prometheus inc()",
            "prometheus Counter.inc() over @probe.count",
            "probe.count",
            7,
            None,
        ),
        (
            "prometheus inc()",
            "prometheus Counter.inc() over add(1)",
            "bound add",
            None,
            None,
        ),
    ):
        if peer in over:
            rows.append(
                Row(
                    text,
                    over[peer] / over[ours],
                    "x",
                    goal,
                    floor,
                    lower_is_better=False,
                    note=f"peer quiet {over[peer]:.0f} ns",
                ),
            )
    return Table("Recording", rows, f"{ROUNDS} rounds of {CALLS} calls each.")


if __name__ == "__main__":
    asyncio.new_event_loop().close()
    print(run().to_markdown())
