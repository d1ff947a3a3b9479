"""Takes metrics and events to collectd, or to a server that listens for its packets.

Nobody answers. Sums are totals, so what was lost heals with the next window.
"""

from collections.abc import Callable

from probekit.exporters.collectd.packets import LARGEST_PACKET_BYTES, CollectdPackets
from probekit.exporters.figures import learn
from probekit.exporters.transport.udp import LARGEST_DATAGRAM_BYTES, UdpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Snapshot
from probekit.ports import DeliveryContract

DEFAULT_PORT = 25826
_SMALLEST_BYTES = 1024  # the longest identifier and message stand in one packet


class Collectd:
    """Sends collectd's binary packets.

    Args:
        target: ``collectd://user:password@host:25826``; text or parsed. With a user,
            packets are signed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        timeout_s = options.seconds("timeout_s", 5.0, high=300.0)
        self._encoding = CollectdPackets(
            user=self._target.user,
            password=self._target.password,
            limit_bytes=options.integer(
                "datagram_bytes",
                LARGEST_PACKET_BYTES,
                low=_SMALLEST_BYTES,
                high=LARGEST_DATAGRAM_BYTES,
            ),
        )
        self._transport = UdpTransport(
            self._target.addresses(DEFAULT_PORT), timeout_s=timeout_s
        )
        options.finish()
        self.contract = DeliveryContract(
            signals=frozenset({"metrics", "events"}),
            acknowledges=False,
            cumulative=True,
            deadline_s=timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to; no secrets."""
        return f"Collectd({str(self._target)!r})"

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Give every series its name in the order of first appearance."""
        learn(snapshot, self._encoding.learn)

    def send(self, batch: Batch) -> None:
        """Hand every packet to the system.

        Raises:
            Rejected: A number is none that collectd has; nothing was sent.
            RetryLater: Nobody listens, or the network is down.

        """
        self._transport.send(self._encoding.packets(batch), batch.key)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()


def from_target(target: Target) -> Collectd:
    """Build from ``collectd://H:P``."""
    return Collectd(target)
