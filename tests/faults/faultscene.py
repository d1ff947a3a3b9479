"""Programs around one buffer, the truth about what they did, and the audit at the end.

An operation is one event and one step of a counter. Its identity is ``who:number``; the
counter has a series for each block of numbers. The truth stands in a shared mapping:
the moment at which each operation was finished. It survives whatever kills a program.
"""

import array
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

BLOCK = 50
SLOTS = 1 << 16

PRELUDE = f"""
import mmap, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import probekit
BUFFER, SINK, WHO, FOLDER = sys.argv[1:5]
_file = open(os.path.join(FOLDER, f"truth-{{WHO}}"), "w+b")
_file.truncate(8 * {2 * SLOTS})
_truth = memoryview(mmap.mmap(_file.fileno(), 8 * {2 * SLOTS})).cast("Q")
_ops = probekit.counter("ops")

def configure(**more):
    given = {{"buffer": BUFFER, "exporters": [SINK], "interval_s": 0.5,
             "flush_interval_s": 0.2, "host_metrics": False}}
    return probekit.configure("shop", **{{**given, **more}})

def operation(n, durable=False, pad=""):
    "Begun at odd slots, finished at even ones."
    _truth[2 * n + 1] = 1
    _ops.add(1, {{"who": WHO, "block": str(n // {BLOCK})}})
    attributes = {{"op.id": f"{{WHO}}:{{n}}"}}
    if pad:
        attributes["pad"] = pad
    probekit.event("durable" if durable else "plain", attributes, durable=durable)
    _truth[2 * n] = time.monotonic_ns() << 1 | durable

def say(*words):
    print("»", *words, flush=True)

def wait_for(condition, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()

def check_books():
    status = probekit.status()
    for signal_, recorded in status.recorded.items():
        out = sum(status.dropped[signal_].values())
        rest = status.delivered[signal_] + status.stored[signal_] + out
        assert recorded == rest, (signal_, status)
"""

ENDLESS = """
configure()
say("ready")
n = 0
while n < 60_000:
    operation(n, durable=n % 10 == 0)
    n += 1
    if n % 5 == 0:
        time.sleep(0.002)
"""


@dataclass(frozen=True)
class Truth:
    """What one program did.

    Attributes:
        finished: Number → the moment it was finished, monotonic nanoseconds.
        begun: Numbers that were begun, finished or not.
        durable: Numbers of finished operations whose event is durable.
    """

    finished: dict
    begun: set
    durable: set

    @classmethod
    def read(cls, path):
        words = array.array("Q", path.read_bytes())
        done = {n: words[2 * n] for n in range(SLOTS) if words[2 * n]}
        return cls(
            {n: word >> 1 for n, word in done.items()},
            {n for n in range(SLOTS) if words[2 * n + 1]},
            {n for n, word in done.items() if word & 1},
        )

    def plain(self):
        return set(self.finished) - self.durable


class Scene:
    """Starts programs, knows their truth, and audits the books.

    Attributes:
        spoken: Lines that programs wrote to standard error.
        books_expected: Cleared by tests whose buffer is not on disk at the end.
    """

    def __init__(self, folder, ledger):
        self.folder = folder
        self.ledger = ledger
        self.state = folder / "state"
        self.buffer = self.state / "buffer.db"
        self.spoken = []
        self.whos = []
        self.books_expected = True
        self._processes = []
        self._undo = []

    def start(self, text, *arguments, environment=None, sink=None):
        who = f"w{len(self.whos)}"
        self.whos.append(who)
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(text), str(self.buffer),
             sink or self.ledger.url, who, str(self.folder), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self._environment() | (environment or {}),
        )  # fmt: skip
        process.who = who
        self._processes.append(process)
        return process

    def _environment(self):
        mine = ("PROBEKIT_", "OTEL_", "COV_", "FAULTIO_", "LD_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
        return kept | {
            "XDG_STATE_HOME": str(self.folder / "xdg"),
            "PYTHONIOENCODING": "utf-8",
        }

    def finish(self, process, code=0, timeout_s=40):
        """Wait for the end; what it said, its own words only."""
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"hangs\n{out}\n{err}") from None
        assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
        self.spoken += err.splitlines()
        lines = out.splitlines()
        stray = [line for line in lines if not line.startswith("» ")]
        assert stray == [], "printed by us into the host's output"
        return [line[2:] for line in lines]

    def run(self, text, *arguments, code=0, environment=None, sink=None, timeout_s=40):
        process = self.start(text, *arguments, environment=environment, sink=sink)
        return self.finish(process, code, timeout_s)

    def deliver(self, timeout_s=20, sink=None):
        """One more process delivers what is left; False when it could not."""
        said = self.run(
            "configure()\nsay(probekit.flush(float(sys.argv[5])))",
            timeout_s,
            sink=sink,
            timeout_s=timeout_s + 20,
        )
        return said == ["True"]

    def truth(self, who):
        path = self.folder / f"truth-{who}"
        return Truth.read(path)

    def expect_all(self, who, *, lost=frozenset()):
        """Every operation of *who* but *lost* has arrived, by identity, once."""
        truth = self.truth(who)
        ledger = self.ledger
        assert truth.plain() - set(lost) == ledger.ids("plain", who)
        assert truth.durable == ledger.ids("durable", who)
        wanted = {}
        for n in truth.finished:
            wanted[n // BLOCK] = wanted.get(n // BLOCK, 0) + 1
        assert wanted == self.blocks(who)
        assert not ledger.doubled()

    def blocks(self, who):
        return {b: n for (owner, b), n in self.ledger.blocks.items() if owner == who}

    def status(self):
        """The books as ``probekit status --json`` shows them."""
        done = subprocess.run(
            [sys.executable, "-m", "probekit", "status", "--json",
             "--buffer", str(self.buffer)],
            capture_output=True, text=True, check=False, env=self._environment(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rows(self, statement):
        """What *statement* finds in the buffer."""
        with contextlib.closing(sqlite3.connect(self.buffer)) as connection:
            return connection.execute(statement).fetchall()

    def lost(self, signal):
        """How many of *signal* are booked as dropped, for whatever reason."""
        return sum(self.status()["dropped"][signal].values())

    def mount(self, size="2m"):
        """Put the buffer's folder on a small file system; False where one may not."""
        self.state.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none",
             str(self.state)],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return False
        self._undo.append(["umount", "-l", str(self.state)])
        return True

    def audit(self):
        """What holds after every fault: the books balance, nothing strays."""
        for process in self._processes:
            assert process.returncode is not None, "a program was left running"
        traces = [line for line in self.spoken if "Traceback" in line]
        assert traces == [], "\n".join(self.spoken)
        if not self.books_expected:
            return
        status = self.status()
        for signal, recorded in status["recorded"].items():
            dropped = sum(status["dropped"][signal].values())
            rest = status["delivered"][signal] + status["stored"][signal] + dropped
            assert recorded == rest, (signal, status)

    def end(self):
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    stream.close()
        for command in self._undo:
            subprocess.run(command, check=False, capture_output=True)


def wait_until(condition, timeout_s=20.0):
    """Poll until *condition* holds; say whether it did."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def files_below(folder):
    """All files with what is in them."""
    return {
        path: path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and not path.is_symlink()
    }
