"""One batch as up to three requests; the same for every way of carrying them.

What a request before the failing one has delivered does not go again; what a receiver
refused while it took the rest is told once all requests are through.
"""

from collections.abc import Callable, Collection

from probekit.errors import ExportError, Rejected
from probekit.exporters.otlp.answers import PartialSuccess
from probekit.exporters.otlp.delivered import Delivered
from probekit.exporters.otlp.encoders import SIGNALS, count_of
from probekit.exporters.transport.deadline import Deadline
from probekit.model import Batch, Signal
from probekit.notice import notice

Request = Callable[[Signal, Batch, Deadline], PartialSuccess]


class Requests:
    """Sends the signals of a batch, each by a request of its own.

    Args:
        signals: Which are sent.
        request: Sends one signal of a batch, when there is any of it; returns what the
            receiver says, its words without secrets, or raises an ExportError.
        where: The far side, for people.
    """

    __slots__ = ("_delivered", "_refused", "_request", "_signals", "_where")

    def __init__(
        self, signals: "Collection[Signal]", request: Request, where: str
    ) -> None:
        """Start with nothing delivered."""
        self._signals = [signal for signal in SIGNALS if signal in signals]
        self._request = request
        self._where = where
        self._delivered = Delivered()
        self._refused: list[tuple[int, str]] = []

    def send(self, batch: Batch, deadline: Deadline) -> None:
        """Return when the receiver has acknowledged all of *batch*.

        Raises:
            ExportError: From a request; what went before it does not go again.
            Rejected: With a count: that many records were refused, all others taken.

        """
        rest = self._delivered.remaining(batch)
        done: list[Signal] = []
        try:
            for signal in self._signals:
                self._note(signal, rest, self._request(signal, rest, deadline))
                done.append(signal)
        except ExportError:
            for signal in done:
                self._delivered.add(rest, signal)
            raise
        self._delivered.forget(batch)
        if self._refused:
            refused, self._refused = self._refused, []
            reasons = "; ".join(dict.fromkeys(reason for _, reason in refused))
            raise Rejected(reasons, sum(count for count, _ in refused))

    def _note(self, signal: Signal, batch: Batch, told: PartialSuccess) -> None:
        """Keep what a receiver refused while it took the rest; tell its warnings."""
        if told.rejected > 0:
            reason = told.message or f"{told.rejected} records of {signal} rejected"
            self._refused.append((min(told.rejected, count_of(batch, signal)), reason))
        elif told.message:
            notice("otlp-warning", f"{self._where} warns: {told.message[:200]!r}")
