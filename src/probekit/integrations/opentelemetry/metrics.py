"""Metrics of an OpenTelemetry SDK, committed to our buffer."""

import threading
from typing import Any

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)

from probekit.integrations.opentelemetry.commit import DESK, note_resource
from probekit.integrations.opentelemetry.points import Converter
from probekit.integrations.opentelemetry.spans import flushed
from probekit.model import Harvest
from probekit.notice import notice
from probekit.recording.registry import REGISTRY

# The buffer holds deltas and keeps the totals itself, over all processes.
DELTAS: "dict[type, AggregationTemporality]" = dict.fromkeys(
    (
        Counter,
        Histogram,
        ObservableCounter,
        ObservableGauge,
        ObservableUpDownCounter,
        UpDownCounter,
    ),
    AggregationTemporality.DELTA,
)


class DurableMetricExporter(MetricExporter):
    """Commits metrics to probekit's buffer; probekit's exporters deliver them.

    Durability:
        As for :class:`DurableSpanExporter`. What the SDK has not collected yet is the
        SDK's, and ends with the process.

    Threads:
        Any, one at a time; waits for one write.

    Example:
        >>> from opentelemetry.sdk.metrics import MeterProvider
        >>> from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        >>> reader = PeriodicExportingMetricReader(DurableMetricExporter())
        >>> MeterProvider([reader], shutdown_on_exit=False).shutdown()

    """

    def __init__(self) -> None:
        """Ask the SDK for deltas."""
        super().__init__(preferred_temporality=DELTAS)
        self._converter = Converter(REGISTRY.table)
        self._lock = threading.Lock()

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,
        **kwargs: Any,
    ) -> MetricExportResult:
        """Return SUCCESS when all points are written; never raises."""
        del timeout_millis, kwargs
        try:
            if not metrics_data.resource_metrics or DESK.is_muted():
                return MetricExportResult.SUCCESS
            note_resource(metrics_data.resource_metrics[0].resource)
            with self._lock:
                harvest = self._converter.harvest(metrics_data, REGISTRY.scrub)
            if DESK.commit(harvest):
                return MetricExportResult.SUCCESS
        except Exception as error:
            notice("otel-metrics", "metrics were not taken", error)
        return MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Deliver everything, as ``probekit.flush``; say whether it is delivered."""
        return flushed(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Write what is held, if it can be written now."""
        del timeout_millis, kwargs
        DESK.commit(Harvest())
