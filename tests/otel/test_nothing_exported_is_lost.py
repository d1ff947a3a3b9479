import pytest

pytestmark = pytest.mark.e2e

# Whoever exports 1,000 spans of a small Flask application, then dies without a word.
FLASK = """
import os, signal, sys
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

provider = TracerProvider(resource=Resource({"service.name": "shop"}))
if sys.argv[3] == "ours":
    import probekit
    from probekit.integrations.opentelemetry import DurableSpanExporter
    probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                       host_metrics=False)
    provider.add_span_processor(BatchSpanProcessor(DurableSpanExporter()))
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    endpoint = sys.argv[2].replace("otlp:", "http:") + "/v1/traces"
    provider.add_span_processor(
        SimpleSpanProcessor(OTLPSpanExporter(endpoint, timeout=0.001)))
trace.set_tracer_provider(provider)

app = Flask("shop")

@app.get("/orders/<int:number>")
def order(number):
    return {"order": number}

{instrument}
client = app.test_client()
for number in range({count}):
    client.get(f"/orders/{number}")
if sys.argv[3] == "ours":
    print(provider._active_span_processor.force_flush(1))
os.kill(os.getpid(), signal.SIGKILL)
"""
BY_HAND = """
inner = app.wsgi_app
def traced(environ, start_response):
    with trace.get_tracer("flask").start_as_current_span(
            "GET", kind=trace.SpanKind.SERVER):
        return inner(environ, start_response)
app.wsgi_app = traced
"""
CONTRIB = """
from opentelemetry.instrumentation.flask import FlaskInstrumentor
FlaskInstrumentor().instrument_app(app)
"""
RESTART = """
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False)
print(probekit.flush(timeout_s=20))
probekit.shutdown()
"""


def flask_program(instrument, count=1_000):
    return (
        FLASK.replace("{instrument}", instrument)
        .replace("{count}", str(count))
    )  # fmt: skip


def exported_then_killed(program, receiver, instrument):
    program.run(flask_program(instrument), receiver.url, "ours", code=-9)
    receiver.start()
    assert ["True"] == program.run(RESTART, receiver.url).split()
    assert ["True"] == program.run(RESTART, receiver.url).split()
    return receiver.spans


def test_spans_that_were_exported_arrive_once_after_a_kill_and_a_restart(
    program, receiver
):
    """The receiver was down while they were made; the process got no last word."""
    spans = exported_then_killed(program, receiver, BY_HAND)

    assert 1_000 == len(spans)
    assert 1_000 == len({span.span_id for span in spans})


@pytest.mark.backend
def test_the_same_holds_for_opentelemetrys_own_flask_instrumentation(program, receiver):
    """Nothing of it knows us; the exporter is all that was changed."""
    pytest.importorskip("opentelemetry.instrumentation.flask")
    spans = exported_then_killed(program, receiver, CONTRIB)

    assert 1_000 == len(spans)
    assert 1_000 == len({span.span_id for span in spans})
    assert {"GET /orders/<int:number>"} == {span.name for span in spans}


@pytest.mark.backend
def test_without_us_none_of_them_arrives(program, receiver):
    """The control: the SDK's own exporter, same application, same death."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    text = flask_program(BY_HAND, count=20)
    program.run(text, receiver.url, "theirs", code=-9)
    receiver.start()
    program.run(text.replace("range(20)", "range(0)"), receiver.url, "theirs", code=-9)

    assert [] == receiver.spans


SIGNALS = """
import os, signal, sys, logging
import probekit
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from probekit.integrations.opentelemetry import (
    DurableLogProcessor, DurableMetricExporter,
)
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False)
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


def test_metrics_and_logs_that_were_exported_survive_the_process(program, receiver):
    """Deltas add up; secrets in a body are gone before they are written."""
    program.run(SIGNALS, receiver.url, code=-9)
    receiver.start()
    assert ["True"] == program.run(RESTART, receiver.url).split()
    (record,) = receiver.logs
    total = sum(
        point.count for name, point in receiver.histograms if name == "shop.render"
    )

    assert 6 == receiver.sums["shop.orders"]
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
