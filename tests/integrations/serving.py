"""Real servers in processes of their own, and what they and the buffer say of it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from freeports import free_port

HERE = Path(__file__).parent
READY_S = 40.0


def eventually(question, timeout_s=20.0):
    """The first true answer of *question*, or its last one when time is over."""
    end_s = time.monotonic() + timeout_s
    while True:
        answer = question()
        if answer or time.monotonic() > end_s:
            return answer
        time.sleep(0.05)


class Site:
    """A folder with an application, its buffer and its server's log."""

    def __init__(self, folder):
        self.folder = folder
        self.buffer = folder / "state" / "buffer.db"
        self.log = folder / "server.log"
        self.port = free_port()
        self.server = None
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PROBEKIT_", "OTEL_", "COV_", "DJANGO_", "SHOP_"))
        } | {
            "PYTHONPATH": os.pathsep.join([str(folder), str(HERE)]),
            "PYTHONUNBUFFERED": "1",
            "PROBEKIT_SERVICE": "shop",
            "PROBEKIT_BUFFER": str(self.buffer),
            "PROBEKIT_INTERVAL_S": "0.5",
            "PROBEKIT_HOST_METRICS": "0",
            "XDG_STATE_HOME": str(folder / "xdg"),
        }

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def gunicorns_workers(self, count):
        """A question: are so many up? One that is not misses the signal to end."""
        self.write(
            "gunicorn.conf.py",
            "def post_worker_init(worker):\n"
            "    open(f'worker-{worker.pid}', 'w').close()\n",
        )
        return lambda: len(list(self.folder.glob("worker-*"))) >= count

    @contextlib.contextmanager
    def running(self, *command, ready=None, code=0, kill=signal.SIGTERM):
        """Run *command* until the block ends; then it must end by itself, in time."""
        with self.log.open("ab") as output:
            self.server = subprocess.Popen(
                [str(part).format(port=self.port) for part in command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            question = ready or self.listens
            if not eventually(lambda: question() or self.has_ended(), READY_S):
                pytest.fail(f"it did not start:\n{self.told()}")
            yield self
            self.server.send_signal(kill)
            try:
                ended = self.server.wait(20)
            except subprocess.TimeoutExpired:
                pytest.fail(f"it did not stop within 20 s:\n{self.told()}")
            assert ended == code, self.told()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)  # our own group only
            self.server.wait(10)

    def has_ended(self):
        if self.server.poll() is not None:
            pytest.fail(f"it ended:\n{self.told()}")
        return False

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def told(self):
        return self.log.read_text("utf-8", "replace")

    def sql(self, statement, *values):
        if not self.buffer.exists():
            return []
        connection = sqlite3.connect(f"file:{self.buffer}?mode=ro", uri=True)
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError:  # it is being made
            return []
        finally:
            connection.close()

    def fold(self):
        """Bring what processes have left in their segments into the buffer."""
        subprocess.run(
            [
                *(sys.executable, "-m", "probekit", "ship", "--once"),
                *("--buffer", str(self.buffer)),
            ],
            env=self.environment
            | {"PROBEKIT_EXPORTERS": f"file://{self.folder}/shipped.jsonl"},
            cwd=self.folder,
            check=True,
            timeout=40,
            stdout=subprocess.DEVNULL,
        )

    def requests(self):
        """(route, status) → (number of requests, their seconds, their error types)."""
        found = {}
        for attributes, count, sum_ in self.sql(
            "SELECT attributes, count, sum FROM series "
            "WHERE name = 'http.server.request.duration'"
        ):
            told = json.loads(attributes)
            key = told.get("http.route", ""), told.get("http.response.status_code", 0)
            before = found.get(key, (0, 0.0, frozenset()))
            found[key] = (
                before[0] + count,
                before[1] + sum_,
                before[2] | {told.get("error.type", "")},
            )
        return found

    def counted(self, name="http.server.request.duration"):
        return sum(
            count
            for (count,) in self.sql("SELECT count FROM series WHERE name = ?", name)
        )

    def total(self, name):
        return sum(
            sum_ for (sum_,) in self.sql("SELECT sum FROM series WHERE name = ?", name)
        )


def drive(port, paths, *, threads=8, headers=None):
    """GET all *paths*; (path, status) → how many were answered so."""
    answered = Counter()
    lock = threading.Lock()

    def client(index):
        mine = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(index, len(paths), threads):
            path = paths[number]
            for attempt in (0, 1):
                try:
                    more = headers(number) if headers else {}
                    connection.request("GET", path, headers=more)
                    response = connection.getresponse()
                    response.read()
                    break
                except (http.client.HTTPException, ConnectionError):
                    connection.close()  # the server has closed an idle one
                    if attempt:
                        raise
            mine[path, response.status] += 1
        connection.close()
        with lock:
            answered.update(mine)

    workers = [threading.Thread(target=client, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answered
