"""How costs grow: with series, threads, processes, and with what is stored.

A figure for each size, and the growth: how many times dearer ten times as much is.
10 means proportional, 1 means it costs the same whatever the size.
"""

import math
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from pathlib import Path

from plots import Lines
from table import Row, Table
from turns import HERE, rounds, shuffled

from probekit.buffer.fold import Fold
from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.read_only import open_reader, read_status
from probekit.buffer.store import Store
from probekit.exporters.prometheus.text import Exposition
from probekit.model import Harvest, Retention, Series
from probekit.recording.instruments import Counter, Histogram, instrument
from probekit.recording.probe import Wish
from probekit.recording.registry import Registry

SIZES = (1, 10, 100, 1_000, 10_000)
THREADS = (1, 4, 16, 64)
PROCESSES = (1, 4, 16)
HOURS = (1, 24, 168, 720)
STORED_SERIES = 100
CALLS = 64_000
PROCESS_CALLS = 100_000


def growth(line):
    """How many times dearer ten times as much is, over the whole line."""
    (low, first), *_, (high, last) = sorted(line.items())
    return (last / first) ** (1 / math.log10(high / low))


def last_growth(line):
    """The same between the last two sizes, where a square would show."""
    (low, first), (high, last) = sorted(line.items())[-2:]
    return (last / first) ** (1 / math.log10(high / low))


class Clock:
    """A clock that moves when told; the buffer's timeline follows it."""

    def __init__(self, begin_ns):
        self.now_ns, self.monotonic = begin_ns, 1000.0

    def wall_ns(self):
        return self.now_ns

    def monotonic_s(self):
        return self.monotonic

    def advance(self, seconds):
        self.now_ns += int(seconds * 1e9)
        self.monotonic += seconds


class Process:
    """So many series, half of them counters, through all the stages in one process."""

    def __init__(self, size, folder):
        folder.mkdir()
        self.registry = Registry()
        self.registry.watch.rest_for(1e9)
        self.registry.allowance.sets_limit = 10**6
        self.registry.allowance.process_sets_limit = 10**6
        orders = instrument(Counter, "scale.orders", registry=self.registry)
        value = instrument(Histogram, "scale.value", "EUR", registry=self.registry)
        half = max(size // 2, 1)
        self.calls = [orders.bind({"route": f"/{n}"}).add for n in range(half)]
        self.calls += [
            value.bind({"route": f"/{n}"}).record for n in range(size - half)
        ]
        self.writer = SegmentWriter(folder / "journal")
        self.store = Store(folder / "buffer.db", retention=Retention(max_bytes=1 << 30))
        self.store.open()
        self.fold = Fold(self.store, folder / "journal")
        self.exposition = Exposition()
        self.size = size

    def turn(self):
        """CPU seconds by stage of one window in which every series had a value."""
        took, clock = {}, time.process_time
        repeat = max(1, 1000 // self.size)
        t0 = clock()
        for _ in range(repeat):
            for call in self.calls:
                call(1.5)
        took["record, a value"] = (clock() - t0) / repeat / self.size
        t0 = clock()
        harvest = self.registry.drain()
        took["drain"] = clock() - t0
        t0 = clock()
        self.writer.append(harvest)
        took["append"] = clock() - t0
        t0 = clock()
        self.fold.read()
        self.fold.close()
        took["fold and close"] = clock() - t0
        t0 = clock()
        page = self.exposition.write(self.store.snapshot())
        took["Prometheus scrape"] = clock() - t0
        t0 = clock()
        self.store.status()
        took["status"] = clock() - t0
        self.page_bytes = len(page)
        return took

    def close(self):
        self.writer.close()
        self.store.dispose()


def by_series(folder):
    """Stage → {series: quiet ms}, page bytes."""
    every = {size: Process(size, folder / f"series{size}") for size in SIZES}
    found = shuffled({n: one.turn for n, one in every.items()}, rounds(8), 2)
    for one in every.values():
        one.close()
    lines = {
        stage: {n: min(t[stage] for t in turns) * 1e3 for n, turns in found.items()}
        for stage in found[1][0]
    }
    return lines, every[SIZES[-1]].page_bytes


def by_threads():
    """{threads: CPU ns of a probed call}, calls lost."""
    registry = Registry()
    registry.watch.rest_for(1e9)
    probed = Wish(registry=registry).grant(lambda a, b=1: a)
    lost = 0

    def turn(number):
        share = CALLS // number

        def work():
            for _ in range(share):
                probed(1, 2)

        threads = [threading.Thread(target=work) for _ in range(number)]
        t0 = time.process_time()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        took = time.process_time() - t0
        nonlocal lost
        lost += share * number - counted(registry.drain())
        return took / CALLS * 1e9

    found = shuffled({n: lambda n=n: turn(n) for n in THREADS}, rounds(8), 1)
    return {n: min(each) for n, each in found.items()}, lost


def counted(harvest):
    return sum(h.count for _, h in harvest.binned) + sum(len(v) for _, v in harvest.raw)


WORKER = """
import sys, time, resource
import probekit
from pathlib import Path
probekit.configure("scale", buffer=Path(sys.argv[1]), exporters="file://" + sys.argv[2],
                   host_metrics=False)

@probekit.probe
def work(a, b=1):
    return a

add = probekit.counter("scale.calls").bind().add
print("ready", flush=True)
sys.stdin.readline()
t0 = time.process_time()
for n in range({calls}):
    work(n)
    add(1)
    if not n % 1000:
        time.sleep(0.005)  # an application waits for others too
probekit.flush(30)
print(time.process_time() - t0, flush=True)
sys.stdin.readline()
probekit.shutdown()
"""


def together(number, folder):
    """CPU µs a call over all processes, and calls lost."""
    folder.mkdir()
    text = WORKER.format(calls=PROCESS_CALLS // number)
    buffer = folder / "buffer.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", text, str(buffer), str(folder / "out.jsonl")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        for _ in range(number)
    ]
    for each in workers:
        each.stdout.readline()
    for each in workers:
        each.stdin.write("go\n")
        each.stdin.flush()
    cpu_s = sum(float(each.stdout.readline()) for each in workers)
    for each in workers:
        each.communicate("end\n")
    with sqlite3.connect(buffer) as db:
        (total,) = db.execute(
            "SELECT sum FROM series WHERE name = 'scale.calls'"
        ).fetchone()
    db.close()
    calls = PROCESS_CALLS // number * number
    return cpu_s / calls * 1e6, calls - total


def by_processes(folder):
    found = {n: together(n, folder / f"p{n}") for n in PROCESSES}
    return {n: cpu for n, (cpu, _) in found.items()}, sum(x for _, x in found.values())


def stored(hours, folder):
    """A buffer with so many hours behind it, as retention leaves them.

    A quarter of an hour in windows of 10 s, two hours by the minute, the rest by the
    hour: what the default settings keep, only for longer.
    """
    folder.mkdir()
    path = folder / "buffer.db"
    begin_ns = time.time_ns() - int(hours * 3600e9)
    clock = Clock(begin_ns - begin_ns % 3_600_000_000_000)
    store = Store(path, clock=clock, retention=Retention(max_bytes=1 << 40))
    store.open()
    rng = random.Random(hours)
    table = [
        Series(
            "probekit.function.duration",
            "histogram",
            "s",
            (("code.function.name", f"f{n}"),),
        )
        for n in range(STORED_SERIES)
    ]
    table += [
        Series("shop.orders", "counter", "", (("route", f"/{n}"),))
        for n in range(STORED_SERIES)
    ]
    counters = array("I", range(STORED_SERIES, 2 * STORED_SERIES))
    by_hour = max(int(hours) - 2, 0)
    by_minute = min(hours, 2) * 60 - 15
    for number, width_s in ((by_hour, 3600), (int(by_minute), 60), (90, 10)):
        journal = MemoryJournal()
        fold = Fold(store, journal, interval_s=width_s, clock=clock)
        for _ in range(number):
            raw = [
                (n, [rng.lognormvariate(-7, 1) for _ in range(8)])
                for n in range(STORED_SERIES)
            ]
            sums = array("d", [1.0] * STORED_SERIES)
            counts = array("Q", [1] * STORED_SERIES)
            journal.append(Harvest(table, counters, sums, counts, raw=raw))
            clock.advance(width_s)
            fold.read()
            fold.close()
    windows = store.last_window()
    store.dispose()
    return path, windows


QUERIES = {
    "query, v_functions": "SELECT * FROM v_functions",
    "query, v_counters": "SELECT * FROM v_counters",
    "query, last 15 minutes": (
        "SELECT s.name, sum(p.count) FROM point p JOIN series s ON s.id = p.series "
        "WHERE p.window >= (SELECT min(id) FROM window WHERE end_unix_ns > "
        "(SELECT max(end_unix_ns) FROM window) - 900000000000) GROUP BY 1"
    ),
    "query, all that is stored": (
        "SELECT w.id, sum(p.count) FROM point p JOIN window w ON w.id = p.window "
        "GROUP BY 1"
    ),
}


def by_storage(folder):
    """What is asked → {hours: quiet ms}; {hours: windows}; {hours: MiB}."""
    places = {hours: stored(hours, folder / f"h{hours}") for hours in HOURS}

    def asked(path, sql):
        def ask():
            t0 = time.process_time()
            if sql is None:
                read_status(path)
            else:
                with open_reader(path) as connection:
                    connection.execute(sql).fetchall()
            return (time.process_time() - t0) * 1e3

        return ask

    calls = {
        (what, hours): asked(path, sql)
        for hours, (path, _) in places.items()
        for what, sql in {"status": None, **QUERIES}.items()
    }
    found = shuffled(calls, rounds(5), 1)
    lines = {
        what: {hours: min(found[what, hours]) for hours in HOURS}
        for what in ("status", *QUERIES)
    }
    windows = {hours: number for hours, (_, number) in places.items()}
    sizes = {h: path.stat().st_size / 2**20 for h, (path, _) in places.items()}
    return lines, windows, sizes


def told(line, unit, digits=2):
    return ", ".join(f"{x:,g}: {y:,.{digits}f} {unit}" for x, y in sorted(line.items()))


def run():
    folder = Path(tempfile.mkdtemp(prefix="probekit-bench-"))
    try:
        return measured(folder)
    finally:
        shutil.rmtree(folder)


def measured(folder):
    series, page_bytes = by_series(folder)
    threads, lost = by_threads()
    processes, missing = by_processes(folder)
    storage, windows, sizes = by_storage(folder)
    rows = []
    for stage, line in series.items():
        figures = line
        if stage.startswith("record"):
            figures, unit = {n: ms * 1e6 for n, ms in line.items()}, "ns"
        else:
            unit = "ms"
        note = told(figures, unit)
        rows.append(
            Row(
                f"series, {stage}: 1,000 → 10,000",
                last_growth(line),
                "x a tenfold",
                note=note,
            )
        )
    rows += [
        Row(
            "Prometheus scrape of 10,000 series",
            series["Prometheus scrape"][10_000],
            "ms",
            note=f"{page_bytes / 1e6:.1f} MB, half histograms, snapshot included",
        ),
        Row(
            "threads, a probed call",
            growth(threads),
            "x a tenfold",
            note=f"CPU; {told(threads, 'ns', 0)}",
        ),
        Row("calls lost in up to 64 threads", lost, "", 0, 0),
        Row(
            "processes, a call and a count",
            growth(processes),
            "x a tenfold",
            note=f"CPU of all until delivered; {told(processes, 'µs')}",
        ),
        Row(
            "calls lost in up to 16 processes",
            missing,
            "",
            0,
            0,
            note="the counter's total in the buffer against the calls made",
        ),
    ]
    rows += [
        Row(
            f"stored hours, {what}: 1 → {HOURS[-1]}",
            growth(line),
            "x a tenfold",
            note=f"CPU; {told(line, 'ms', 1)}",
        )
        for what, line in storage.items()
    ]
    rows.append(
        Row(
            "stored windows, 30 days",
            windows[HOURS[-1]],
            "",
            note=f"{told(windows, 'windows', 0)}; {told(sizes, 'MiB', 1)}",
        )
    )
    plots = [
        Lines(
            "scale-series",
            "CPU of one window, by series (ms)",
            {s: line for s, line in series.items() if not s.startswith("record")},
            "series",
            "ms",
        ),
        Lines(
            "scale-threads",
            "A probed call, by threads (CPU ns)",
            {"@probe": threads},
            "threads",
            "ns",
        ),
        Lines(
            "scale-processes",
            "A call and a count, by processes (CPU µs)",
            {"all stages": processes},
            "processes",
            "µs",
        ),
        Lines(
            "scale-stored",
            "Reading a buffer, by stored hours (CPU ms)",
            storage,
            "hours",
            "ms",
        ),
    ]
    return Table(
        "Scale",
        rows,
        "Quiet CPU time, sizes shuffled. Growth: times dearer for ten times as much; "
        "10 is proportional, 1 is flat. Every series has a value in every window; "
        f"half are histograms. Stored: {2 * STORED_SERIES} series, windows as the "
        "default retention leaves them.",
        plots,
    )


if __name__ == "__main__":
    print(run().to_markdown())
