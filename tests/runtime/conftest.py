"""Programs in processes of their own, delivering into a file that can be counted."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

PRELUDE = """
import ctypes, os, signal, sys, time, warnings, probekit
warnings.simplefilter("ignore")
BUFFER, SINK = sys.argv[1:3]

def raw_fork():
    # A thread that waits for the GIL of a process forked in C waits in the parent; the
    # child, asked by it to let go, would wait for ever for somebody to take it. No
    # library can help there, so fork with the GIL freshly taken.
    time.sleep(0.001)
    return ctypes.PyDLL(None).fork()

def lives(pid):
    # A raw-forked child may hang inside the interpreter before any of our code runs
    # (a thread of the parent waited for the GIL): it is ended and another one made.
    end = time.monotonic() + 5
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return False
        time.sleep(0.002)
    return True

def configure(**more):
    given = {"buffer": BUFFER, "exporters": [SINK], "interval_s": 0.5,
             "host_metrics": False}
    return probekit.configure("shop", **{**given, **more})

def wait_for(condition, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
"""


class Stage:
    """Starts programs that share a buffer and a sink."""

    def __init__(self, folder):
        self.folder = folder
        self.buffer = folder / "state" / "buffer.db"
        self.sink = folder / "sink.jsonl"
        self.processes = []

    def start(self, text, *arguments, prelude=PRELUDE):
        program = prelude + textwrap.dedent(text)
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PROBEKIT_", "OTEL_", "COV_"))
        }
        process = subprocess.Popen(
            [
                sys.executable, "-c", program,
                str(self.buffer), f"file://{self.sink}", *map(str, arguments),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def run(self, text, *arguments, code=0, timeout_s=40, prelude=PRELUDE):
        process = self.start(text, *arguments, prelude=prelude)
        out, err = process.communicate(timeout=timeout_s)
        assert process.returncode == code, f"{out}\n{err}"
        return out

    def deliver(self):
        """One more process delivers whatever is left; it says whether all is."""
        return self.run("configure()\nprint(probekit.flush(20))").strip()

    def lines(self):
        if not self.sink.exists():
            return []
        return [json.loads(line) for line in self.sink.read_text().splitlines()]

    def totals(self):
        """Metric → what arrived; series → how often the same window arrived."""
        sums, seen = Counter(), Counter()
        for line in self.lines():
            if "value" in line or "count" in line:
                sums[line["name"]] += line.get("value", line.get("count"))
                place = [line[key] for key in ("name", "attributes", "start", "end")]
                seen[json.dumps(place)] += 1
        assert max(seen.values(), default=1) == 1, "a point was delivered twice"
        return sums

    def leaves_nothing_running(self, timeout_s=15):
        """Whether no process but ours has the buffer's files open any more."""
        mine = str(self.folder)
        return eventually(lambda: not users_of(mine), timeout_s)

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
        for pid in users_of(str(self.folder)):
            os.kill(pid, 9)


def users_of(folder):
    """Pids of other processes that hold a file below *folder* open."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            targets = [str(each.readlink()) for each in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(target.startswith(folder) for target in targets):
            found.append(int(entry.name))
    return found


def eventually(condition, timeout_s=15.0):
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


@pytest.fixture
def stage(tmp_path):
    """Processes around one buffer; none of them outlives the test."""
    made = Stage(tmp_path)
    yield made
    made.end()


@pytest.fixture(name="eventually")
def _eventually():
    """The poll above, for tests."""
    return eventually
