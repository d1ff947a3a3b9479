"""Takes metrics, events and spans to an OTLP receiver over HTTP, protobuf or JSON.

One batch is up to three POSTs under one deadline. The far side acknowledges each; a
200 from somebody who is no OTLP receiver (a login page) is no acknowledgement.
"""

import zlib

from probekit.errors import ExportError, Rejected, RetryLater
from probekit.exporters.otlp.answers import (
    JSON,
    PROTOBUF,
    PartialSuccess,
    is_acknowledgement,
    partial_success,
    status_words,
)
from probekit.exporters.otlp.delivered import Delivered
from probekit.exporters.otlp.encoders import (
    KINDS,
    SIGNALS,
    count_of,
    encoders_from,
)
from probekit.exporters.otlp.json_form import as_json
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
from probekit.notice import notice
from probekit.ports import DeliveryContract

DEFAULT_PORT = 4318
MOST_RECORDS = 4000
PATHS: "dict[Signal, str]" = {
    "metrics": "/v1/metrics",
    "events": "/v1/logs",
    "spans": "/v1/traces",
}
_GZIP_LEVEL = 3  # a third of the time of level 6 for a few percent more bytes
_GZIP_WINDOW = 31  # zlib's code for a gzip header


class Otlp:
    """Sends OTLP over HTTP.

    Args:
        target: ``otlp://host:4318?tls=1&gzip=0&header.x-tenant=a&signals=metrics``;
            text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            tls=self._target.scheme.endswith("+https"),
        )
        self._gzip = options.flag("gzip", default=True)
        self._json = self._target.scheme.startswith("otlp+json")
        found = encoders_from(options)
        self._encoders = found.encode
        options.finish()
        self._delivered = Delivered()
        self._refused: list[tuple[int, str]] = []
        self.contract = DeliveryContract(
            signals=frozenset(found.signals),
            cumulative=found.cumulative,
            max_records=MOST_RECORDS,
            deadline_s=self._transport.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Otlp({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the receiver has acknowledged all of *batch*.

        Raises:
            RetryLater, TooLarge, Forbidden: See ``transport.answer.VERDICTS``; what a
                request before the failing one has delivered does not go again.
            Rejected: With a count: that many records were refused, all others were
                taken. Without: the receiver refuses one of the requests as a whole.

        """
        deadline = self._transport.deadline()
        rest = self._delivered.remaining(batch)
        done: list[Signal] = []
        try:
            for signal in SIGNALS:
                if signal in self.contract.signals:
                    self._send(signal, rest, deadline)
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

    def _send(self, signal: Signal, batch: Batch, deadline: Deadline) -> None:
        body = self._encoders[signal](batch)
        if not body:
            return
        headers = {"Content-Type": JSON if self._json else PROTOBUF}
        if self._json:
            body = as_json(KINDS[signal], body)
        if self._gzip:
            body = _gzipped(body)
            headers["Content-Encoding"] = "gzip"
        answer = self._transport.exchange(
            "POST", PATHS[signal], body, headers, deadline=deadline
        )
        error = self._transport.refusal(
            answer, records=count_of(batch, signal), words=status_words(answer)
        )
        if isinstance(error, Rejected) and error.count is not None:
            self._refused.append((error.count, error.reason))
        elif error is not None:
            raise error
        elif not is_acknowledgement(answer):
            raise RetryLater(
                f"{self._transport.where} answered {answer.status} with "
                f"{answer.content_type or 'no content type'}: no OTLP receiver",
            )
        else:
            self._note(signal, partial_success(answer))

    def _note(self, signal: Signal, told: PartialSuccess) -> None:
        """Keep what a receiver refused while it took the rest; tell its warnings."""
        words = self._transport.without_secrets(told.message)
        if told.rejected > 0:
            reason = words or f"{told.rejected} records of {PATHS[signal]} rejected"
            self._refused.append((told.rejected, reason))
        elif words:
            notice("otlp-warning", f"{self._transport.where} warns: {words[:200]!r}")

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_target(target: Target) -> Otlp:
    """Build from ``otlp://H:P``, ``otlp+http://``, ``otlp+json://`` or ``+https``."""
    return Otlp(target)


def _gzipped(body: bytes) -> bytes:
    """*body* compressed; equal bodies stay equal, for no time is written into it."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return compressor.compress(body) + compressor.flush()
