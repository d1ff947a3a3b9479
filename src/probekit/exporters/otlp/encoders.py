"""What every OTLP exporter's URL says about its content: signals, buckets, totals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from probekit.exporters.options import Options
from probekit.exporters.otlp.logs import encode_logs
from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.exporters.otlp.traces import encode_traces
from probekit.model import Batch, Signal

SIGNALS: "tuple[Signal, ...]" = ("metrics", "events", "spans")
# Signal → OTLP's word for it.
KINDS: "Mapping[Signal, str]" = {
    "metrics": "metrics",
    "events": "logs",
    "spans": "traces",
}
TEMPORALITIES = ("delta", "cumulative")


@dataclass(frozen=True, slots=True)
class Encoders:
    """How each signal is encoded.

    Attributes:
        encode: Signal → a batch's request; empty when it has none of it.
        signals: Which are sent.
        cumulative: Whether counters and histograms are running totals.
    """

    encode: "dict[Signal, Callable[[Batch], bytes]]"
    signals: "tuple[Signal, ...]"
    cumulative: bool


def encoders_from(options: Options) -> Encoders:
    """Read ``signals``, ``bounds`` and ``temporality``."""
    wanted = options.words("signals", SIGNALS, SIGNALS)
    temporality = options.choice("temporality", TEMPORALITIES, "delta")
    cumulative = temporality == "cumulative"
    bounds = options.numbers("bounds", ()) or None
    return Encoders(
        {
            "metrics": MetricsEncoder(bounds, cumulative=cumulative).encode,
            "events": encode_logs,
            "spans": encode_traces,
        },
        cast("tuple[Signal, ...]", wanted),
        cumulative,
    )


def count_of(batch: Batch, signal: Signal) -> int:
    """Records of *signal* in *batch*."""
    if signal == "metrics":
        return sum(len(window.points) for window in batch.windows)
    return len(batch.events if signal == "events" else batch.spans)
