"""What the process has recorded, told so that a test can compare it."""

import contextlib
import http.server
import threading
from typing import NamedTuple

from probekit.integrations import libraries
from probekit.recording.registry import REGISTRY


class Taken(NamedTuple):
    """One drain of the process's registry."""

    counts: dict  # (name, attributes as a frozen set) -> number of values
    values: dict  # the same -> sum
    events: list
    problems: list

    def of(self, name):
        """The attribute sets of a metric, as dicts with the number of values."""
        return [
            ({**dict(attributes)}, count)
            for (found, attributes), count in self.counts.items()
            if found == name
        ]


def take():
    """Everything recorded since the last call."""
    harvest = REGISTRY.drain()
    counts, values = {}, {}
    for series_id, chunk in harvest.raw:
        key = key_of(harvest, series_id)
        counts[key], values[key] = len(chunk), sum(chunk)
    for series_id, histogram in harvest.binned:
        key = key_of(harvest, series_id)
        counts[key], values[key] = histogram.count, histogram.sum
    for index, series_id in enumerate(harvest.sum_ids):
        key = key_of(harvest, series_id)
        counts[key] = harvest.sum_counts[index]
        values[key] = harvest.sum_values[index]
    return Taken(counts, values, harvest.events, harvest.problems)


def key_of(harvest, series_id):
    """(name, attributes) of a series."""
    series = harvest.series[series_id]
    return series.name, frozenset(series.attributes)


@contextlib.contextmanager
def instrumented(*names):
    """Libraries patched, and nothing left over from before."""
    libraries.instrument_libraries(only=names)
    REGISTRY.drain()
    try:
        yield
    finally:
        libraries.uninstall()
        REGISTRY.drain()


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers by path: ``/missing``, ``/broken``, ``/moved``, ``/cut``, others."""

    protocol_version = "HTTP/1.1"
    seen: list

    def do_GET(self):
        self.seen.append(dict(self.headers))
        path = self.path.partition("?")[0]
        status = {"/missing": 404, "/broken": 503, "/moved": 302}.get(path, 200)
        if path == "/cut":
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    do_POST = do_GET

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def http_server():
    """A server on loopback; yields (port, headers of the requests it has seen)."""
    handler = type("Handler", (Answers,), {"seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    try:
        yield server.server_port, handler.seen
    finally:
        server.shutdown()
        server.server_close()
        serving.join(5)
