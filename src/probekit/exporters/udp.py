"""JSON over UDP: one document a datagram, within a stated size.

A histogram with too many buckets for a datagram goes with fewer, wider ones. Any other
record whose document is longer is refused before anything is sent, so that it becomes a
dead letter and its neighbours go; it is never cut. What gets lost on the way is known
to the receiver: counters by their running totals, events and spans by their numbers.
"""

from probekit.errors import Rejected
from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.transport.udp import (
    DATAGRAM_BYTES,
    LARGEST_DATAGRAM_BYTES,
    UdpTransport,
)
from probekit.exporters.urls import Target
from probekit.model import Batch
from probekit.ports import DeliveryContract


class Udp:
    """Sends one JSON document a datagram.

    Args:
        target: ``udp://host:port?datagram_bytes=1432``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        timeout_s = options.seconds("timeout_s", 5.0, high=300.0)
        self._limit_bytes = options.integer(
            "datagram_bytes", DATAGRAM_BYTES, low=256, high=LARGEST_DATAGRAM_BYTES
        )
        self._transport = UdpTransport(
            self._target.addresses(None), timeout_s=timeout_s
        )
        options.finish()
        self._encoding = JsonLines(self._limit_bytes, numbered=True)
        self.contract = DeliveryContract(acknowledges=False, deadline_s=timeout_s)

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"Udp({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Hand every document to the system.

        Raises:
            Rejected: A document is longer than a datagram; nothing was sent.
            RetryLater: Nobody listens, or the network is down.

        """
        documents = self._encoding.lines(batch)
        longest = max(map(len, documents), default=0)
        if longest > self._limit_bytes:
            raise Rejected(
                f"a record of {longest} bytes is longer than a datagram of "
                f"{self._limit_bytes} (datagram_bytes)",
            )
        self._transport.send(documents, batch.key)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()


def from_target(target: Target) -> Udp:
    """Build from ``udp://H:P``."""
    return Udp(target)
