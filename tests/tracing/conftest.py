"""Traces in this process: one provider of the SDK, a registry that nobody drains."""

import pytest
from opentelemetry import context, trace

from probekit.recording.registry import REGISTRY, Registry
from probekit.tracing.connection import connect
from probekit.tracing.policy import plan_of


@pytest.fixture(autouse=True)
def _clean_context(monkeypatch):
    """No test leaves a current span, or a told cause, to another one."""
    monkeypatch.setattr("probekit.notice._last_told_s", {})
    token = context.attach(context.Context())
    yield
    context.detach(token)


@pytest.fixture
def registry():
    """A registry that nobody drains."""
    return Registry()


@pytest.fixture
def traces(registry):
    """Switch traces on for the test's registry; off again at its end."""
    made = []

    def switch_on(policy=1.0, *, registry=registry):
        for each in made:
            each.close()
        made[:] = [connect(registry, plan_of(policy), {"service.name": "test"})]
        return made[0]

    yield switch_on
    for each in made:
        each.close()


@pytest.fixture
def drained(registry):
    """The spans that are waiting, by name."""

    def spans():
        return {span.name: span for span in registry.drain().spans}

    return spans


@pytest.fixture
def tracer():
    """A tracer of the application's own."""
    return trace.get_tracer("shop")


@pytest.fixture
def served():
    """The process's own registry, which middleware and libraries record into."""
    REGISTRY.drain()
    yield REGISTRY
    REGISTRY.drain()
