"""Lines to a far side that never answers: packed into datagrams, or over one stream."""

from collections.abc import Sequence

from probekit.errors import Rejected
from probekit.exporters.options import Options
from probekit.exporters.transport.tcp import TcpTransport
from probekit.exporters.transport.udp import (
    DATAGRAM_BYTES,
    LARGEST_DATAGRAM_BYTES,
    UdpTransport,
    pack,
)

_UDP_TIMEOUT_S = 5.0


class LineSender:
    """Sends lines over TCP or UDP.

    Args:
        transport: What carries them.
        limit_bytes: Longest datagram; unused over TCP.
    """

    __slots__ = ("_limit_bytes", "_transport", "timeout_s")

    def __init__(
        self,
        transport: "TcpTransport | UdpTransport",
        limit_bytes: int = DATAGRAM_BYTES,
    ) -> None:
        """Open nothing yet."""
        self._transport = transport
        self._limit_bytes = limit_bytes
        self.timeout_s = transport.timeout_s

    @classmethod
    def from_options(
        cls,
        options: Options,
        addresses: "tuple[tuple[str, int], ...]",
        *,
        udp: bool,
        tls: bool = False,
        datagram_bytes: int = DATAGRAM_BYTES,
    ) -> "LineSender":
        """Read what the URL says about the transport.

        Args:
            options: The query's reader.
            addresses: Where to.
            udp: True for datagrams (``timeout_s``, ``datagram_bytes``), False for a
                stream (``timeout_s``, ``connect_timeout_s`` and the TLS options).
            tls: Whether TLS is on without ``tls=``.
            datagram_bytes: Longest datagram where the URL does not say it.

        """
        if not udp:
            return cls(TcpTransport.from_options(options, addresses, tls=tls))
        timeout_s = options.seconds("timeout_s", _UDP_TIMEOUT_S, high=300.0)
        limit_bytes = options.integer(
            "datagram_bytes", datagram_bytes, low=256, high=LARGEST_DATAGRAM_BYTES
        )
        return cls(UdpTransport(addresses, timeout_s=timeout_s), limit_bytes)

    def send(
        self, lines: "Sequence[bytes]", key: str = "", *, packed: bool = True
    ) -> None:
        """Return when the system (UDP) or the far side's kernel (TCP) has them.

        Args:
            lines: Without line ends.
            key: Names the batch, so that a datagram is not sent twice in a retry.
            packed: False for one line a datagram.

        Raises:
            Rejected: A line is longer than a datagram; nothing was sent.
            RetryLater, Forbidden: See the transports.

        """
        if not lines:
            return
        if isinstance(self._transport, TcpTransport):
            self._transport.send(b"\n".join([*lines, b""]))
            return
        longest = max(map(len, lines))
        if longest > self._limit_bytes:
            raise Rejected(
                f"a record of {longest} bytes is longer than a datagram of "
                f"{self._limit_bytes} (datagram_bytes)",
            )
        datagrams = pack(lines, self._limit_bytes) if packed else lines
        self._transport.send(datagrams, key)

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()
