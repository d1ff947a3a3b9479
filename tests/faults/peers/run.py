"""What other libraries lose of the same work: ``make faults-peers``.

Four workloads: the receiver is down, the process ends and another one starts; SIGKILL
at a random moment; children of multiprocessing; exit while the receiver hangs. Written
to a JSON file, one figure for each library and workload, for the page of the matrix.
The folder of the tests has to be on the path.
"""

import contextlib
import importlib.metadata
import json
import platform
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

from programs import BARE, PEERS, PRELUDE, WORK

from receiver import Listener, texts

KILLS = 5
PACKAGES = {
    "OpenTelemetry SDK": "opentelemetry-sdk",
    "prometheus_client": "prometheus-client",
}


class Store(Listener):
    """What has arrived: ids of events, and counts of each process.

    A request that comes again byte for byte is taken once, whoever sends it.

    Attributes:
        ids: Identity of an operation → how often its event came.
        counts: Series → the highest total seen, or the sum of differences.
    """

    def __init__(self):
        super().__init__()
        self.ids = Counter()
        self.counts = Counter()

    def take(self, path, body):
        with self.lock:
            if (path, body) in self.bodies:
                return
        if path.endswith("/envelope/"):
            found = re.findall(rb'"op\.id":\s*"([^"]+)"', body)
            with self.lock:
                self.ids.update({each.decode() for each in found})
        else:
            super().take(path, body)

    def take_logs(self, request):
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    found = dict(texts(record.attributes))
                    if "op.id" in found:
                        self.ids[found["op.id"]] += 1

    def take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == "ops":
                        self._take_points(metric.sum)

    def _take_points(self, total):
        for point in total.data_points:
            key, value = texts(point.attributes), point.as_int or int(point.as_double)
            if total.aggregation_temporality == 1:  # a difference
                self.counts[key] += value
            else:
                self.counts[key] = max(self.counts[key], value)


class Scraper(Store):
    """Asks a page of Prometheus twice a second, as long as it is up."""

    def start(self):
        self._running = True
        threading.Thread(target=self._scrape, daemon=True).start()
        return self

    def stop(self):
        self._running = False

    def _scrape(self):
        while self._running:
            with contextlib.suppress(OSError):
                self._read(urllib.request.urlopen(f"{self.http}/metrics", timeout=1))
            time.sleep(0.5)

    def _read(self, page):
        for who, value in re.findall(
            r'ops_total\{who="([^"]+)"\} (\S+)', page.read().decode()
        ):
            self.counts[who] = max(self.counts[who], int(float(value)))


class Datagrams(Store):
    """Adds up what comes over UDP."""

    def start(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._receive, daemon=True).start()
        return self

    def stop(self):
        self._socket.close()

    def _receive(self):
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                for amount in re.findall(rb"ops:(\d+)\|c", data):
                    self.counts["all"] += int(amount)


class Stage:
    """One library's run of one workload."""

    def __init__(self, peer, folder):
        self.peer = peer
        self.folder = Path(folder)
        kinds = {"prometheus_client": Scraper, "statsd": Datagrams}
        self.store = kinds.get(peer, Store)()
        self.whos = []

    def start(self, work, *, bare=False):
        who = f"w{len(self.whos)}"
        self.whos.append(who)
        text = PRELUDE + (BARE if bare else PEERS[self.peer]) + WORK[work]
        return subprocess.Popen(
            [sys.executable, "-c", text, str(self.store.port), str(self.folder), who],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, work, **more):
        process = self.start(work, **more)
        try:
            process.communicate(timeout=120)
        finally:
            process.kill()

    def finished(self, who):
        truth = (self.folder / f"truth-{who}").read_bytes()
        return {f"{who}:{n}" for n, done in enumerate(truth) if done}

    def lost(self, whos):
        """Operations of *whos* that did not arrive, and arrivals too many."""
        wanted = set().union(*map(self.finished, whos))
        store = self.store
        lost, twice = {}, {}
        if self.peer not in {"prometheus_client", "statsd"}:
            lost["events"] = len(wanted - set(store.ids))
            twice["events"] = sum(
                store.ids[each] - 1 for each in wanted & set(store.ids)
            )
        if self.peer != "sentry-sdk":
            counted = sum(
                value
                for key, value in store.counts.items()
                if self.peer == "statsd" or any(f"{who}-" in str(key) for who in whos)
            )
            lost["counts"] = max(0, len(wanted) - counted)
            twice["counts"] = max(0, counted - len(wanted))
        return {"of": len(wanted), "lost": lost, "twice": twice}


def outage(stage, _):
    """Nobody listens; the process ends; the receiver comes; another process starts."""
    stage.run("outage")
    stage.store.start()
    stage.run("restart")
    time.sleep(1)
    found = stage.lost(["w0"])
    if stage.peer == "statsd":  # its series has no owner: the second's one step is none
        arrived = max(0, stage.store.counts["all"] - 1)
        found["lost"]["counts"] = found["of"] - arrived
    return found


def kill(stage, rng):
    """Killed while it records a thousand operations a second."""
    stage.store.start()
    for _ in range(KILLS):
        process = stage.start("kill")
        process.stdout.readline()
        time.sleep(rng.uniform(0.3, 1.7))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    whos = list(stage.whos)
    if stage.peer == "probekit":
        stage.run("restart")
    time.sleep(1.5)
    return stage.lost(whos)


def fork(stage, _):
    """Ten children of multiprocessing, and their parent before and after."""
    stage.store.start()
    stage.run("fork")
    time.sleep(1.5)
    return stage.lost(["w0"])


def hang(stage, _):
    """Seconds from the last statement to the end, above those of a bare program."""
    if stage.peer in {"prometheus_client", "statsd"}:
        stage.store.start()
    else:
        stage.store.hanging.set()
        stage.store.start()

    def exit_s(*, bare):
        process = stage.start("hang", bare=bare)
        ended_s = float(process.stdout.readline())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        took_s = time.monotonic() - ended_s
        process.kill()
        process.communicate()
        return took_s

    bare_s = statistics.median(exit_s(bare=True) for _ in range(3))
    tries = 3 if stage.peer == "probekit" else 1
    ours_s = statistics.median(exit_s(bare=False) for _ in range(tries))
    return {"added_s": round(ours_s - bare_s, 2)}


WORKLOADS = {"outage": outage, "kill": kill, "fork": fork, "hang": hang}


def versions():
    """Of each library that is measured."""
    found = {}
    for peer in PEERS:
        found[peer] = importlib.metadata.version(PACKAGES.get(peer, peer))
    return found


def main(target):
    """Measure, tell, and write *target*."""
    seed = random.getrandbits(32)
    results = {}
    for name, workload in WORKLOADS.items():
        results[name] = {}
        for peer in PEERS:
            with tempfile.TemporaryDirectory() as folder:
                stage = Stage(peer, folder)
                try:
                    found = workload(stage, random.Random(f"{seed}:{name}:{peer}"))
                finally:
                    stage.store.stop()
            results[name][peer] = found
            print(f"{name:8} {peer:20} {found}", flush=True)
    written = {
        "seed": seed,
        "kills": KILLS,
        "python": platform.python_version(),
        "versions": versions(),
        "results": results,
    }
    Path(target).write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
