"""The far side of the demo: an OTLP receiver that shares no code with probekit.

It decodes with the classes generated from OpenTelemetry's own definitions and counts
what it decoded, so that what it says of deliveries does not come from the sender.
"""

import gzip
import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)


class Receiver:
    """Counts by name what arrives; can be stopped and started again on its port."""

    def __init__(self, port):
        """Count from zero; listen when started."""
        self.port = port
        self.totals = Counter()  # metric name → measurements or sum of deltas
        self.events = Counter()  # event name → how many
        self.repeated = 0  # bodies that came a second time
        self._seen = set()
        self._lock = threading.Lock()
        self._server = None

    @property
    def url(self):
        """The address, as ``PROBEKIT_EXPORTERS`` takes it."""
        return f"otlp://127.0.0.1:{self.port}"

    @property
    def is_up(self):
        """Whether somebody can connect."""
        return self._server is not None

    def start(self):
        """Listen."""
        if self._server is None:
            handler = type("Bound", (_Handler,), {"take": self._take})
            self._server = _Server(("127.0.0.1", self.port), handler)
            threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        """Close the port: who tries to connect is refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def delivered(self, name):
        """What arrived of one metric: measurements of histograms, sums of counters."""
        with self._lock:
            return round(self.totals[name])

    def _take(self, path, body):
        digest = hashlib.sha256(path.encode() + body).digest()
        with self._lock:
            if digest in self._seen:
                self.repeated += 1
            self._seen.add(digest)
            if path == "/v1/metrics":
                self._take_metrics(ExportMetricsServiceRequest.FromString(body))
            elif path == "/v1/logs":
                self._take_logs(ExportLogsServiceRequest.FromString(body))

    def _take_metrics(self, request):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points:
                        self.totals[metric.name] += _amount(kind, point)

    def _take_logs(self, request):
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self.events[record.event_name] += 1


def _amount(kind, point):
    if kind == "histogram":
        return point.count
    if kind == "sum":
        return (
            point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
        )
    return 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """Say nothing: a client that was killed is part of the story."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Take one body; the library calls this."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.socket.fileno() < 0:  # stopped: connections of before go too
            self.close_connection = True
            return
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        type(self).take(self.path, body)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Print nothing."""
