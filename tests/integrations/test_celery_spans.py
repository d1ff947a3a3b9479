"""Spans of Celery's tasks, over a broker in memory; two processes are in backends."""

import importlib

import pytest
from opentelemetry import trace

import needs
from probekit.integrations import libraries
from probekit.recording.registry import REGISTRY
from probekit.tracing.connection import connect
from probekit.tracing.policy import plan_of

pytestmark = pytest.mark.backend

PRODUCER, CONSUMER = 4, 5


@pytest.fixture
def app():
    """An application whose broker is this process; traces are on."""
    celery = needs.library("celery")
    app = celery.Celery("shop", broker="memory://", set_as_current=False)

    @app.task(name="shop.ship", shared=False)
    def ship(order):
        if order == "A2":
            raise LookupError("no such order")

    REGISTRY.drain()
    libraries.instrument_libraries("celery")
    on = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})
    yield app
    on.close()
    libraries.uninstall()
    app.close()
    REGISTRY.drain()


def spans():
    return {span.name: span for span in REGISTRY.drain().spans}


def test_sending_is_a_producer_span_inside_a_recorded_trace_only(app):
    ship = app.tasks["shop.ship"]
    ship.delay("A1")
    outside = spans()
    with trace.get_tracer("shop").start_as_current_span("root"):
        sent = ship.delay("A1")
    found = spans()
    span = found["publish shop.ship"]

    assert {} == outside
    assert (PRODUCER, 0) == (span.kind, span.status)
    assert found["root"].span_id == span.parent_span_id
    assert {
        "messaging.system": "celery",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.message.id": sent.id,
        "messaging.destination.name": "celery",
        "celery.task_name": "shop.ship",
    } == dict(span.attributes)


def test_a_message_that_cannot_be_sent_is_a_failed_span_and_a_failed_duration(app):
    with trace.get_tracer("shop").start_as_current_span("root"):
        with pytest.raises(Exception, match="serializable") as caught:
            app.send_task("shop.ship", args=[object()])
        current = trace.get_current_span().name
    harvest = REGISTRY.drain()
    (span,) = [each for each in harvest.spans if each.kind == PRODUCER]
    (series,) = [
        harvest.series[number]
        for number, values in harvest.raw
        if values
        and harvest.series[number].name == "messaging.client.operation.duration"
    ]
    kind = type(caught.value)
    failure = f"{kind.__module__}.{kind.__qualname__}"

    assert "root" == current
    assert (2, failure) == (span.status, span.attributes["error.type"])
    assert failure == dict(series.attributes)["error.type"]
    assert dict(series.attributes).items() <= dict(span.attributes).items()


def test_working_is_a_consumer_span_and_a_failure_is_told(app):
    ship = app.tasks["shop.ship"]
    ship.apply(["A1"], task_id="one")
    well = spans()["process shop.ship"]
    ship.apply(["A2"], task_id="two")
    failed = spans()["process shop.ship"]

    assert (CONSUMER, 0, "one") == (
        well.kind, well.status, well.attributes["messaging.message.id"],
    )  # fmt: skip
    assert "process" == well.attributes["messaging.operation.type"]
    assert (2, "LookupError") == (failed.status, failed.attributes["error.type"])
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_failure_that_celery_logs_as_well_counts_once(app):
    libraries.instrument_libraries(["celery", "logging"])
    ship = app.tasks["shop.ship"]
    for number in range(10):
        ship.apply(["A2"], task_id=str(number))

    assert [10] == [problem.count for problem in REGISTRY.drain().problems]


def test_send_task_is_put_back_by_identity(app):
    celery = importlib.import_module("celery")
    patched = vars(celery.Celery)["send_task"]
    libraries.uninstall()

    assert vars(celery.Celery)["send_task"] is patched.__wrapped__
