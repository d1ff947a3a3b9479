import asyncio
import contextvars
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)
from opentelemetry.util._once import Once

from probekit.integrations.opentelemetry import DurableSpanExporter
from probekit.integrations.opentelemetry.commit import DESK
from probekit.recording.probe import Wish
from probekit.tracing import Policy, Tail, connection
from probekit.tracing.connection import LOST, Connection, _gate_of
from probekit.tracing.gate import Gate
from probekit.tracing.ids import KernelIds
from probekit.tracing.policy import Plan

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def header_of(**headers):
    return headers.get


def caller(flags="01"):
    return header_of(
        traceparent=f"00-{TRACE}-{SPAN}-{flags}",
        tracestate="vendor=1",
        baggage="tenant=blue",
    )


@pytest.fixture
def probe(registry):
    """``probekit.probe(span=True)`` for the test's registry."""
    return Wish(span=True, registry=registry).grant


def test_a_probe_makes_a_span_only_inside_a_recorded_trace(
    traces, drained, probe, tracer
):
    traces()

    @probe
    def charge():
        return trace.get_current_span().is_recording()

    outside = charge()
    with tracer.start_as_current_span("root") as root:
        inside = charge()
    spans = drained()
    (name,) = set(spans) - {"root"}

    assert (False, True) == (outside, inside)
    assert name.endswith("charge")
    assert f"{root.get_span_context().span_id:016x}" == spans[name].parent_span_id
    assert name == spans[name].attributes["code.function.name"]


def test_without_traces_nothing_makes_a_span(registry, drained, probe, tracer):
    @probe
    def charge():
        return 1

    with tracer.start_as_current_span("root"):
        charge()

    assert {} == drained()


def test_an_unsampled_trace_makes_no_spans(traces, drained, probe, tracer):
    traces(0.0)

    @probe
    def charge():
        return 1

    with tracer.start_as_current_span("root"):
        charge()

    assert {} == drained()


def test_an_error_marks_its_span_and_other_exceptions_do_not(
    traces, registry, drained, tracer
):
    traces()

    @Wish("fails", span=True, registry=registry).grant
    def fails():
        raise LookupError("no order for ann@example.org")

    @Wish("leaves", span=True, registry=registry).grant
    def leaves():
        raise KeyboardInterrupt

    with tracer.start_as_current_span("root"):
        with pytest.raises(LookupError):
            fails()
        with pytest.raises(KeyboardInterrupt):
            leaves()
    spans = drained()

    assert (2, "LookupError") == (
        spans["fails"].status,
        spans["fails"].attributes["error.type"],
    )
    assert "ann@example.org" not in spans["fails"].status_message
    assert 0 == spans["leaves"].status


def test_coroutines_and_generators_have_spans_and_leave_no_context_behind(
    traces, registry, drained, tracer
):
    traces()

    @Wish("coroutine", span=True, registry=registry).grant
    async def coroutine():
        await asyncio.sleep(0)
        return trace.get_current_span()

    @Wish("generator", span=True, registry=registry).grant
    def generator():
        yield trace.get_current_span()

    with tracer.start_as_current_span("root") as root:
        inner = asyncio.run(coroutine())
        steps = generator()
        seen = next(steps)
        between = trace.get_current_span()
        list(steps)
        after = trace.get_current_span()

    assert "coroutine" == inner.name
    assert root is seen
    assert root is between
    assert root is after
    assert {"root", "coroutine", "generator"} == set(drained())


def test_a_request_goes_on_with_its_callers_trace(traces, registry, drained):
    traces(0.0)  # the caller's decision counts, not our share
    span = registry.tracing.serve("GET", 2, {"url.path": "/"}, caller())
    headers = span.headers()
    tenant = baggage.get_baggage("tenant")
    ids = registry.ids()
    span.describe("GET /", {"http.response.status_code": 503})
    span.end(error_type="503")
    found = drained()["GET /"]

    assert (TRACE, SPAN, 2) == (found.trace_id, found.parent_span_id, found.kind)
    assert "vendor=1" == found.trace_state
    assert (2, 503) == (found.status, found.attributes["http.response.status_code"])
    assert headers["traceparent"].startswith(f"00-{TRACE}-{found.span_id}-0")
    assert ("vendor=1", "tenant=blue") == (headers["tracestate"], headers["baggage"])
    assert "blue" == tenant
    assert (TRACE, found.span_id) == ids
    assert not trace.get_current_span().get_span_context().is_valid
    assert baggage.get_baggage("tenant") is None


def test_a_caller_that_does_not_record_is_followed_and_passed_on(
    traces, registry, drained
):
    traces(1.0)
    span = registry.tracing.serve("GET", 2, {}, caller("00"))
    headers = span.headers()
    inner = registry.tracing.call("SELECT", 3, {})
    span.end()

    assert {} == drained()
    assert inner is None
    assert headers["traceparent"].startswith(f"00-{TRACE}-")
    assert headers["traceparent"][-1] in "02"  # recorded is bit 0


def test_a_policy_may_decide_without_its_callers(traces, registry, drained):
    traces(Policy(ratio=1.0, follow_parent=False))
    registry.tracing.serve("GET", 2, {}, caller("00")).end()

    assert TRACE == drained()["GET"].trace_id


def test_a_request_that_another_instrumentation_has_opened_gets_no_second_span(
    traces, registry, tracer
):
    traces()
    with tracer.start_as_current_span("GET", kind=trace.SpanKind.SERVER):
        second = registry.tracing.serve("GET", 2, {}, caller())

    assert second is None


def test_a_span_that_ends_in_another_thread_changes_no_context_there(
    traces, registry, tracer
):
    """As the body of an answer may, that is streamed by another thread."""
    traces()
    span = registry.tracing.serve("GET", 2, {}, caller())
    seen = []

    def end_elsewhere():
        with tracer.start_as_current_span("other") as other:
            span.end()
            seen.append(trace.get_current_span() is other)

    thread = threading.Thread(
        target=contextvars.Context().run, args=(end_elsewhere,), name="other"
    )
    thread.start()
    thread.join()
    span.leave()

    assert [True] == seen


def test_a_failing_propagator_costs_the_span_only(traces, registry, monkeypatch):
    traces()
    monkeypatch.setattr(propagate, "extract", lambda *_: 1 / 0)

    assert registry.tracing.serve("GET", 2, {}, caller()) is None


def test_the_tail_keeps_failed_traces_and_no_others(traces, registry, drained, tracer):
    traces(Tail(share=0.0, slower_than_p99=False))
    with tracer.start_as_current_span("fine"):
        pass
    with (
        tracer.start_as_current_span("bad"),
        tracer.start_as_current_span("cause") as cause,
    ):
        cause.set_status(trace.StatusCode.ERROR)

    assert {"bad", "cause"} == set(drained())


def test_what_the_tail_has_no_memory_for_is_counted(traces, registry, tracer):
    traces(Tail(share=0.0, most_spans=2))
    with tracer.start_as_current_span("root"):
        for _ in range(5):
            tracer.start_span("child").end()

    assert 6 == registry.drain().losses["spans", LOST]


def test_switching_off_decides_what_waits_and_restores_everything(
    traces, registry, drained, tracer
):
    registry.trace_ids = lambda: ("", "")
    before = registry.trace_ids
    on = traces(Tail(share=1.0))
    root = tracer.start_span("root")
    with trace.use_span(root):
        tracer.start_span("child").end()
    on.close()

    assert {"child"} == set(drained())
    assert (None, None, before) == (
        registry.tracing,
        registry.span_maker,
        registry.trace_ids,
    )
    assert not tracer.start_span("later").is_recording()


def test_a_trace_does_not_hide_the_ids_that_were_known_before(traces, registry, tracer):
    registry.trace_ids = lambda: (TRACE, SPAN)
    traces()
    outside = registry.ids()
    with tracer.start_as_current_span("root") as root:
        inside = registry.ids()

    assert (TRACE, SPAN) == outside
    assert f"{root.get_span_context().trace_id:032x}" == inside[0]


def test_a_provider_that_is_set_already_is_joined_once(registry, monkeypatch):
    """Its sampler, its processors and its other users are not disturbed."""
    theirs = TracerProvider(shutdown_on_exit=False)
    first, second = _gate_of(theirs), _gate_of(theirs)
    on = Connection(registry, first, Plan(Policy()))
    theirs.get_tracer("x").start_span("joined").end()
    on.close()
    theirs.get_tracer("x").start_span("later").end()

    assert first is second
    assert ["joined"] == [span.name for span in registry.drain().spans]


@pytest.fixture
def unset(monkeypatch):
    """As if nobody had set a provider in this process."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


def test_a_provider_that_the_application_sets_later_is_joined(
    unset, traces, registry, caplog
):
    """Its exporters get what tracers of ours make, too; each span is buffered once."""
    traces()
    early = trace.get_tracer("early")
    theirs, exported = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    theirs.add_span_processor(SimpleSpanProcessor(exported))
    trace.set_tracer_provider(theirs)
    with trace.get_tracer("late").start_as_current_span("late"):
        early.start_span("early").end()
        registry.tracing.call("call", 3, {}).end()
    names = [span.name for span in registry.drain().spans]

    assert theirs is trace.get_tracer_provider()
    assert ["early", "call", "late"] == names
    assert names == [span.name for span in exported.get_finished_spans()]
    assert [] == caplog.records


def test_a_third_provider_is_refused_as_ever(unset, traces, caplog):
    traces()
    second = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(second)
    with caplog.at_level("WARNING"):
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))

    assert second is trace.get_tracer_provider()
    assert "not allowed" in caplog.text


def test_a_provider_that_comes_while_traces_are_off_is_joined_when_they_are_on(
    unset, traces, registry
):
    traces().close()
    theirs = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(theirs)
    theirs.get_tracer("x").start_span("while off").end()
    traces()
    theirs.get_tracer("x").start_span("while on").end()

    assert ["while on"] == [span.name for span in registry.drain().spans]


def test_flushing_the_provider_writes_and_delivers_what_has_ended(registry):
    """While traces are on; a provider outlives them."""
    asked = []
    theirs = TracerProvider(shutdown_on_exit=False)
    gate = _gate_of(theirs)
    on = Connection(registry, gate, Plan(Policy()), lambda s: asked.append(s) or False)
    flushed = theirs.force_flush(1_500)
    on.close()

    assert not flushed
    assert [pytest.approx(1.5, abs=0.1)] == asked
    assert theirs.force_flush(1_500)
    assert 1 == len(asked)


def test_a_provider_without_processors_is_left_alone_and_told(caplog):
    class Strange:
        pass

    with caplog.at_level("WARNING", "probekit"):
        gate = _gate_of(Strange())

    assert gate is None
    assert "Strange" in caplog.text


def test_spans_of_a_provider_with_our_exporter_are_buffered_once(registry, monkeypatch):
    """The exporter commits them; the gate lets them pass by."""
    committed = []
    monkeypatch.setattr(DESK, "commit", committed.append)
    theirs = TracerProvider(shutdown_on_exit=False)
    on = Connection(registry, _gate_of(theirs), Plan(Policy()))
    theirs.get_tracer("x").start_span("before").end()
    theirs.add_span_processor(SimpleSpanProcessor(DurableSpanExporter()))
    theirs.get_tracer("x").start_span("after").end()
    on.close()

    assert ["before"] == [span.name for span in registry.drain().spans]
    assert ["after"] == [span.name for span in committed[0].spans]


def test_a_sink_that_fails_does_not_reach_the_application(caplog):
    class Broken:
        def started(self, span):
            raise ValueError("started")

        def ended(self, readable):
            raise ValueError("ended")

    gate = Gate()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(gate)
    gate.open(Broken())
    provider.get_tracer("x").start_span("fine").end()
    provider.shutdown()

    assert 2 == sum("span" in each.getMessage() for each in caplog.records)


def test_ids_come_from_the_kernel_and_are_never_zero(monkeypatch):
    answers = [bytes(16), b"\1" * 16, bytes(8), b"\2" * 8]
    monkeypatch.setattr(os, "urandom", lambda count: answers.pop(0))
    ids = KernelIds()

    assert int("01" * 16, 16) == ids.generate_trace_id()
    assert int("02" * 8, 16) == ids.generate_span_id()


def test_suppressed_calls_leave_no_span(traces, registry, drained, tracer):
    traces()
    with registry.suppress():
        tracer.start_span("quiet").end()

    assert {} == drained()


def test_a_span_that_cannot_be_translated_costs_itself_only(registry):
    class Broken:
        def finished(self, scrub):
            raise ValueError("broken")

    registry.span(Broken())
    harvest = registry.drain()

    assert [] == harvest.spans
    assert 1 == harvest.losses["spans", "internal_error"]


def test_events_links_and_scope_arrive_scrubbed(traces, drained, tracer):
    traces()
    linked = trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True)
    with tracer.start_as_current_span("root", links=[trace.Link(linked)]) as root:
        root.add_event("retry", {"password": "hunter2", "n": 2})
        root.set_attribute("url.full", "https://me:pw@h/p?card=4111")
    found = drained()["root"]
    (event,), (link,) = found.events, found.links

    assert "shop" == found.scope
    assert ("retry", 2) == (event.name, event.attributes["n"])
    assert "hunter2" not in str(event.attributes)
    assert (TRACE, SPAN) == (link.trace_id, link.span_id)
    assert "https://h/p?card=REDACTED" == found.attributes["url.full"]


def test_the_switch_is_the_sampler_of_the_installed_provider():
    assert "probekit" in connection._SWITCH.get_description()
    assert context.get_current() == {}


@pytest.mark.e2e
def test_a_child_of_a_fork_starts_and_traces_whatever_was_imported_before(tmp_path):
    """The SDK's own hook waits for ever where thread pools were imported later."""
    program = """
import os, sys, probekit
probekit.configure("t", buffer=":memory:", host_metrics=False, traces=1.0)
import concurrent.futures.thread
from opentelemetry import trace
child = os.fork()
if child == 0:
    span = trace.get_tracer("t").start_span("in the child")
    os._exit(7 if span.is_recording() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "7" == done.stdout.strip(), done.stderr
