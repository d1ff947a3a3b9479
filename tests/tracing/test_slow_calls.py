"""Spans that instrumented functions leave at the end of a slow call."""

import time

import pytest

from probekit.tracing.policy import Tail


def test_a_slow_call_is_a_part_of_the_trace_that_runs(
    traces, registry, drained, tracer
):
    """Its times are those of the call, its parent is what was current at its end."""
    traces()
    with tracer.start_as_current_span("job") as job:
        registry.tracing.past("slow", {"code.function.name": "slow"}, 0.25, None)
        before_ns = time.time_ns()
    found = drained()["slow"]

    parent = job.get_span_context()
    assert f"{parent.trace_id:032x}" == found.trace_id
    assert f"{parent.span_id:016x}" == found.parent_span_id
    assert 250_000_000 == found.end_unix_ns - found.start_unix_ns
    assert found.end_unix_ns <= before_ns
    assert {"code.function.name": "slow"} == found.attributes


def test_a_slow_call_outside_any_trace_is_one_of_its_own(traces, registry, drained):
    """With its error."""
    traces()
    registry.tracing.past("slow", {}, 0.25, KeyError("k"))
    found = drained()["slow"]

    assert ("", 2) == (found.parent_span_id, found.status)
    assert "KeyError" == found.attributes["error.type"]


def test_a_slow_call_in_a_trace_that_is_not_recorded_leaves_none(
    traces, registry, drained, tracer
):
    """The sampler's word holds for it too."""
    traces(0.0)
    with tracer.start_as_current_span("job"):
        registry.tracing.past("inside", {}, 0.25, None)
    registry.tracing.past("alone", {}, 0.25, None)

    assert {} == drained()


@pytest.mark.parametrize("fails", [True, False])
def test_a_slow_call_is_kept_or_dropped_with_its_trace(
    traces, registry, drained, tracer, fails
):
    """By the tail's decision."""
    traces(Tail(share=0.0, slower_than_p99=False))
    with tracer.start_as_current_span("job") as job:
        registry.tracing.past("slow", {}, 0.01, KeyError() if fails else None)
        job.set_attribute("n", 1)

    assert fails == ("slow" in drained())
