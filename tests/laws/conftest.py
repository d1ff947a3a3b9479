"""Programs as a user writes them, and a receiver that shares no code with probekit."""

import gzip
import os
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)


def plain(value):
    """The text of an OTLP attribute value."""
    return str(getattr(value, value.WhichOneof("value")))


class OtlpReceiver:
    """Counts what arrives over OTLP/HTTP; can be stopped, slow, or hang."""

    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.delay_s = 0.0
        self.hanging = threading.Event()
        self.lock = threading.Lock()
        self.sums = Counter()  # (metric, sorted attributes) -> total
        self.points = 0
        self.bodies = Counter()
        self.logs = []
        self.server = None

    @property
    def url(self):
        return f"otlp://127.0.0.1:{self.port}"

    def start(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if receiver.hanging.is_set():
                    time.sleep(60)
                time.sleep(receiver.delay_s)
                receiver.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # a client that was killed is part of the story

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, path, body):
        with self.lock:
            self.bodies[path, body] += 1
            if path.endswith("/metrics"):
                self.take_metrics(ExportMetricsServiceRequest.FromString(body))
            elif path.endswith("/logs"):
                request = ExportLogsServiceRequest.FromString(body)
                for resource in request.resource_logs:
                    for scope in resource.scope_logs:
                        self.logs.extend(scope.log_records)

    def take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points:
                        attributes = tuple(
                            sorted((a.key, plain(a.value)) for a in point.attributes),
                        )
                        if kind == "histogram":
                            amount = point.count
                        else:
                            amount = point.as_double or point.as_int
                        self.points += 1
                        self.sums[metric.name, attributes] += amount

    def total(self, name, **attributes):
        wanted = {(k.replace("__", "."), v) for k, v in attributes.items()}
        with self.lock:
            return sum(
                amount
                for (metric, found), amount in self.sums.items()
                if metric == name and wanted <= set(found)
            )

    def series(self, name):
        with self.lock:
            return {found for metric, found in self.sums if metric == name}

    def events(self, name):
        with self.lock:
            return [record for record in self.logs if record.event_name == name]

    def repeated(self):
        with self.lock:
            return [path for (path, _), times in self.bodies.items() if times > 1]


@pytest.fixture
def receiver():
    """An OTLP receiver that is not yet listening; its port is already known."""
    made = OtlpReceiver()
    yield made
    made.stop()


class Program:
    """Runs Python text in a process of its own, with a buffer of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.buffer = folder / "state" / "buffer.db"
        self.environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PROBEKIT_", "OTEL_", "COV_"))
        } | {"XDG_STATE_HOME": str(folder / "xdg"), "PYTHONWARNINGS": "default"}

    def start(self, text, *arguments, **settings):
        path = self.folder / f"program-{time.monotonic_ns()}.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, str(path), str(self.buffer), *map(str, arguments)],
            env=self.environment | {k: str(v) for k, v in settings.items()},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, text, *arguments, code=0, timeout_s=50, **settings):
        process = self.start(text, *arguments, **settings)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"did not end within {timeout_s} s\n{out}\n{err}")
        assert process.returncode == code, f"{out}\n{err}"
        self.err = err
        return out

    def sql(self, statement, *values):
        with sqlite3.connect(f"file:{self.buffer}?mode=ro", uri=True) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows


@pytest.fixture
def program(tmp_path):
    """A runner of programs whose buffer lies in a temporary folder."""
    return Program(tmp_path)


def wait_until(condition, timeout_s=20.0):
    """Poll until *condition* holds; say whether it did."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


@pytest.fixture
def eventually():
    """The poll above, for tests."""
    return wait_until
