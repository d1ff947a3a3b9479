"""The journal: segment frames against plain files, SQLite rows and local queues.

Two kinds of record, in batches of 1,000, the making of the bytes included: *values*
(300 series, as a busy process flushes them) and *events* (time, name, three
attributes: what a queue would hold). Then one event at a time, written and synced; and
16 processes at once, each with its own segment, and what the kernel says about their
locks.
"""

import itertools
import json
import marshal
import os
import random
import shutil
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from plots import Bars
from table import Row, Table
from turns import HERE, rounds, shuffled, spread

from probekit.buffer.fold import Fold
from probekit.buffer.journal.prompt import PromptSync
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import Store
from probekit.model import Event, Harvest, Series

BAREST = "pack, checksum and write of values alone"
BATCH = 1_000
SERIES = 300
BATCHES = 40  # of one turn
DURABLE = 20  # events of one turn, one at a time
QUEUE_RECORDS = 30  # queues commit each record: a turn of them is shorter
PROCESSES = 16
TURN_S = 1.2


def values_harvest():
    """1,000 durations of 300 functions, as one flush of a busy process."""
    rng = random.Random(7)
    table = [
        Series("probekit.function.duration", "histogram", "s", (("code", f"f{n}"),))
        for n in range(SERIES)
    ]
    lists = [[] for _ in table]
    for number in range(BATCH):
        lists[number % SERIES].append(rng.lognormvariate(-7, 1))
    return Harvest(series=table, raw=list(enumerate(lists)))


def told(number):
    return {"order.id": f"A{number}", "plan": "pro", "amount": number * 1.5}


def events_harvest():
    now_ns = time.time_ns()
    events = [Event(now_ns + n, "order.refunded", told(n)) for n in range(BATCH)]
    return Harvest(events=events)


def tuples():
    now_ns = time.time_ns()
    return [
        (now_ns + n, "event", "order.refunded", n * 1.5, json.dumps(told(n)))
        for n in range(BATCH)
    ]


class Segments:
    """Ours."""

    def __init__(self, folder, harvest):
        self.folder = folder
        self.writer = SegmentWriter(folder)
        self.harvest = harvest

    def batch(self):
        self.writer.append(self.harvest)

    def size_bytes(self):
        return self.writer.written_bytes

    def close(self):
        self.writer.close()


class PlainFile:
    """The same bytes, ready made, by a buffered file; synced on request."""

    def __init__(self, path, data, *, sync):
        self.file = path.open("wb")
        self.data, self.sync, self.written = data, sync, 0

    def batch(self):
        self.written += self.file.write(self.data)
        self.file.flush()
        if self.sync:
            os.fdatasync(self.file.fileno())

    def size_bytes(self):
        return self.written

    def close(self):
        self.file.close()


class Barest:
    """What no frame of Python's floats can go without, were they in one list.

    Pack them, sum them up, write: no series, no definitions, no head, one file.
    """

    def __init__(self, path, harvest):
        self.file = path.open("wb")
        self.values = [value for _, each in harvest.raw for value in each]
        self.written = 0

    def batch(self):
        data = struct.pack(f"<{len(self.values)}d", *self.values)
        zlib.crc32(data)
        self.written += os.write(self.file.fileno(), data)

    def size_bytes(self):
        return self.written

    def close(self):
        self.file.close()


class PlainEncoding:
    """The same records by a buffered file, the making of the bytes included."""

    def __init__(self, path, encode):
        self.file = path.open("wb")
        self.encode = encode

    def batch(self):
        self.file.write(self.encode())
        self.file.flush()

    def size_bytes(self):
        return self.file.tell()

    def close(self):
        self.file.close()


def lines_of(harvest):
    return "".join(
        json.dumps([e.time_unix_ns, e.name, e.attributes]) + "\n"
        for e in harvest.events
    )


class SqliteRows:
    """A row a record, a transaction a batch, WAL."""

    def __init__(self, path, rows):
        self.path, self.rows = path, rows
        self.db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute("CREATE TABLE IF NOT EXISTS r (t, kind, name, value, a)")

    def batch(self):
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO r VALUES (?,?,?,?,?)", self.rows)
        self.db.execute("COMMIT")

    def size_bytes(self):
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.path.stat().st_size

    def close(self):
        self.db.close()


class Queue:
    """A queue library: put each record."""

    def __init__(self, put, size_bytes, close=lambda: None):
        self.put, self.size_bytes, self.close = put, size_bytes, close
        self.rows = itertools.cycle(tuples())

    def batch(self):
        for _ in range(QUEUE_RECORDS):
            self.put(next(self.rows))


def tree_bytes(path):
    if path.is_file():
        return sum(each.stat().st_size for each in path.parent.glob(path.name + "*"))
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def persist_queue(folder):
    import persistqueue

    path = folder / "persist"
    queue = persistqueue.SQLiteQueue(str(path), auto_commit=True, multithreading=True)
    return Queue(queue.put, lambda: tree_bytes(path), queue.close)


def litequeue(folder):
    import litequeue

    path = folder / "lite.db"
    queue = litequeue.LiteQueue(str(path))
    return Queue(
        lambda row: queue.put(json.dumps(row)), lambda: tree_bytes(path), queue.close
    )


def disk_cache(folder):
    import diskcache

    path = folder / "cache"
    deque = diskcache.Deque(directory=str(path))
    return Queue(deque.append, lambda: tree_bytes(path), deque.cache.close)


def frame_of(folder, harvest):
    """The bytes of one frame that defines nothing new: what most flushes write."""
    writer = SegmentWriter(folder / "sample")
    writer.append(harvest)
    writer.append(harvest)
    name, end = writer.position()
    first = writer.written_bytes
    writer.append(harvest)
    size = writer.written_bytes - first
    data = (folder / "sample" / name).read_bytes()[end - size : end]
    writer.close()
    return data


def contenders(folder):
    values, events = values_harvest(), events_harvest()
    of_values, of_events = frame_of(folder, values), frame_of(folder, events)
    rows = tuples()
    now_ns = time.time_ns()
    records = [
        (now_ns, "histogram", values.series[n].name, value, values.series[n].attributes)
        for n, each in values.raw
        for value in each
    ]
    return {
        "segment frames, values": Segments(folder / "values", values),
        "plain file, the same bytes of values": PlainFile(
            folder / "v", of_values, sync=False
        ),
        "plain file + fdatasync, values": PlainFile(
            folder / "vs", of_values, sync=True
        ),
        BAREST: Barest(folder / "barest", values),
        "segment frames, events": Segments(folder / "events", events),
        "plain file, the same bytes of events": PlainFile(
            folder / "e", of_events, sync=False
        ),
        "plain file + fdatasync, events": PlainFile(
            folder / "es", of_events, sync=True
        ),
        "plain file, marshal of values": PlainEncoding(
            folder / "vm", lambda: marshal.dumps(records)
        ),
        "plain file, marshal of events": PlainEncoding(
            folder / "em", lambda: marshal.dumps(rows)
        ),
        "plain file, JSON lines of events": PlainEncoding(
            folder / "j", lambda: lines_of(events).encode()
        ),
        "plain SQLite rows": SqliteRows(folder / "rows.db", rows),
        "persist-queue": persist_queue(folder),
        "litequeue": litequeue(folder),
        "diskcache": disk_cache(folder),
    }


def turn(one):
    """A callable: (records a second by the wall, by the CPU)."""
    is_queue = isinstance(one, Queue)
    batches, records = (1, QUEUE_RECORDS) if is_queue else (BATCHES, BATCH)

    def take():
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(batches):
            one.batch()
        took = time.perf_counter() - wall
        used = time.process_time() - cpu
        return batches * records / took, batches * records / max(used, 1e-9)

    return take


def one_by_one(folder):
    """Rows about events with ``durable=True``: written, and with ``sync_durable``."""
    one = Harvest(events=events_harvest().events[:1])
    writer = SegmentWriter(folder / "durable")
    name, size = writer.append(one)
    data = (folder / "durable" / name).read_bytes()[:size]
    prompt = PromptSync(folder / "durable")
    plain = PlainFile(folder / "one", data, sync=True)

    def synced():
        prompt.cover(writer.append(one)[0])

    ways = {
        "a durable event": lambda: writer.append(one),
        "a durable event, synced": synced,
        "plain file + fdatasync, one event": plain.batch,
    }

    def turn_of(way):
        def take():
            start = time.perf_counter()
            for _ in range(DURABLE):
                way()
            return (time.perf_counter() - start) / DURABLE * 1e6

        return take

    found = shuffled({n: turn_of(way) for n, way in ways.items()}, rounds(12), 2)
    writer.close()
    plain.close()
    for each, taken in found.items():
        yield Row(each, min(taken), "µs", note=spread(taken, " µs", 0))
    pairs = zip(*(found[each] for each in list(ways)[1:]), strict=True)
    yield Row(
        "a durable event, synced, of a plain write + fdatasync",
        min(found["a durable event, synced"]) / min(found[list(ways)[2]]),
        "x",
        note="best of each; pairs: " + spread([a / b for a, b in pairs], " x", 2),
    )


WRITER = """
import sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
import journal
kind, folder, number = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
if kind == "segments":
    one, size = journal.Segments(folder / "shared", journal.values_harvest()), 1000
elif kind == "sqlite":
    one, size = journal.SqliteRows(folder / "shared.db", journal.tuples()), 1000
else:
    data = journal.frame_of(folder / number, journal.values_harvest())
    one, size = journal.PlainFile(folder / f"plain{{number}}", data, sync=False), 1000
one.batch()
print("ready", flush=True)
sys.stdin.readline()
done, errors, worst = 1, 0, 0.0
end = time.perf_counter() + {turn_s}
while (t0 := time.perf_counter()) < end:
    try:
        one.batch()
        done += 1
    except Exception:
        errors += 1
    worst = max(worst, time.perf_counter() - t0)
print(done * size, errors, worst * 1e3, flush=True)
sys.stdin.readline()  # the segment's lock is held until all have finished
"""


def together(kind, number, folder):
    """*number* processes write at once: records a second, errors, worst ms, locks."""
    folder.mkdir()
    (folder / "shared").mkdir()
    for each in range(number):
        (folder / str(each)).mkdir()
    text = WRITER.format(here=str(HERE), turn_s=TURN_S)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", text, kind, str(folder), str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in range(number)
    ]
    for each in writers:
        each.stdout.readline()
    for each in writers:
        each.stdin.write("go\n")
        each.stdin.flush()
    shared = sum(
        locks_shared({w.pid for w in writers}) for _ in range(10) if not time.sleep(0.1)
    )
    found = [tuple(map(float, w.stdout.readline().split())) for w in writers]
    for each in writers:
        each.communicate("end\n")
    records = sum(each[0] for each in found)
    errors = sum(each[1] for each in found)
    worst = max(each[2] for each in found)
    return records, records / TURN_S, errors, worst, shared


def locks_shared(pids):
    """How many locks of these processes are waited for, or held by two of them."""
    holders, waited = {}, 0
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[1] == "->":
            waited += int(words[5]) in pids
        elif int(words[4]) in pids:
            holders.setdefault(words[5], set()).add(words[4])
    return waited + sum(len(each) > 1 for each in holders.values())


def folded_values(folder):
    """How many values a leader finds in the segments of all."""
    store = Store(folder / "buffer.db")
    store.open()
    fold = Fold(store, folder / "shared")
    fold.read()
    fold.close()
    found = store.status().accounts["metrics"].recorded
    store.dispose()
    return found


def alone_and_together(folder):
    """Rows about 1 and 16 processes."""
    got = {}
    kinds = ("segments", "plain", "sqlite")
    for kind in random.sample(kinds, len(kinds)):
        for number in (1, PROCESSES):
            got[kind, number] = together(kind, number, folder / f"{kind}{number}")
    lost = got["segments", PROCESSES][0] - folded_values(
        folder / f"segments{PROCESSES}"
    )
    records, rate, errors, worst, shared = got["segments", PROCESSES]
    one = got["segments", 1][1]
    yield Row(
        f"{PROCESSES} processes: locks shared or waited for",
        shared,
        "",
        0,
        0,
        note="/proc/locks, ten looks: each process locks its own segment",
    )
    yield Row(f"{PROCESSES} processes: appends that failed", errors, "", 0, 0)
    yield Row(
        f"{PROCESSES} processes: values lost",
        lost,
        "",
        0,
        0,
        note=f"of {records:,.0f}, counted after a fold",
    )
    yield Row(
        f"{PROCESSES} processes: together, of one writer",
        rate / one,
        "x",
        0.7,
        0.4,
        lower_is_better=False,
        note=f"{rate:,.0f} and {one:,.0f} values/s; worst append {worst:.0f} ms",
    )
    for kind, name in (("plain", "plain files"), ("sqlite", "SQLite rows")):
        _, many, errors, worst, shared = got[kind, PROCESSES]
        yield Row(
            f"{PROCESSES} processes, {name}: together, of one writer",
            many / got[kind, 1][1],
            "x",
            lower_is_better=False,
            note=f"{many:,.0f} records/s, {errors:.0f} errors, worst {worst:.0f} ms, "
            f"locks shared or waited for: {shared}",
        )


def run():
    folder = Path(tempfile.mkdtemp(prefix="probekit-bench-"))
    try:
        return table_in(folder)
    finally:
        shutil.rmtree(folder)


def table_in(folder):
    every = contenders(folder)
    found = shuffled({n: turn(one) for n, one in every.items()}, rounds(12), 2)
    rates = {name: statistics.median(r for r, _ in f) for name, f in found.items()}
    best = {name: max(r for r, _ in f) for name, f in found.items()}

    def share(ours, reference, **more):
        pairs = zip(found[ours], found[reference], strict=True)
        return Row(
            f"{ours}, of {reference}",
            100 * best[ours] / best[reference],
            "%",
            lower_is_better=False,
            note="best of each; pairs: "
            + spread([100 * a[0] / b[0] for a, b in pairs], " %", 0),
            **more,
        )

    values, events = "segment frames, values", "segment frames, events"
    rows = [
        share(values, "plain file, the same bytes of values", goal=50),
        share(BAREST, "plain file, the same bytes of values"),
        share(values, BAREST),
        share(values, "plain file, marshal of values", goal=50, floor=50),
        share(values, "plain file + fdatasync, values"),
        share(events, "plain file, the same bytes of events"),
        share(events, "plain file, marshal of events"),
        share(events, "plain file, JSON lines of events"),
        share(values, "plain SQLite rows"),
        share(events, "plain SQLite rows"),
        Row(
            "values a second into segments",
            best[values],
            "/s",
            900_000,
            500_000,
            lower_is_better=False,
            note=f"median {rates[values]:,.0f}",
        ),
        Row(
            "events a second into segments",
            best[events],
            "/s",
            lower_is_better=False,
            note=f"median {rates[events]:,.0f}",
        ),
    ]
    queues = {name: best[name] for name, one in every.items() if isinstance(one, Queue)}
    quickest = max(queues, key=queues.get)
    rows += [
        Row(
            f"{what} into segments, of the best queue",
            best[ours] / queues[quickest],
            "x",
            lower_is_better=False,
            note=f"{quickest}; it commits each record",
        )
        for what, ours in (("values", values), ("events", events))
    ]
    for name, one in every.items():
        is_queue = isinstance(one, Queue)
        batches = 1 if is_queue else BATCHES
        records = (rounds(12) + 2) * batches * (QUEUE_RECORDS if is_queue else BATCH)
        rows.append(
            Row(
                name,
                rates[name],
                "/s",
                lower_is_better=False,
                note=f"best {best[name]:,.0f}; {one.size_bytes() / records:,.0f} B",
            )
        )
        one.close()
    rows += one_by_one(folder)
    rows += alone_and_together(folder)
    return Table(
        "The journal",
        rows,
        f"Batches of {BATCH:,} records, the making of the bytes included where nothing "
        "else is said. Plain file: bytes that are ready, buffered write and flush. "
        "Queues put and commit one by one, a stronger promise for each record.",
        [Bars("journal", "Records a second", rates, "/s")],
    )


if __name__ == "__main__":
    print(run().to_markdown())
