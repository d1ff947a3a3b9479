"""An OTLP/HTTP receiver that shares no code with probekit.

It may be absent, slow, or hang; what has arrived is counted, repeats included.
"""

import gzip
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from freeports import free_port


def plain(value):
    """The text of an OTLP attribute value."""
    kind = value.WhichOneof("value")
    return str(getattr(value, kind)) if kind else ""


def texts(attributes):
    """Attributes as (key, text) pairs, sorted."""
    return tuple(sorted((pair.key, plain(pair.value)) for pair in attributes))


class Listener:
    """Reads requests; a subclass says what becomes of them.

    Attributes:
        port: Known before it listens.
        delay_s: How long it thinks about each request.
        hanging: While set, no request is answered.
        bodies: (path, body) → how often it came.
    """

    def __init__(self):
        self.port = free_port()
        self.delay_s = 0.0
        self.hanging = threading.Event()
        self.lock = threading.RLock()
        self.bodies = Counter()
        self.server = None

    @property
    def url(self):
        return f"otlp://127.0.0.1:{self.port}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if listener.hanging.is_set():
                    time.sleep(60)
                time.sleep(listener.delay_s)
                listener.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                """A client that was killed is part of the story."""

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
                self.take_logs(ExportLogsServiceRequest.FromString(body))
            else:
                self.take_spans(ExportTraceServiceRequest.FromString(body))

    def take_metrics(self, request):
        """Take what came to ``/v1/metrics``."""

    def take_logs(self, request):
        """Take what came to ``/v1/logs``."""

    def take_spans(self, request):
        """Take what came to ``/v1/traces``."""


class Receiver(Listener):
    """Keeps everything that arrives, repeats counted twice.

    Attributes:
        sums: (metric, attributes as sorted pairs) → total; histograms by their count.
        histograms: (metric, point).
    """

    def __init__(self):
        super().__init__()
        self.sums = Counter()
        self.histograms = []
        self.points = 0
        self.logs = []
        self.spans = []

    def take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.take_metric(metric)

    def take_metric(self, metric):
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            if kind == "histogram":
                amount = point.count
                self.histograms.append((metric.name, point))
            else:
                amount = point.as_double or point.as_int
            self.points += 1
            self.sums[metric.name, texts(point.attributes)] += amount

    def take_logs(self, request):
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                self.logs.extend(scope.log_records)

    def take_spans(self, request):
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

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
