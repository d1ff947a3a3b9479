"""OpenTelemetry's own instrumentations, the real packages: found, joined, let go."""

import jinja2
import pytest
from opentelemetry import trace

from probekit.integrations import libraries
from probekit.integrations.libraries import contrib
from probekit.recording.registry import REGISTRY
from probekit.tracing.connection import connect
from probekit.tracing.policy import plan_of


@pytest.fixture
def on(recorded):
    """Traces on; contrib's packages are looked up anew."""
    contrib._found.cache_clear()
    connection = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})
    yield
    connection.close()
    contrib._found.cache_clear()


def rendered():
    """The spans of one template that is rendered inside a span of the application's."""
    template = jinja2.Environment(autoescape=True).from_string("Hello {{ name }}")
    with trace.get_tracer("shop").start_as_current_span("page"):
        assert "Hello you" == template.render(name="you")
    return {span.name: span for span in REGISTRY.drain().spans}


def test_a_library_that_is_not_ours_is_recorded_by_the_package_that_is_installed(on):
    """Found by its entry point, it records into our provider."""
    before = rendered()
    names = libraries.instrument_libraries("jinja2")
    during = rendered()
    libraries.uninstall()
    after = rendered()

    assert ("jinja2",) == names
    assert {"page"} == set(before) == set(after)
    assert {"page", "jinja2.compile", "jinja2.render"} == set(during)
    assert during["page"].span_id == during["jinja2.render"].parent_span_id
    assert "opentelemetry.instrumentation.jinja2" == during["jinja2.render"].scope


def test_a_package_for_what_is_ours_is_left_alone(on):
    """Both would record every request."""
    assert "flask" in {
        point.name for point in contrib.entry_points(group=contrib._GROUP)
    }
    assert "flask" not in contrib.names()


def test_a_package_that_the_environment_switches_off_stays_off(on, monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "pika, jinja2")

    assert "jinja2" not in libraries.instrument_libraries(exclude="sqlite3")
