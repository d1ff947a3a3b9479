"""Programs over an OpenTelemetry SDK, and a receiver that shares no code with us."""

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
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)


class Receiver:
    """Keeps spans, log records and sums that arrive over OTLP/HTTP."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.spans = []
        self.logs = []
        self.sums = Counter()
        self.histograms = []
        self.lock = threading.Lock()
        self.server = None

    @property
    def url(self):
        return f"otlp://127.0.0.1:{self.port}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
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
            if path.endswith("/traces"):
                request = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        self.spans.extend(scope.spans)
            elif path.endswith("/logs"):
                request = ExportLogsServiceRequest.FromString(body)
                for resource in request.resource_logs:
                    for scope in resource.scope_logs:
                        self.logs.extend(scope.log_records)
            else:
                self.take_metrics(ExportMetricsServiceRequest.FromString(body))

    def take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points:
                        if kind == "histogram":
                            self.histograms.append((metric.name, point))
                        else:
                            self.sums[metric.name] += point.as_double or point.as_int


@pytest.fixture
def receiver():
    """An OTLP receiver that is not yet listening; its port is already known."""
    made = Receiver()
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
        } | {"XDG_STATE_HOME": str(folder / "xdg")}

    def run(self, text, *arguments, code=0, timeout_s=50, **settings):
        path = self.folder / f"program-{time.monotonic_ns()}.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(path), str(self.buffer), *map(str, arguments)],
            env=self.environment | settings,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        self.err = done.stderr
        return done.stdout

    def sql(self, statement, *values):
        connection = sqlite3.connect(f"file:{self.buffer}?mode=ro", uri=True)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()


@pytest.fixture
def program(tmp_path):
    """A runner of programs whose buffer lies in a temporary folder."""
    return Program(tmp_path)


@pytest.fixture
def eventually():
    """Poll until a condition holds; say whether it did."""

    def poll(condition, timeout_s=20.0):
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            if condition():
                return True
            time.sleep(0.05)
        return bool(condition())

    return poll
