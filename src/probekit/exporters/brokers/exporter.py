"""Takes metrics, events and spans to a broker as OTLP messages.

One batch is up to three messages under one deadline, each acknowledged by the broker.
"""

import contextlib

from probekit.errors import ExportError
from probekit.exporters.brokers.loop import PrivateLoop
from probekit.exporters.brokers.messages import messages_of
from probekit.exporters.brokers.publisher import Publisher
from probekit.exporters.options import Options
from probekit.exporters.otlp.delivered import Delivered
from probekit.exporters.otlp.encoders import encoders_from
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.dial import CONNECT_TIMEOUT_S
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
from probekit.ports import DeliveryContract

MOST_RECORDS = 2000  # about half a megabyte: brokers take 1 MiB in one message
_FAREWELL_S = 0.2


class Broker:
    """Sends OTLP messages through a publisher.

    Args:
        target: Where to.
        options: The query's reader; finished here.
        publisher: Speaks to the broker.
        timeout_s: For one batch with all its steps, seconds.
        idempotent: Whether the broker recognises a key that comes again.
    """

    def __init__(
        self,
        target: Target,
        options: Options,
        publisher: Publisher,
        *,
        timeout_s: float,
        idempotent: bool,
    ) -> None:
        """Open nothing yet; raise ConfigError or MissingExtra."""
        self._target = target
        self._publisher = publisher
        self._encoders = encoders_from(options)
        options.finish()
        publisher.load()
        self._timeout_s = timeout_s
        self._loop = PrivateLoop(str(target), min(timeout_s, CONNECT_TIMEOUT_S))
        self._delivered = Delivered()
        self._is_connected = False
        self.contract = DeliveryContract(
            signals=frozenset(self._encoders.signals),
            idempotent=idempotent,
            cumulative=self._encoders.cumulative,
            max_records=MOST_RECORDS,
            deadline_s=timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Broker({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the broker has acknowledged all of *batch*.

        Raises:
            RetryLater, TooLarge, Forbidden, Rejected: See the broker's module; what a
                message before the failing one has delivered does not go again.

        """
        deadline = Deadline(self._timeout_s, str(self._target))
        rest = self._delivered.remaining(batch)
        done: list[Signal] = []
        self._is_connected = self._is_connected and self._loop.is_open
        try:
            self._loop.run(self._publish(batch, rest, done), deadline)
        except Exception as error:
            self.close()
            for signal in done:
                self._delivered.add(rest, signal)
            if isinstance(error, ExportError):
                raise
            raise self._publisher.translate(error) from None
        self._delivered.forget(batch)

    async def _publish(self, batch: Batch, rest: Batch, done: "list[Signal]") -> None:
        if self._is_connected and not await self._publisher.is_alive():
            self._is_connected = False
            await self._publisher.close()
        if not self._is_connected:
            await self._publisher.open()
            self._is_connected = True
        for message in messages_of(batch, rest, self._encoders):
            await self._publisher.publish(message)
            done.append(message.signal)

    def close(self) -> None:
        """Close the connection; takes 0.4 seconds at most."""
        if self._loop.is_open:
            farewell = Deadline(_FAREWELL_S, str(self._target))
            # Whoever does not answer a farewell is left anyway.
            with contextlib.suppress(Exception):
                self._loop.run(self._publisher.close(), farewell)
        self._loop.discard()


def timeout_from(options: Options) -> float:
    """Read ``timeout_s``."""
    return options.seconds("timeout_s", 10.0, high=300.0)
