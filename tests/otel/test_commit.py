import threading
from contextlib import suppress

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from cuts import Late, cuts
from probekit.errors import ConfigError, RetryLater
from probekit.histogram import Histogram
from probekit.integrations.opentelemetry import (
    DurableLogExporter,
    DurableSpanExporter,
    commit,
    wrap,
)
from probekit.integrations.opentelemetry.logs import event_of
from probekit.integrations.opentelemetry.rebuild import logs_of, metrics_of, spans_of
from probekit.integrations.opentelemetry.target import MetricTarget, SpanTarget
from probekit.model import (
    Batch,
    Event,
    Harvest,
    Point,
    Resource,
    Series,
    Span,
    SpanEvent,
    SpanLink,
    Window,
)
from probekit.recording.registry import REGISTRY, Registry
from probekit.runtime import client
from probekit.scrub import Scrubber

SPAN = Span(
    "a" * 32, "b" * 16, "c" * 16, "GET /x", 2, 1_000, 2_000, {"n": 1},
    (SpanEvent(1_500, "retry", {"try": 2}),),
    (SpanLink("d" * 32, "e" * 16, {}, "v=1"),),
    2, "no such order", "vendor=1", 1, "flask", 7,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _untold(monkeypatch):
    monkeypatch.setattr("probekit.notice._last_told_s", {})


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def desk(registry):
    return commit.Desk(registry)


def harvest(count=1):
    return Harvest(spans=[SPAN] * count)


def writing_to(written):
    """Write as a journal does, which says of a harvest that it has it."""

    def write(each):
        written.append(each)
        each.is_written = True

    return write


def test_what_is_committed_is_written_before_the_call_returns(desk, registry):
    written = []
    registry.on_durable = writing_to(written)

    assert desk.commit(harvest())
    assert [[SPAN]] == [each.spans for each in written]


def test_what_cannot_be_written_is_held_and_goes_first_with_the_next(desk, registry):
    written, trouble = [], [OSError("disk full")]

    def write(each):
        if trouble:
            raise trouble.pop()
        writing_to(written)(each)

    registry.on_durable = write
    first = desk.commit(harvest(2))
    second = desk.commit(harvest(1))
    third = desk.commit(Harvest())

    assert (False, True, True) == (first, second, third)
    assert [3] == [len(each.spans) for each in written]


def test_what_is_held_outlives_a_signal_that_cuts_a_commit_anywhere(registry):
    """What comes with that commit may be lost to its caller, who was interrupted."""
    for places, cut in enumerate(cuts()):
        desk, written = commit.Desk(registry), []
        registry.on_durable = None
        desk.commit(harvest(2))
        registry.on_durable = writing_to(written)
        with suppress(Late), cut:
            desk.commit(Harvest(events=[Event(1, "new")]))
        desk.commit(Harvest())

        assert 2 == sum(len(each.spans) for each in written), places
        assert sum(len(each.events) for each in written) <= 1, places
    assert places > 5


def test_what_is_held_without_a_buffer_is_bounded_and_the_loss_is_counted(
    desk, registry
):
    for _ in range(3):
        assert not desk.commit(harvest(4_000))
    written = []
    registry.on_durable = writing_to(written)
    desk.commit(Harvest())

    assert 10_000 == len(written[0].spans)
    assert 2_000 == written[0].losses["spans", "disk"]


def test_a_child_of_a_fork_does_not_write_what_its_parent_holds(
    desk, registry, monkeypatch
):
    desk.commit(harvest())
    monkeypatch.setattr("os.getpid", lambda: -1)
    written = []
    registry.on_durable = writing_to(written)
    desk.commit(Harvest(events=[Event(1, "own")]))

    assert [[]] == [each.spans for each in written]


def test_a_commit_inside_a_commit_of_the_same_thread_does_not_wait(desk, registry):
    """As a signal handler does that ends a span."""
    seen = []

    def write(each):
        if not seen:
            seen.append(each)
            desk.commit(harvest())
        else:
            seen.append(each)

    registry.on_durable = write
    thread = threading.Thread(target=desk.commit, args=(harvest(),))
    thread.start()
    thread.join(5)

    assert not thread.is_alive()
    assert 2 == len(seen)


def test_an_exporter_never_raises_and_says_what_became_of_it(monkeypatch):
    monkeypatch.setattr(commit.DESK, "commit", lambda _: 1 / 0)
    (readable,) = spans_of(Batch("b" * 32, Resource(), spans=[SPAN]))

    assert SpanExportResult.FAILURE is DurableSpanExporter().export([readable])
    assert SpanExportResult.SUCCESS is DurableSpanExporter().export([])


def test_a_span_that_cannot_be_translated_costs_itself_only(monkeypatch):
    committed = []
    monkeypatch.setattr(commit.DESK, "commit", lambda each: committed.append(each) or 1)
    (readable,) = spans_of(Batch("b" * 32, Resource(), spans=[SPAN]))
    (broken,) = spans_of(Batch("b" * 32, Resource(), spans=[SPAN]))
    broken._events = [object()]
    REGISTRY.drain()
    result = DurableSpanExporter().export([broken, readable])

    assert SpanExportResult.SUCCESS is result
    assert [SPAN.name] == [span.name for span in committed[0].spans]
    assert 1 == REGISTRY.drain().losses["spans", "invalid"]


def test_nothing_is_taken_inside_suppress(monkeypatch):
    taken = []
    monkeypatch.setattr(commit.DESK, "commit", taken.append)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(DurableSpanExporter()))
    with REGISTRY.suppress():
        provider.get_tracer("x").start_span("quiet").end()

    assert [] == taken


def test_a_log_record_becomes_an_event_without_secrets():
    record = LogRecord(
        timestamp=5,
        severity_number=SeverityNumber.ERROR,
        body={"text": "token=hunter2"},
        attributes={"code": 7, "password": "hunter2"},
    )
    found = event_of(record, Scrubber())

    assert (5, "log", 17) == (found.time_unix_ns, found.name, found.severity)
    assert 7 == found.attributes["code"]
    assert "hunter2" not in str(found)
    assert "" == found.trace_id


def test_a_span_goes_there_and_back_unchanged():
    (readable,) = spans_of(Batch("b" * 32, Resource({"k": 1}), spans=[SPAN]))
    harvested = []

    class Desk:
        def is_muted(self):
            return False

        def commit(self, harvest):
            harvested.extend(harvest.spans)
            return True

    patched = pytest.MonkeyPatch()
    module = "probekit.integrations.opentelemetry.spans.DESK"
    with patched.context() as patch:
        patch.setattr(module, Desk())
        result = DurableSpanExporter().export([readable])

    assert SpanExportResult.SUCCESS is result
    (found,) = harvested
    for name in Span.__slots__:
        if name != "number":
            assert getattr(SPAN, name) == getattr(found, name), name


def test_an_event_becomes_a_log_record_with_its_ids():
    event = Event(9, "order.refunded", {"n": 1}, 13, "text", "a" * 32, "b" * 16)
    (found,) = logs_of(Batch("b" * 32, Resource(), events=[event]))
    record = found.log_record

    assert (9, "order.refunded", "text") == (
        record.timestamp, record.event_name, record.body,
    )  # fmt: skip
    assert (int("a" * 32, 16), int("b" * 16, 16)) == (record.trace_id, record.span_id)


@pytest.mark.parametrize(
    "preferences, temporality, value",
    [
        ({}, AggregationTemporality.CUMULATIVE, 9.0),
        ({"Counter": 1}, AggregationTemporality.DELTA, 2.0),
    ],
)
def test_a_wrapped_exporter_gets_the_temporality_it_prefers(
    preferences, temporality, value
):
    window = Window(
        1, 10, 20,
        [
            Point(Series("orders", "counter"), 2.0, total=9.0),
            Point(Series("depth", "gauge"), 4.0),
            Point(Series("t", "histogram", "s"), Histogram.of([0.25])),
        ],
    )  # fmt: skip
    data = metrics_of(Batch("b" * 32, Resource(), windows=[window]), preferences)
    orders, depth, times = data.resource_metrics[0].scope_metrics[0].metrics

    assert temporality is orders.data.aggregation_temporality
    assert value == orders.data.data_points[0].value
    assert 4.0 == depth.data.data_points[0].value
    assert 1 == times.data.data_points[0].count == sum(
        times.data.data_points[0].bucket_counts
    )  # fmt: skip
    assert "orders" in data.to_json()


class Answers(SpanExporter):
    """Answers as told."""

    _endpoint = "https://me:secret@collector:4318/v1/traces?key=secret"

    def __init__(self, *answers):
        self.answers = list(answers)

    def export(self, spans):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("answer", [SpanExportResult.FAILURE, ValueError("broken")])
def test_a_failure_of_a_wrapped_exporter_is_tried_again(answer):
    target = SpanTarget(Answers(answer, SpanExportResult.SUCCESS))
    batch = Batch("b" * 32, Resource(), spans=[SPAN])
    with pytest.raises(RetryLater):
        target.send(batch)
    target.send(batch)

    assert [] == target._exporter.answers


def test_a_wrapped_exporters_cursor_has_a_lasting_name_without_secrets():
    first, second = SpanTarget(Answers()), SpanTarget(Answers())

    assert first.name == second.name
    assert "collector:4318" in first.name
    assert "secret" not in first.name


def test_the_contract_of_a_wrapped_metric_exporter_asks_for_totals_if_it_does():
    delta = ConsoleMetricExporter(
        preferred_temporality=dict.fromkeys(
            commit_kinds(), AggregationTemporality.DELTA
        )
    )

    assert MetricTarget(ConsoleMetricExporter()).contract.cumulative
    assert not MetricTarget(delta).contract.cumulative


def commit_kinds():
    from probekit.integrations.opentelemetry.metrics import DELTAS

    return DELTAS


@pytest.mark.parametrize("wrong", [object(), Answers, "otlp://h:1"])
def test_wrap_refuses_what_is_no_exporter(wrong):
    with pytest.raises(ConfigError, match=r"wrap\(\)"):
        wrap(wrong)


def test_wrap_gives_an_exporter_of_the_same_kind(monkeypatch):
    monkeypatch.setattr(client, "_guests", [])

    class Logs(LogRecordExporter):
        def export(self, batch):
            return None

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=0):
            return True

    exporter = Answers()

    assert isinstance(wrap(exporter), DurableSpanExporter)
    assert isinstance(wrap(Logs()), DurableLogExporter)
    assert 2 == len(client._guests)
