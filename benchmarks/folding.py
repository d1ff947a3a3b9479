"""What the leader does with frames: fold, close, load a parcel, encode; CPU time.

Folding costs so much a raw value and so much a series and window. Three shapes of the
same series tell them apart: one value in one flush, ten flushes with one value each,
ten flushes with eleven. Beside it, in the same rounds, plain SQLite inserts of rows.
"""

import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from table import Row, Table
from turns import rounds, shuffled, spread

from probekit.buffer.fold import Fold
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import Store
from probekit.exporters.otlp.logs import encode_logs
from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.exporters.otlp.traces import encode_traces
from probekit.model import Event, Harvest, Series, Span
from probekit.ports import DeliveryContract

SERIES = 1_000
ONE, FEW, MANY = 1, 10, 110  # values a series and window
FLUSHES = 10
RECORDS = 1_000


def table_of(number):
    return [
        Series("probekit.function.duration", "histogram", "s", (("code", f"f{n}"),))
        for n in range(number)
    ]


def harvests(table, values_each):
    """The flushes of one window."""
    rng = random.Random(values_each)
    share = max(values_each // FLUSHES, 1)
    for _ in range(min(FLUSHES, values_each)):
        raw = [
            (n, [rng.lognormvariate(-7, 1) for _ in range(share)])
            for n in range(len(table))
        ]
        yield Harvest(series=table, raw=raw)


def events():
    now_ns = time.time_ns()
    return [
        Event(
            now_ns + n, "order.refunded", {"order.id": f"A{n}", "plan": "pro", "n": n}
        )
        for n in range(RECORDS)
    ]


def spans():
    rng, now_ns = random.Random(3), time.time_ns()
    return [
        Span(
            f"{rng.getrandbits(128):032x}",
            f"{rng.getrandbits(64):016x}",
            f"{rng.getrandbits(64):016x}",
            "GET /orders/<id>",
            2,
            now_ns + n,
            now_ns + n + 5_000_000,
            {"http.request.method": "GET", "http.route": "/orders/<id>", "n": n},
            status=1,
        )
        for n in range(RECORDS)
    ]


class Leader:
    """A buffer with a writer and a leader, fed one window at a time."""

    def __init__(self, folder):
        folder.mkdir()
        self.store = Store(folder / "buffer.db")
        self.store.open()
        self.store.register(["there"])
        self.writer = SegmentWriter(folder / "journal")
        self.fold = Fold(self.store, folder / "journal")
        self.contract = DeliveryContract()
        self.encoder = MetricsEncoder()

    def window(self, harvests):
        """CPU seconds of fold and close."""
        for harvest in harvests:
            self.writer.append(harvest)
        t0 = time.process_time()
        self.fold.read()
        self.fold.close()
        return time.process_time() - t0

    def ship(self):
        """CPU seconds of loading, encoding and passing all that waits, and records."""
        t0, records = time.process_time(), 0
        while parcel := self.store.next_batch("there", self.contract, limit=4000):
            records += len(parcel)
            if parcel.windows:
                self.encoder.encode(parcel)
            if parcel.events:
                encode_logs(parcel)
            if parcel.spans:
                encode_traces(parcel)
            self.store.advance("there", parcel)
        return time.process_time() - t0

    def close(self):
        self.writer.close()
        self.store.dispose()


class Rows:
    """Plain SQLite: a row a record, one transaction, attributes as JSON."""

    def __init__(self, path, rows):
        self.rows = rows
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute("CREATE TABLE r (t, name, value, a)")

    def insert(self):
        t0 = time.process_time()
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(
            "INSERT INTO r VALUES (?,?,?,?)",
            [(t, name, value, json.dumps(a)) for t, name, value, a in self.rows],
        )
        self.db.execute("COMMIT")
        return time.process_time() - t0


def run():
    folder = Path(tempfile.mkdtemp(prefix="probekit-bench-"))
    try:
        return measured(folder)
    finally:
        shutil.rmtree(folder)


def measured(folder):
    table = table_of(SERIES)
    windows = {n: list(harvests(table, n)) for n in (ONE, FEW, MANY)}
    kept = {"events": Harvest(events=events()), "spans": Harvest(spans=spans())}
    leaders = {name: Leader(folder / str(name)) for name in (*windows, *kept)}
    plain = [(time.time_ns(), "n", 1.0, {"code": f"f{n}"}) for n in range(SERIES)]
    rows = Rows(folder / "rows.db", plain)

    def of(name, what):
        leader = leaders[name]
        took = leader.window(what)
        return took, leader.ship()

    found = shuffled(
        {
            ONE: lambda: of(ONE, windows[ONE]),
            FEW: lambda: of(FEW, windows[FEW]),
            MANY: lambda: of(MANY, windows[MANY]),
            "events": lambda: of("events", [kept["events"]]),
            "spans": lambda: of("spans", [kept["spans"]]),
            "rows": rows.insert,
        },
        rounds(45),
        2,
    )
    for leader in leaders.values():
        leader.close()
    rows.db.close()
    folds = {n: [took for took, _ in found[n]] for n in (ONE, FEW, MANY, *kept)}
    ships = {n: [took for _, took in found[n]] for n in (ONE, FEW, MANY, *kept)}
    return Table("Fold and ship", list(judged(folds, ships, found["rows"])), NOTE)


NOTE = (
    f"CPU of the process. {SERIES:,} series with {ONE}, {FEW} and {MANY} values each a "
    f"window, in {FLUSHES} flushes at most; {RECORDS:,} events, {RECORDS:,} spans. "
    "Ship: load, encode as OTLP, pass the cursor. Rows: plain SQLite inserts, "
    "attributes as JSON."
)


def judged(folds, ships, rows):
    def each_value(low, high):
        return [
            (more - less) / (SERIES * (high - low)) * 1e6
            for less, more in zip(folds[low], folds[high], strict=True)
        ]

    def quiet(low, high):
        return (min(folds[high]) - min(folds[low])) / (SERIES * (high - low)) * 1e6

    alone, among = quiet(ONE, FEW), quiet(FEW, MANY)
    quiet_series = min(folds[ONE]) / SERIES * 1e6 - alone
    series_us = [each / SERIES * 1e6 - alone for each in folds[ONE]]
    row_us = min(rows) / SERIES * 1e6
    for what, figure, pairs in (
        ("a raw value, alone in its flush", alone, each_value(ONE, FEW)),
        ("a raw value, among eleven", among, each_value(FEW, MANY)),
    ):
        yield Row(what, figure, "µs", 1.5, note=spread(pairs, " µs", 2))
    yield Row(
        "a series and window", quiet_series, "µs", 15, note=spread(series_us, " µs")
    )
    yield Row("a plain SQLite row", row_us, "µs", note=spread([r * 1e3 for r in rows]))
    yield Row(
        "a series and window, of a plain SQLite row",
        quiet_series / row_us,
        "x",
        note="a window of a histogram stands for all its values",
    )
    yield Row("a raw value among eleven, of a plain SQLite row", among / row_us, "x")
    for name, what in (
        (FEW, f"{SERIES:,} series and window"),
        ("events", "1,000 events"),
        ("spans", "1,000 spans"),
    ):
        of = SERIES if name == FEW else RECORDS
        for step, took in (("fold and close", folds[name]), ("ship", ships[name])):
            cpu_ms = [each * 1e3 for each in took]
            yield Row(
                f"{step}, {what}",
                min(cpu_ms),
                "ms",
                note=f"{min(took) / of / (row_us / 1e6):.1f} x plain rows; "
                + spread(cpu_ms, " ms"),
            )
    yield Row(
        "leader, CPU a second at 1,000 series, 100 events/s, 100 spans/s, 10 s windows",
        100
        * (
            statistics.median(folds[FEW])
            + statistics.median(ships[FEW])
            + statistics.median(folds["events"])
            + statistics.median(ships["events"])
            + statistics.median(folds["spans"])
            + statistics.median(ships["spans"])
        )
        / 10,
        "% of a core",
    )


if __name__ == "__main__":
    print(run().to_markdown())
