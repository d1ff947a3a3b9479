"""Takes events, and metrics where wanted, to Loki; each request is acknowledged.

Loki drops an entry that it has already (the same stream, time and line), so nothing is
double after a retry.
"""

import zlib
from collections.abc import Mapping
from typing import cast

from probekit.errors import TooLarge
from probekit.exporters.loki.streams import LokiStreams
from probekit.exporters.transport.answer import VERDICTS, Verdict, from_stranger
from probekit.exporters.transport.http import HttpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
from probekit.ports import DeliveryContract

DEFAULT_PORT = 3100
PATH = "/loki/api/v1/push"
# A server error of Loki is an ingester that is not ready.
LOKI_VERDICTS: "Mapping[int, Verdict]" = {**VERDICTS, 500: "retry"}
# Loki's parts take 4 MiB from one another, and answer 500 to more.
LARGEST_BODY_BYTES = 3_000_000
SIGNALS: "tuple[Signal, ...]" = ("events", "metrics")
_GZIP_LEVEL, _GZIP_WINDOW = 3, 31


class Loki:
    """Pushes JSON lines.

    Args:
        target: ``loki://host:3100?label.env=prod&header.X-Scope-OrgID=a``; text or
            parsed. A path stands before ``/loki/api/v1/push``.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        self._transport = HttpTransport.from_options(
            self._target,
            options,
            default_port=DEFAULT_PORT,
            tls=self._target.scheme == "loki+https",
            base_path=self._target.path.removesuffix(PATH),
            verdicts=LOKI_VERDICTS,
        )
        signals = cast(
            "tuple[Signal, ...]", options.words("signals", SIGNALS, ("events",))
        )
        self._gzip = options.flag("gzip", default=True)
        self._streams = LokiStreams(options.prefixed("label."))
        options.finish()
        self.contract = DeliveryContract(
            signals=frozenset(signals),
            idempotent=True,
            max_records=1000,
            deadline_s=self._transport.timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Loki({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when Loki has acknowledged all entries.

        Raises:
            RetryLater, TooLarge, Forbidden, Rejected: See :data:`LOKI_VERDICTS`.

        """
        body = self._streams.body(batch)
        if not body:
            return
        if len(body) > LARGEST_BODY_BYTES:
            raise TooLarge(f"a push of {len(body)} bytes is more than Loki takes")
        headers = {"Content-Type": "application/json"}
        if self._gzip:
            compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            body = compressor.compress(body) + compressor.flush()
            headers["Content-Encoding"] = "gzip"
        answer = self._transport.post(PATH, body, headers)
        error = from_stranger(answer, self._transport.where)
        if error is not None:
            raise error

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


def from_target(target: Target) -> Loki:
    """Build from ``loki://H:P`` or ``loki+https://H:P``."""
    return Loki(target)
