"""``wrap(exporter)``: the buffer in front of an exporter that you have already."""

from typing import Any

from opentelemetry.sdk.trace.export import SpanExporter

from probekit.errors import ConfigError
from probekit.integrations.opentelemetry.logs import DurableLogExporter, SdkLogExporter
from probekit.integrations.opentelemetry.metrics import DurableMetricExporter
from probekit.integrations.opentelemetry.spans import DurableSpanExporter
from probekit.integrations.opentelemetry.target import (
    LogTarget,
    MetricTarget,
    SpanTarget,
    Target,
)


def wrap(exporter: Any) -> Any:
    """Return an exporter that commits first; probekit then delivers to *exporter*.

    Give the result to the SDK where *exporter* stood. It becomes one of probekit's
    exporters, with a cursor of its own that survives restarts: what the far side did
    not take is sent again, in order, and ``probekit.flush`` covers it. It is sent
    everything of its signal that is in the buffer, whoever recorded it.

    Args:
        exporter: A span, metric or log exporter of OpenTelemetry's SDK. From now on
            it is called on probekit's threads only.

    Returns:
        A durable exporter of the same kind.

    Raises:
        ConfigError: It is none of the three; or it is to be handed to a shipping
            process (``shipper="process"``), which takes URLs only.

    Threads:
        Any; one at a time. Call it before or after ``probekit.configure``.

    """
    from probekit.runtime.client import add_exporter

    target, durable = _pair(exporter)
    add_exporter(target)
    return durable


def _pair(exporter: Any) -> "tuple[Target, Any]":
    if isinstance(exporter, type):
        raise ConfigError(f"wrap() wants an exporter, got the class {exporter!r}")
    if isinstance(exporter, SpanExporter):
        return SpanTarget(exporter), DurableSpanExporter()
    if hasattr(exporter, "_preferred_temporality"):
        return MetricTarget(exporter), DurableMetricExporter()
    if isinstance(exporter, SdkLogExporter):
        return LogTarget(exporter), DurableLogExporter()
    raise ConfigError(
        f"wrap() wants a span, metric or log exporter of OpenTelemetry's SDK, "
        f"not a {type(exporter).__name__}",
    )
