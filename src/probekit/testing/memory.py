"""An exporter that keeps what it is given, and fails as it is told."""

import threading
from collections.abc import Iterable

from probekit.errors import RetryLater
from probekit.model import Batch, Event, Span, Window
from probekit.ports import DeliveryContract


class MemoryExporter:
    """Keeps batches in memory.

    Args:
        failures: Raised one after the other by the next sends, before any is taken.
        contract: The promise; the default acknowledges and takes everything.

    Attributes:
        batches: Those that were taken, in order.
        attempts: How often ``send`` was called.
        closed: Whether ``close`` was called.

    Threads:
        ``send`` from one thread; everything else from any.

    Example:
        >>> from probekit.errors import RetryLater
        >>> from probekit.model import Resource
        >>> exporter = MemoryExporter(failures=[RetryLater("not now")])
        >>> try:
        ...     exporter.send(Batch("0" * 32, Resource()))
        ... except RetryLater as error:
        ...     print(error)
        not now
        >>> exporter.attempts, exporter.batches
        (1, [])

    """

    def __init__(
        self,
        failures: "Iterable[Exception]" = (),
        *,
        contract: "DeliveryContract | None" = None,
    ) -> None:
        """Start empty."""
        self.contract = contract or DeliveryContract()
        self.batches: list[Batch] = []
        self.attempts = 0
        self.closed = False
        self._failures = list(failures)
        self._refusal: Exception | None = None
        self._gate = threading.Event()
        self._gate.set()
        self._changed = threading.Condition()

    def fail_with(self, *failures: Exception) -> None:
        """Let the next sends raise these, one each."""
        self._failures.extend(failures)

    def refuse(self, error: "Exception | None") -> None:
        """Let every send raise *error* from now on; None ends it."""
        self._refusal = error

    def hang(self) -> None:
        """Let sends wait until :meth:`go_on`, at most the contract's deadline."""
        self._gate.clear()

    def go_on(self) -> None:
        """End :meth:`hang`."""
        self._gate.set()

    def send(self, batch: Batch) -> None:
        """Keep *batch*, or fail as told."""
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
        if not self._gate.wait(self.contract.deadline_s):
            raise RetryLater("told to hang")
        if self._refusal is not None:
            raise self._refusal
        if self._failures:
            raise self._failures.pop(0)
        with self._changed:
            self.batches.append(batch)
            self._changed.notify_all()

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def wait_for(self, records: int, timeout_s: float = 5.0) -> bool:
        """Whether *records* records have arrived within *timeout_s*."""
        with self._changed:
            return self._changed.wait_for(
                lambda: sum(map(len, self.batches)) >= records,
                timeout_s,
            )

    @property
    def windows(self) -> "list[Window]":
        """All windows taken, in order."""
        return [window for batch in self.batches for window in batch.windows]

    @property
    def events(self) -> "list[Event]":
        """All events taken, in order."""
        return [event for batch in self.batches for event in batch.events]

    @property
    def spans(self) -> "list[Span]":
        """All spans taken, in order."""
        return [span for batch in self.batches for span in batch.spans]

    def total(self, name: str) -> float:
        """Sum of all deltas of counters called *name*; measurements of histograms."""
        return sum(
            point.value if isinstance(point.value, (int, float)) else point.value.count
            for window in self.windows
            for point in window.points
            if point.series.name == name
        )
