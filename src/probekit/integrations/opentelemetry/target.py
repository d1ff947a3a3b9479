"""Exporters of OpenTelemetry's SDK as exporters of ours: what ``wrap`` delivers to.

They answer SUCCESS or FAILURE and do not tell a moment's trouble from a refusal for
ever; so a failure is tried again until retention gives the data up.
"""

from abc import ABC, abstractmethod
from typing import Any

from probekit.errors import RetryLater
from probekit.integrations.opentelemetry.rebuild import (
    CUMULATIVE,
    logs_of,
    metrics_of,
    spans_of,
)
from probekit.model import Batch, Signal
from probekit.ports import DeliveryContract
from probekit.scrub import redacted

_DEADLINE_S = 30.0
_MOST_RECORDS = 512  # the batch size that the SDK itself would use


class Target(ABC):
    """What the three kinds share.

    Attributes:
        name: The cursor's, the same after each restart: kind, class and endpoint.
        contract: Acknowledged, not idempotent.
    """

    signal: "Signal" = "spans"

    def __init__(self, exporter: Any) -> None:
        """Deliver to *exporter*."""
        self._exporter = exporter
        self.name = _name(self.signal, exporter)
        self.contract = DeliveryContract(
            signals=frozenset({self.signal}),
            cumulative=self._is_cumulative(),
            max_records=_MOST_RECORDS,
            deadline_s=_DEADLINE_S,
        )

    def __repr__(self) -> str:
        """The name."""
        return f"{type(self).__name__}({self.name!r})"

    def send(self, batch: Batch) -> None:
        """Return when the exporter says SUCCESS.

        Raises:
            RetryLater: It said FAILURE, or raised.

        """
        try:
            result = self._exporter.export(self._rebuilt(batch))
        except Exception as error:
            raise RetryLater(f"{self.name}: {type(error).__name__}: {error}") from error
        if getattr(result, "name", "") != "SUCCESS":
            raise RetryLater(f"{self.name} answered {getattr(result, 'name', result)}")

    def close(self) -> None:  # noqa: B027 - nothing to do is what it does
        """Do nothing: the exporter is the application's, and may be used again."""

    @abstractmethod
    def _rebuilt(self, batch: Batch) -> Any:
        """Records of *batch* as the SDK has them."""

    def _is_cumulative(self) -> bool:
        return False


class SpanTarget(Target):
    """A span exporter."""

    signal = "spans"

    def _rebuilt(self, batch: Batch) -> Any:
        return spans_of(batch)


class MetricTarget(Target):
    """A metric exporter, with deltas or totals as it prefers."""

    signal = "metrics"

    def _rebuilt(self, batch: Batch) -> Any:
        return metrics_of(batch, self._preferences())

    def _is_cumulative(self) -> bool:
        return self._preferences().get("Histogram", CUMULATIVE) == CUMULATIVE

    def _preferences(self) -> "dict[str, int]":
        """Kind of instrument → temporality; the SDK's default is cumulative."""
        preferred = getattr(self._exporter, "_preferred_temporality", None) or {}
        return {kind.__name__: int(value) for kind, value in preferred.items()}


class LogTarget(Target):
    """A log exporter."""

    signal = "events"

    def _rebuilt(self, batch: Batch) -> Any:
        return logs_of(batch)


def _name(signal: Signal, exporter: Any) -> str:
    kind = type(exporter)
    endpoint = getattr(exporter, "_endpoint", None)
    where = ""
    if isinstance(endpoint, str):
        where = f"({redacted(endpoint).partition('?')[0]})"
    return f"opentelemetry:{signal}:{kind.__qualname__}{where}"
