"""Real processes that are killed and forked; the truth is kept outside of them."""

import mmap
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from forks import raw_fork
from probekit.buffer.fold import Fold
from probekit.buffer.store import Store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="fork and kill -9"),
]

WORKER = """
import mmap, os, struct, sys, time
from array import array
from pathlib import Path
from probekit.buffer.journal.segments import SegmentWriter
from probekit.model import Event, Harvest, Series

truth = open(sys.argv[2], "r+b")
page = mmap.mmap(truth.fileno(), 16)
writer = SegmentWriter(Path(sys.argv[1]), limit_bytes=4000)
table = [Series("shop.orders", "counter")]
number = 0
while True:
    number += 1
    harvest = Harvest(series=table)
    harvest.sum_ids, harvest.sum_counts = array("I", [0]), array("Q", [1])
    harvest.sum_values = array("d", [1.0])
    harvest.events = [Event(time.time_ns(), f"{os.getpid()}-{number}")]
    page[8:16] = struct.pack("<q", number)  # begun
    writer.append(harvest)
    page[0:8] = struct.pack("<q", number)  # accepted
"""

LEADER = """
import sys, time
from pathlib import Path
from probekit.buffer.fold import Fold
from probekit.buffer.locks import FileLock
from probekit.buffer.store import Store
from probekit.errors import BufferFailed

path = Path(sys.argv[1])
lock = FileLock(Path(f"{path}.leader"))
while not lock.try_acquire():
    time.sleep(0.01)
store = Store(path)
fold = Fold(store, Path(f"{path}.journal"))
print("leads", flush=True)
while True:
    fold.read()
    fold.close()
    store.housekeep(deadline_s=0.01)
    time.sleep(0.002)
"""


def start(text, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def query(path, statement):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def settle(path):
    """A last leader folds what is left."""
    store = Store(path)
    fold = Fold(store, path.with_name(path.name + ".journal"))
    for _ in range(3):
        fold.read()
        fold.close()
    status = store.status()
    store.dispose()
    return status


@pytest.mark.timeout(120)
def test_kills_at_random_lose_nothing_that_was_accepted_and_repeat_nothing(tmp_path):
    """Workers and leaders are killed; identities are compared, not totals."""
    seed = int(os.environ.get("PROBEKIT_TEST_SEED", time.time_ns() % 10**6))
    print("seed", seed)
    draw = random.Random(seed)
    path = tmp_path / "b.db"
    accepted, begun = set(), set()
    leader = start(LEADER, path)
    leader.stdout.readline()
    for round_ in range(5):
        truth = tmp_path / f"truth-{round_}"
        truth.write_bytes(bytes(16))
        worker = start(WORKER, f"{path}.journal", truth)
        while struct.unpack("<q", truth.read_bytes()[:8])[0] < 20:
            assert worker.poll() is None
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.1))
        if draw.random() < 0.7:
            kill(leader)
            leader = start(LEADER, path)
        kill(worker)
        with truth.open("rb") as file, mmap.mmap(file.fileno(), 16, prot=1) as page:
            last, tried = struct.unpack("<qq", page[:])
        accepted |= {f"{worker.pid}-{n}" for n in range(1, last + 1)}
        begun |= {f"{worker.pid}-{n}" for n in range(1, tried + 1)}
    kill(leader)
    status = settle(path)
    found = [name for (name,) in query(path, "SELECT name FROM event")]

    assert len(found) == len(set(found))
    assert accepted <= set(found) <= begun
    assert [(float(len(found)),)] == query(path, "SELECT sum FROM series")
    assert [("ok",)] == query(path, "PRAGMA integrity_check")
    assert len(found) == status.accounts["events"].stored
    assert [] == list((tmp_path / "b.db.journal").glob("*.seg"))


FORK = """
import ctypes, os, sys, time
from array import array
from pathlib import Path
from probekit.buffer.fold import Fold
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import Store
from probekit.model import Harvest, Series

path, how, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
journal = Path(f"{path}.journal")
table = [Series("shop.orders", "counter")]

def one(amount):
    harvest = Harvest(series=table)
    harvest.sum_ids, harvest.sum_counts = array("I", [0]), array("Q", [1])
    harvest.sum_values = array("d", [amount])
    return harvest

store, writer = Store(path), SegmentWriter(journal)
fold = Fold(store, journal)
for _ in range(100):
    writer.append(one(1.0))
fold.read()
fold.close()
fork = os.fork if how == "os.fork" else ctypes.PyDLL(None).fork
if moment == "in a transaction":
    transaction = store._database.writing()
    transaction.__enter__().execute("UPDATE meta SET value = value")
if how == "os.fork" and moment == "idle":
    store.gate.acquire()
    store.close()
pid = fork()
if pid == 0:
    store.abandon()  # at the fork, or when the process notices that it was forked
    if how == "os.fork":
        writer.abandon()
    writer.append(one(1.0))
    print("child writes", flush=True)
    sys.stdin.readline()  # the parent has ended, a third process came and went
    for _ in range(99):
        writer.append(one(1.0))
    print("child done", flush=True)
    os._exit(0)
time.sleep(0.05)
os._exit(0)
"""


@pytest.mark.parametrize("moment", ["idle", "in a transaction"])
@pytest.mark.parametrize("how", ["os.fork", "raw fork"])
def test_a_child_that_outlives_its_parent_loses_nothing(tmp_path, how, moment):
    """Fork, parent ends, a third process opens and closes: every record is counted."""
    path = tmp_path / "b.db"
    process = subprocess.Popen(
        [sys.executable, "-c", FORK, str(path), how, moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "child writes\n" == process.stdout.readline()
    process.wait(timeout=20)
    settle(path)
    assert [(101.0,)] == query(path, "SELECT sum FROM series")
    process.stdin.write("\n")
    process.stdin.flush()
    assert "child done\n" == process.stdout.readline()
    process.stdin.close()
    process.stdout.close()
    # The child is an orphan of ours: wait until the kernel has freed its lock.
    end_s = time.monotonic() + 10
    while list((tmp_path / "b.db.journal").glob("*.seg")):
        assert time.monotonic() < end_s
        settle(path)

    assert [(200.0,)] == query(path, "SELECT sum FROM series")
    assert [("ok",)] == query(path, "PRAGMA integrity_check")


def test_a_raw_forked_child_never_touches_its_parents_connection(tmp_path):
    store = Store(tmp_path / "b.db")
    store.open()
    pid = raw_fork()
    if pid == 0:
        code = 1
        try:
            store.status()
        except Exception as error:
            code = 0 if "parent process" in str(error) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    store.beat(1)
    store.dispose()


def test_a_child_that_abandons_the_store_leaves_its_parents_alone(tmp_path):
    store = Store(tmp_path / "b.db")
    store.open()
    with store.gate:
        store.close()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                store.abandon()
                own = Store(tmp_path / "b.db")
                own.beat(os.getpid())
                own.dispose()
                code = 0
            finally:
                os._exit(code)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    assert pid == store.status().leader_pid
    store.dispose()
