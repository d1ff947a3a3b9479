"""What a broker is given: one OTLP request a signal, under a key that stays."""

from collections.abc import Iterator
from dataclasses import dataclass

from probekit.exporters.otlp.encoders import KINDS, SIGNALS, Encoders
from probekit.model import Batch, Signal

CONTENT_TYPE = "application/x-protobuf"
SIGNAL_PLACE = "{signal}"


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a stream, subject or topic.

    Attributes:
        key: The batch's key and the kind; the same whenever the same records come.
        signal: As the model calls it.
        kind: OTLP's word: ``metrics``, ``logs``, ``traces``.
        body: An OTLP export request, protobuf.
    """

    key: str
    signal: Signal
    kind: str
    body: bytes

    def place(self, name: str) -> str:
        """*name* with the kind in place of ``{signal}``.

        Example:
            >>> Message("k", "events", "logs", b"").place("otlp_{signal}")
            'otlp_logs'

        """
        return name.replace(SIGNAL_PLACE, self.kind)


def messages_of(batch: Batch, rest: Batch, encoders: Encoders) -> "Iterator[Message]":
    """The messages for *rest*, one after another as they are asked for.

    Args:
        batch: As it was handed to us; its key names the messages.
        rest: What of it the broker does not have yet.
        encoders: From the exporter's URL.

    """
    for signal in SIGNALS:
        if signal in encoders.signals:
            body = encoders.encode[signal](rest)
            if body:
                kind = KINDS[signal]
                yield Message(f"{batch.key}:{kind}", signal, kind, body)
