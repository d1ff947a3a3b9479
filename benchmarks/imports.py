"""What an import costs: time, modules, memory, threads; fresh processes."""

import os
import random
import statistics
import subprocess
import sys
from collections import defaultdict

from plots import Bars
from table import Row, Table
from turns import rounds, spread

CODES = {
    "nothing": "pass",
    "probekit": "import probekit",
    "probekit, probe and counter used": (
        "import probekit\n@probekit.probe\ndef f(): pass\nf()\n"
        "probekit.counter('a').add(1)"
    ),
    "probekit, first decoration": (
        "from probekit import probe, count, counter, event\n@probe\ndef f(): pass"
    ),
    "probekit, configured": (
        "import probekit\nprobekit.configure('bench', buffer=':memory:')"
    ),
    "statsd": "import statsd",
    "dogstatsd": "import datadog.dogstatsd",
    "statsd, first decoration": (
        "import statsd\nclient = statsd.StatsClient()\n"
        "@client.timer('f')\ndef f(): pass"
    ),
    "prometheus_client": "import prometheus_client",
    "prometheus_client, first decoration": (
        "from prometheus_client import Histogram\n"
        "@Histogram('f', 'f').time()\ndef f(): pass"
    ),
    "OTel SDK, traces and metrics": (
        "import opentelemetry.sdk.trace, opentelemetry.sdk.metrics"
    ),
    "OTel SDK, first decoration": (
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "@TracerProvider().get_tracer('a').start_as_current_span('f')\n"
        "def f(): pass"
    ),
    "sentry_sdk": "import sentry_sdk",
    "ddtrace": "import ddtrace",
    "logfire": "import logfire",
    "autometrics": "import autometrics",
}
DECORATED = "probekit, first decoration"
OURS, LIMITS = "probekit", ("statsd", "OTel SDK, traces and metrics")
FIRST = "from probekit import probe, count, counter, event; one plain function"
ALSO = ", first decoration"
DEAR = ("ddtrace", "logfire", "autometrics", "sentry_sdk")
# With bytecode, as everybody's second start has it, whatever holds for this process.
WARM = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
CHILD = """
import sys, time
def rss():
    with open("/proc/self/statm") as f: return int(f.read().split()[1]) * 4096
def threads():
    with open("/proc/self/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("Threads:"))
code = compile({code!r}, "<import>", "exec")
rss(), threads()
modules, memory, running = len(sys.modules), rss(), threads()
wall, cpu = time.perf_counter(), time.thread_time()
exec(code, {{"__name__": "app"}})
cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
print(wall * 1e3, cpu * 1e3, len(sys.modules) - modules, (rss() - memory) / 2**20,
      threads() - running, flush=True)
import os
os._exit(0)
"""


def once(code):
    """Wall ms, CPU ms, modules, MiB, threads."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(code=code)],
        env=WARM,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return tuple(map(float, done.stdout.split()))


def run():
    found = defaultdict(list)
    number = rounds(15)
    for round_ in range(number + 1):
        for name in random.sample(list(CODES), len(CODES)):
            if name in DEAR and round_ > number // 3:
                continue
            answer = once(CODES[name])
            if round_ and answer:  # the first one writes bytecode
                found[name].append(answer)
    wall = {name: [a[0] for a in answers] for name, answers in found.items()}
    quiet = {name: min(values) for name, values in wall.items()}
    middle = {
        n: [statistics.median(x) for x in zip(*a, strict=True)]
        for n, a in found.items()
    }
    ours = middle[OURS]
    rows = [
        Row(
            "import probekit",
            quiet[OURS],
            "ms",
            20,
            note=f"{spread(wall[OURS], ' ms')}; CPU {ours[1]:.1f} ms",
        ),
        *(
            Row(
                f"import probekit, of {peer}",
                quiet[OURS] / quiet[peer],
                "x",
                goal,
                floor,
                note="minima",
            )
            for peer, goal, floor in zip(LIMITS, (0.5, 0.1), (1.0, None), strict=True)
            if peer in quiet
        ),
        Row("import probekit, memory", ours[3], "MiB", 2, note="resident"),
        Row("import probekit, modules", ours[2], "", 25),
        Row("import probekit, threads", ours[4], "", 0),
        Row("first decoration", quiet[DECORATED], "ms", 20, note=FIRST),
        *(
            Row(
                f"first decoration, of {peer}",
                quiet[DECORATED] / quiet[peer],
                "x",
                0.5 if peer == "statsd" else None,
                note="minima",
            )
            for peer in ("statsd", *(p for p in quiet if p.endswith(ALSO)))
            if peer in quiet and peer != DECORATED
        ),
        Row("first decoration, modules", middle[DECORATED][2], "", 25),
    ]
    for name in sorted(quiet, key=quiet.get):
        _, cpu, modules, memory, threads = middle[name]
        rows.append(
            Row(
                name,
                quiet[name],
                "ms",
                note=f"{spread(wall[name], ' ms')}; CPU {cpu:.0f} ms, {modules:.0f} "
                f"modules, {memory:.1f} MiB, {threads:.0f} threads",
            )
        )
    shown = {name: ms for name, ms in quiet.items() if name != "nothing"}
    return Table(
        "Import",
        rows,
        "Each in a fresh process with warm bytecode, interleaved and shuffled.",
        [Bars("imports", "Import, milliseconds (quiet)", shown, "ms")],
    )


if __name__ == "__main__":
    print(run().to_markdown())
