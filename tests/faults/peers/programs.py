"""The same program for each library: what differs is how an operation is recorded.

An operation is recorded as a counter's step and, where the library has such a thing, as
an event with the operation's number. Truth is a file in shared memory: a byte for each
operation that has returned.
"""

PRELUDE = """
import mmap, os, signal, sys, time, warnings
warnings.simplefilter("ignore")
PORT, FOLDER, WHO = int(sys.argv[1]), sys.argv[2], sys.argv[3]
_file = open(os.path.join(FOLDER, "truth-" + WHO), "w+b")
_file.truncate(1 << 16)
_truth = mmap.mmap(_file.fileno(), 1 << 16)

def done(n):
    _truth[n] = 1

def operations(first, last, pause_s=0.001):
    for n in range(first, last):
        operation(n)
        done(n)
        time.sleep(pause_s)

def say(*words):
    print(*words, flush=True)
"""

PROBEKIT = """
import probekit
probekit.configure("peers", buffer=os.path.join(FOLDER, "state", "buffer.db"),
                   exporters=[f"otlp://127.0.0.1:{PORT}"], interval_s=1.0,
                   host_metrics=False)
_ops = probekit.counter("ops")

def operation(n):
    _ops.add(1, {"who": f"{WHO}-{os.getpid()}"})
    probekit.event("op", {"op.id": f"{WHO}:{n}"})
"""

OTEL = """
import logging
logging.disable(logging.ERROR)
from opentelemetry import metrics
from opentelemetry._logs import SeverityNumber
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

_base = f"http://127.0.0.1:{PORT}"
_meters = MeterProvider([PeriodicExportingMetricReader(
    OTLPMetricExporter(_base + "/v1/metrics"), export_interval_millis=1000)])
_ops = _meters.get_meter("peers").create_counter("ops")
_logs = LoggerProvider()
_logs.add_log_record_processor(BatchLogRecordProcessor(
    OTLPLogExporter(_base + "/v1/logs"), schedule_delay_millis=1000))
_logger = _logs.get_logger("peers")

def operation(n):
    _ops.add(1, {"who": f"{WHO}-{os.getpid()}"})
    _logger.emit(LogRecord(timestamp=time.time_ns(), event_name="op",
                           severity_number=SeverityNumber.INFO,
                           attributes={"op.id": f"{WHO}:{n}"}))
"""

PROMETHEUS = """
from prometheus_client import Counter, start_http_server
_ops = Counter("ops", "", ["who"])

def operation(n):
    _ops.labels(f"{WHO}-{os.getpid()}").inc()

start_http_server(PORT, addr="127.0.0.1")
"""

SENTRY = """
import sentry_sdk
sentry_sdk.init(f"http://key@127.0.0.1:{PORT}/1", default_integrations=True)

def operation(n):
    sentry_sdk.capture_event({"message": "op", "tags": {"op.id": f"{WHO}:{n}"}})
"""

STATSD = """
import statsd
_client = statsd.StatsClient("127.0.0.1", PORT)

def operation(n):
    _client.incr("ops")
"""

PEERS = {
    "probekit": PROBEKIT,
    "OpenTelemetry SDK": OTEL,
    "prometheus_client": PROMETHEUS,
    "sentry-sdk": SENTRY,
    "statsd": STATSD,
}

WORK = {
    "outage": "operations(0, 500)",
    "restart": "operations(0, 1)\ntime.sleep(3)",
    "kill": 'say("ready")\noperations(0, 60_000)',
    "fork": """
import multiprocessing
operations(0, 50)
context = multiprocessing.get_context("fork")
children = [context.Process(target=operations, args=(100 + 20 * c, 120 + 20 * c))
            for c in range(10)]
for child in children:
    child.start()
for child in children:
    child.join(20)
    if child.is_alive():
        child.kill()
operations(50, 100)
time.sleep(1.2)  # one more scrape
""",
    "hang": "operations(0, 200)\nsay(time.monotonic())",
}
BARE = "def operation(n):\n    pass\n"
