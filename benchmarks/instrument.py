"""Instrumenting a whole package: what it takes once, and what a call costs then."""

import gc
import importlib
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from table import Row, Table

MODULES, FUNCTIONS = 20, 50  # of each
ROUNDS = 9
CALLS = 20_000

TEXT = '''
def function_{i}(a, b=1, *args, c=None, **more):
    """Add, in one of many ways."""
    total = a + b
    if total > {i}:
        return total
    for each in args:
        total += each
    return total
'''

TWINS = """
def bare(a, b): return a
def woven(a, b): return a
def hot(a, b): return a
"""


def package(folder):
    """A synthetic package of 1,000 functions."""
    place = Path(folder) / "synthetic"
    place.mkdir()
    (place / "__init__.py").touch()
    for m in range(MODULES):
        text = "".join(TEXT.format(i=i) for i in range(FUNCTIONS))
        (place / f"module_{m}.py").write_text(text)
    (Path(folder) / "synthetic_twins.py").write_text(TWINS)
    sys.path.insert(0, folder)
    for m in range(MODULES):
        importlib.import_module(f"synthetic.module_{m}")
    return importlib.import_module("synthetic_twins")


def loop(function):
    """Seconds of so many calls, in a loop compiled for this function alone."""
    text = f"def go(f):\n    for _ in range({CALLS}): f(1, 2)\n"
    namespace = {}
    exec(text, namespace)  # a fresh loop, so that nothing is shared
    go = namespace["go"]

    def measure():
        begin = time.perf_counter()
        go(function)
        return time.perf_counter() - begin

    return measure


def once():
    """Milliseconds, bytes a function, and the instrumentation, left in place."""
    from probekit.recording.hook.modules import Instrumentation
    from probekit.recording.hook.pattern import checked_rule
    from probekit.recording.registry import Registry

    rule = checked_rule(["synthetic.*"], (), None, properties=False, dunders=False)

    def instrument():
        instrumentation = Instrumentation(Registry())
        begin = time.perf_counter()
        instrumentation.add(rule)
        took_s = time.perf_counter() - begin
        made = sum(1 for _ in instrumentation)
        assert made == MODULES * FUNCTIONS, list(instrumentation.left.items())[:3]
        return took_s * 1e3, instrumentation

    times_ms = []
    for _ in range(ROUNDS):
        took_ms, instrumentation = instrument()
        times_ms.append(took_ms)
        instrumentation.undo()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    _, instrumentation = instrument()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    instrumentation.undo()
    return times_ms, (after - before) / (MODULES * FUNCTIONS)


LIBRARY = ("asyncio.*", "email.*", "http.*", "unittest.*", "urllib.*", "xml.*")


def library():
    """CPU milliseconds for 1,000 functions of the standard library, few alike."""
    from probekit.recording.hook.modules import Instrumentation
    from probekit.recording.hook.pattern import checked_rule
    from probekit.recording.registry import Registry

    for name in ("asyncio", "email.policy", "http.cookiejar", "unittest.mock"):
        importlib.import_module(name)
    rule = checked_rule(LIBRARY, (), None, properties=False, dunders=False)
    times_ms = []
    for _ in range(ROUNDS):
        instrumentation = Instrumentation(Registry())
        begin = time.thread_time()
        instrumentation.add(rule)
        took_s = time.thread_time() - begin
        made = sum(1 for _ in instrumentation)
        instrumentation.undo()
        times_ms.append(took_s * 1e6 / made)
    return min(times_ms)


def calls(twins):
    """Nanoseconds over the bare call: woven, hot; and of two clock reads."""
    from probekit.recording.hook.modules import Instrumentation
    from probekit.recording.hook.pattern import checked_rule
    from probekit.recording.registry import Registry

    registry = Registry()
    instrumentation = Instrumentation(registry)
    exclude = ["synthetic_twins.bare"]
    instrumentation.add(
        checked_rule(
            ["synthetic_twins"], exclude, None, properties=False, dunders=False
        )
    )
    for stitch in instrumentation:
        if stitch.name.endswith(".hot"):
            stitch.heat()
    clock = time.perf_counter

    def clocks(a, b):
        clock()
        clock()

    entries = {
        "bare": loop(twins.bare),
        "woven": loop(twins.woven),
        "hot": loop(twins.hot),
        "clocks": loop(clocks),
    }
    taken = {name: [] for name in entries}
    for _ in range(ROUNDS * 3):
        for name in random.sample(list(entries), len(entries)):
            taken[name].append(entries[name]() / CALLS * 1e9)
            registry.compact(most=1 << 30)
    instrumentation.undo()
    bare = min(taken["bare"])
    return {name: min(values) - bare for name, values in taken.items()}


def run():
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        twins = package(folder)
        times_ms, size_bytes = once()
        library_ms = library()
        over = calls(twins)
        sys.path.remove(folder)
    table = Table(
        "Whole modules instrumented",
        note=(
            "A synthetic package of 20 modules and 1,000 functions; calls over the "
            "bare call, interleaved, minima."
        ),
    )
    table.rows += [
        Row(
            "1,000 functions, once",
            min(times_ms),
            "ms",
            goal=100,
            floor=200,
            note=f"median {statistics.median(times_ms):.0f} ms of {len(times_ms)}",
        ),
        Row(
            "the same of the standard library",
            library_ms,
            "ms",
            note="CPU time; longer functions, few of them alike",
        ),
        Row("memory per function", size_bytes, "B", note="series, code and tables"),
        Row("a call", over["woven"], note="timed each time, no frame more"),
        Row(
            "a call, against two clock reads",
            over["woven"] / over["clocks"],
            "x",
            goal=2.1,
            floor=2.5,
        ),
        Row("a call of a hot function", over["hot"], goal=90, floor=120),
    ]
    return table


if __name__ == "__main__":
    print(run().to_markdown())
