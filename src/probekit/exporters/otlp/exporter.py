"""Takes metrics, events and spans to an OTLP receiver over HTTP, protobuf or JSON.

One batch is up to three POSTs under one deadline. The far side acknowledges each; a
200 from somebody who is no OTLP receiver (a login page) is no acknowledgement.
"""

import zlib
from dataclasses import replace

from probekit.errors import Rejected, RetryLater
from probekit.exporters.otlp.answers import (
    JSON,
    PROTOBUF,
    PartialSuccess,
    is_acknowledgement,
    partial_success,
    status_words,
)
from probekit.exporters.otlp.encoders import KINDS, count_of, encoders_from
from probekit.exporters.otlp.json_form import as_json
from probekit.exporters.otlp.requests import Requests
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
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
        self._requests = Requests(found.signals, self._request, self._transport.where)
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
        self._requests.send(batch, self._transport.deadline())

    def _request(
        self, signal: Signal, batch: Batch, deadline: Deadline
    ) -> PartialSuccess:
        body = self._encoders[signal](batch)
        if not body:
            return PartialSuccess()
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
            return PartialSuccess(error.count, error.reason)
        if error is not None:
            raise error
        if not is_acknowledgement(answer):
            raise RetryLater(
                f"{self._transport.where} answered {answer.status} with "
                f"{answer.content_type or 'no content type'}: no OTLP receiver",
            )
        told = partial_success(answer)
        return replace(told, message=self._transport.without_secrets(told.message))

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
