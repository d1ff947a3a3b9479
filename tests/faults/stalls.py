"""What a failing disk costs the application: 100,000 calls, with and without the fault.

Run by hand: ``python tests/faults/stalls.py``. Prints, for a disk that works, one whose
writes come 150 ms late, and a buffer that somebody else has locked, the time of one
probe call (50 %, 99 %, longest), and how late an asyncio heartbeat was. Beside it runs
another heartbeat without probekit: what that one is late is the machine's doing.
"""

import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from faultshim import build_shim, under

CALLS = 100_000
LATE_MS = 150

PROGRAM = f"""
import asyncio, os, sys, time
from time import perf_counter
import probekit
probekit.configure("stalls", buffer=sys.argv[1], exporters=["udp://127.0.0.1:9"],
                   interval_s=0.5, host_metrics=False)

@probekit.probe
def work():
    return 1

work()
probekit.flush(1)
open(sys.argv[2], "w").close()
print("armed", flush=True)
sys.stdin.readline()
calls, stalls = [], []

async def beat():
    while True:
        before = perf_counter()
        await asyncio.sleep(0.005)
        stalls.append(perf_counter() - before - 0.005)

async def main():
    beating = asyncio.create_task(beat())
    for _ in range({CALLS} // 100):
        for _ in range(100):
            before = perf_counter()
            work()
            calls.append(perf_counter() - before)
        await asyncio.sleep(0.004)
    beating.cancel()

asyncio.run(main())
calls.sort(), stalls.sort()
print(*(1e6 * calls[int(len(calls) * at)] for at in (0.5, 0.99)), 1e6 * calls[-1],
      1e3 * stalls[int(len(stalls) * 0.99)], 1e3 * stalls[-1], time.monotonic())
"""
CONTROL = """
import asyncio, json, sys, threading, time
late = []
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

async def beat():
    print("beats", flush=True)
    while not ended.is_set():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        late.append((before, time.monotonic() - before - 0.005))

asyncio.run(beat())
json.dump(late, sys.stdout)
"""
ROW = "{:<28}{:>7.1f}{:>9.1f}{:>10.0f} µs{:>9.1f}{:>8.1f} ms{:>8.2f} s{:>9.1f} ms"


class Control:
    """An event loop without probekit, and how late it was; see :func:`beside`."""

    def __init__(self):
        self.late = []  # (when, how late), seconds

    def p99_s(self, began_s=float("-inf"), ended_s=float("inf")):
        """What 99 % of its wake-ups between two moments were late at most."""
        late = sorted(by_s for at_s, by_s in self.late if began_s <= at_s < ended_s)
        return late[len(late) * 99 // 100]

    def excess_s(self, rounds):
        """How much later in its best round another loop was than this one usually.

        What a loop is late by its own program's doing it is late in every round; the
        machine's doing is here and there.

        Args:
            rounds: (began, ended, 99 % of its wake-ups late at most), seconds.

        """
        usual_s = statistics.median(self.p99_s(*when) for *when, _ in rounds)
        return min(late_s for *_, late_s in rounds) - usual_s


@contextlib.contextmanager
def beside():
    """Run such a loop beside the block; it knows how late it was when that is over."""
    control = Control()
    with subprocess.Popen(
        [sys.executable, "-I", "-c", CONTROL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        program.stdout.readline()
        yield control
        control.late = json.loads(program.communicate("")[0])


def run(folder, name, *, environment=None, locked=False):
    """One program, and the line of the table that it makes."""
    folder.mkdir()
    buffer, armed = folder / "state" / "buffer.db", folder / "armed"
    with (
        beside() as control,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, buffer, armed],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        ) as program,
    ):
        program.stdout.readline()
        connection = sqlite3.connect(buffer, isolation_level=None, timeout=5)
        with closing(connection):
            if locked:
                connection.execute("BEGIN EXCLUSIVE")
            out, _ = program.communicate("go\n")
    *figures, ends_s = map(float, out.split())
    exit_s = time.monotonic() - ends_s
    print(ROW.format(name, *figures, exit_s, 1e3 * control.p99_s()))


def main():
    """Three rows; the first one twice, to show what the machine itself does."""
    print(f"{'one probe call':<28}{'50 %':>7}{'99 %':>9}{'longest':>10}"
          f"{'loop 99 %':>15}{'longest':>10}{'exit':>10}{'control':>11}")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shim = build_shim(folder)
        late = under(
            shim, -LATE_MS, armed=folder / "late" / "armed", at=1, times=0, calls="wps"
        )
        run(folder / "well", "disk well")
        run(folder / "late", f"writes {LATE_MS} ms late", environment=late)
        run(folder / "locked", "BEGIN EXCLUSIVE elsewhere", locked=True)
        run(folder / "again", "disk well, again")


if __name__ == "__main__":
    main()
