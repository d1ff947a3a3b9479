import pytest

pytestmark = pytest.mark.e2e

# A small Flask application under OpenTelemetry's own instrumentation, which knows
# nothing of probekit; the exporter is all that differs. Once every span has been handed
# to the exporter and it has returned, the process dies without a word.
FLASK = """
import os, signal, sys
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

buffer, url, whose, count = sys.argv[1:]
if whose == "ours":
    import probekit
    from probekit.integrations.opentelemetry import DurableSpanExporter
    probekit.configure("shop", buffer=buffer, exporters=[url], host_metrics=False)
    exporter = DurableSpanExporter()
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    endpoint = url.replace("otlp:", "http:") + "/v1/traces"
    exporter = OTLPSpanExporter(endpoint, timeout=1)
provider = TracerProvider(resource=Resource({"service.name": "shop"}))
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)

app = Flask("shop")
FlaskInstrumentor().instrument_app(app)

@app.get("/orders/<int:number>")
def order(number):
    return {"order": number}

client = app.test_client()
for number in range(int(count)):
    client.get(f"/orders/{number}")
print(provider.force_flush(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
RESTART = """
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False)
print(probekit.flush(timeout_s=20))
probekit.shutdown()
"""


def test_spans_that_were_exported_arrive_once_after_a_kill_and_a_restart(
    program, receiver
):
    """The receiver was down while they were made; the process got no last word."""
    exported = program.run(FLASK, receiver.url, "ours", 1_000, code=-9)
    receiver.start()
    assert ["True"] == program.run(RESTART, receiver.url).split()
    assert ["True"] == program.run(RESTART, receiver.url).split()
    spans = receiver.spans

    assert "True\n" == exported
    assert 1_000 == len(spans)
    assert 1_000 == len({span.span_id for span in spans})
    assert {"GET /orders/<int:number>"} == {span.name for span in spans}
    assert [] == receiver.repeated()


def test_without_us_none_of_them_arrives(program, receiver):
    """The control: the SDK's own exporter, same application, same death."""
    exported = program.run(FLASK, receiver.url, "theirs", 1_000, code=-9)
    receiver.start()
    program.run(FLASK, receiver.url, "theirs", 0, code=-9)

    assert "True\n" == exported
    assert [] == receiver.spans


def test_the_control_is_fair(program, receiver):
    """With the receiver up, the SDK's own exporter delivers all of them."""
    receiver.start()
    program.run(FLASK, receiver.url, "theirs", 100, code=-9)

    assert 100 == len(receiver.spans)


SIGNALS = """
import os, signal, sys, logging
import probekit
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from probekit.integrations.opentelemetry import (
    DurableLogProcessor, DurableMetricExporter, DurableSpanProcessor,
)
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False)
spans = TracerProvider()
spans.add_span_processor(DurableSpanProcessor())
spans.get_tracer("shop").start_span("checkout").end()
logs = LoggerProvider()
logs.add_log_record_processor(DurableLogProcessor())
logs.get_logger("shop").emit(LogRecord(
    severity_number=SeverityNumber.WARN, body="stock is low: password=hunter2",
    attributes={"item": "tea", "left": 3}, event_name="stock.low"))
reader = PeriodicExportingMetricReader(DurableMetricExporter())
meter = MeterProvider([reader]).get_meter("shop")
orders = meter.create_counter("shop.orders", unit="{order}")
carts = meter.create_up_down_counter("shop.carts")
times = meter.create_histogram("shop.render", unit="s")
for n in range(3):
    orders.add(2, {"plan": "pro"})
    carts.add(1)
    times.record(0.25)
    reader.force_flush(1)   # collects, commits; the receiver is down
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_every_processor_took_survives_the_process(program, receiver):
    """Deltas add up; secrets in a body are gone before they are written."""
    program.run(SIGNALS, receiver.url, code=-9)
    receiver.start()
    assert ["True"] == program.run(RESTART, receiver.url).split()
    (record,) = receiver.logs
    total = sum(
        point.count for name, point in receiver.histograms if name == "shop.render"
    )

    assert ["checkout"] == [span.name for span in receiver.spans]
    assert 6 == receiver.total("shop.orders")
    assert 3 == total
    assert "stock.low" == record.event_name
    assert 13 == record.severity_number
    assert "hunter2" not in record.body.string_value
    assert {"item", "left"} == {pair.key for pair in record.attributes}
    assert [("shop.orders", 6.0)] == program.sql(
        "SELECT name, sum FROM series WHERE name = 'shop.orders'"
    )


WRAPPED = """
import os, signal, sys, pickle
import probekit
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor, SpanExporter, SpanExportResult,
)
from probekit.integrations.opentelemetry import wrap

class ToFile(SpanExporter):
    '''Somebody's exporter; refuses while a file says that it is down.'''
    def export(self, spans):
        if os.path.exists("down"):
            return SpanExportResult.FAILURE
        with open("arrived", "a") as file:
            for span in spans:
                file.write(f"{span.name} {span.context.span_id} "
                           f"{span.attributes['n']} {span.kind.name}\\n")
        return SpanExportResult.SUCCESS
    def shutdown(self):
        pass

def configure():
    probekit.configure("shop", buffer=sys.argv[1], host_metrics=False)

early = sys.argv[2] == "configure-first"
if early:
    configure()
exporter = wrap(ToFile())
if not early:
    configure()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("shop")
for n in range(int(sys.argv[3])):
    tracer.start_span(f"span-{n}", attributes={"n": n}).end()
if sys.argv[4] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
print(probekit.flush(timeout_s=20))
probekit.shutdown()
"""


@pytest.mark.parametrize("order", ["configure-first", "wrap-first"])
def test_what_a_wrapped_exporter_could_not_send_is_sent_once_after_a_restart(
    program, order
):
    """Its cursor outlives the process, in whatever order things are set up."""
    down = program.folder / "down"
    down.touch()
    program.run(WRAPPED, order, 100, "die", code=-9)
    down.unlink()
    assert ["True"] == program.run(WRAPPED, order, 0, "flush").split()
    assert ["True"] == program.run(WRAPPED, order, 1, "flush").split()
    lines = (program.folder / "arrived").read_text(encoding="utf-8").splitlines()

    assert 101 == len(lines)
    assert 101 == len(set(lines))
    assert lines[0].startswith("span-0 ")
    assert lines[0].endswith(" 0 INTERNAL")


WRAPPED_OTLP = """
import os, signal, sys
import probekit
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from probekit.integrations.opentelemetry import wrap

buffer, url, times = sys.argv[1:]
probekit.configure("shop", buffer=buffer, host_metrics=False, own_metrics=False)
logs = LoggerProvider()
logs.add_log_record_processor(
    SimpleLogRecordProcessor(wrap(OTLPLogExporter(url + "/v1/logs", timeout=10))))
reader = PeriodicExportingMetricReader(
    wrap(OTLPMetricExporter(url + "/v1/metrics", timeout=10)))
meter = MeterProvider([reader]).get_meter("shop")
logger = logs.get_logger("shop")
orders = meter.create_counter("shop.orders")
renders = meter.create_histogram("shop.render", unit="s")
for n in range(int(times)):
    logger.emit(LogRecord(severity_number=SeverityNumber.WARN, body="stock is low",
                          attributes={"n": n}))
    orders.add(2)
    renders.record(0.25)
    if n % 10 == 9:
        reader.collect()
if int(times):
    os.kill(os.getpid(), signal.SIGKILL)
print(probekit.flush(timeout_s=20))
probekit.shutdown()
"""


def test_wrapped_exporters_of_metrics_and_logs_deliver_after_a_restart(
    program, receiver
):
    """The SDK's own OTLP exporters; what they had not sent, they send once."""
    program.run(WRAPPED_OTLP, receiver.http, 50, code=-9)
    receiver.start()
    for _ in range(2):
        assert ["True"] == program.run(WRAPPED_OTLP, receiver.http, 0).split()
    numbers = sorted(
        pair.value.int_value for r in receiver.logs for pair in r.attributes
    )

    assert list(range(50)) == numbers
    assert 100 == receiver.total("shop.orders")
    assert 50 == receiver.total("shop.render")
