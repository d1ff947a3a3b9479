"""Takes metrics to a StatsD server; nobody answers, and there is no time in it.

DogStatsD takes events, too.

What a server receives it counts as of now, so windows older than ``max_age_s`` are not
sent (the shipper counts them). See ``transport`` for what UDP and TCP can lose.
"""

from typing import cast

from probekit.exporters.options import Options
from probekit.exporters.statsd.encoding import (
    SAMPLES,
    TAG_STYLES,
    VALUE_TYPES,
    StatsdLines,
    TagStyle,
    ValueType,
)
from probekit.exporters.transport.tcp import TcpTransport
from probekit.exporters.transport.udp import (
    DATAGRAM_BYTES,
    LARGEST_DATAGRAM_BYTES,
    UdpTransport,
    pack,
)
from probekit.exporters.urls import Target
from probekit.model import Batch
from probekit.ports import DeliveryContract

DEFAULT_PORT = 8125
MAX_AGE_S = 600.0


class Statsd:
    """Sends metrics as StatsD lines, packed into datagrams or over one connection.

    Args:
        target: ``statsd://host:8125?tags=dogstatsd&prefix=shop.``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        tags = cast("TagStyle", options.choice("tags", TAG_STYLES, "path"))
        datadog = tags == "dogstatsd"
        events = options.flag("events", default=datadog)
        if events and not datadog:
            raise options.refuse("events", "are DogStatsD's; add tags=dogstatsd")
        packed = options.integer("packed_bytes", 0, low=0, high=DATAGRAM_BYTES)
        self._encoding = StatsdLines(
            tags=tags,
            prefix=_prefix(options),
            samples=options.integer("samples", SAMPLES, low=2, high=10_000),
            histograms=cast(
                "ValueType", options.choice("histograms", VALUE_TYPES, "ms")
            ),
            packed_bytes=packed,
            events=events,
        )
        max_age_s = options.seconds("max_age_s", MAX_AGE_S, low=1.0, high=604_800.0)
        addresses = self._target.addresses(DEFAULT_PORT)
        self._tcp: TcpTransport | None = None
        self._udp: UdpTransport | None = None
        self._limit_bytes = 0
        if self._target.scheme == "statsd+tcp":
            self._tcp = TcpTransport.from_options(options, addresses)
            timeout_s = self._tcp.timeout_s
        else:
            timeout_s = options.seconds("timeout_s", 5.0, high=300.0)
            self._udp = UdpTransport(addresses, timeout_s=timeout_s)
            self._limit_bytes = options.integer(
                "datagram_bytes",
                DATAGRAM_BYTES,
                low=256,
                high=LARGEST_DATAGRAM_BYTES,
            )
        options.finish()
        self.contract = DeliveryContract(
            signals=frozenset({"metrics", "events"} if events else {"metrics"}),
            acknowledges=False,
            accepts_past=False,
            max_age_s=max_age_s,
            deadline_s=timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"Statsd({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Hand the batch's metrics to the system.

        Raises:
            Rejected: A line is too long or a number is not finite; nothing was sent.
            RetryLater: Nobody listens, or the network is down.

        """
        chunks = self._encoding.chunks(batch, self._limit_bytes)
        if not chunks:
            return
        if self._tcp is not None:
            self._tcp.send(b"\n".join(chunks) + b"\n")
        if self._udp is not None:
            self._udp.send(pack(chunks, self._limit_bytes), batch.key)

    def close(self) -> None:
        """Close the socket."""
        for transport in (self._tcp, self._udp):
            if transport is not None:
                transport.close()


def from_target(target: Target) -> Statsd:
    """Build from ``statsd://H:P``, ``statsd+udp://`` or ``statsd+tcp://``."""
    return Statsd(target)


def _prefix(options: Options) -> str:
    prefix = options.text("prefix")
    if (
        prefix
        and not prefix.replace(".", "").replace("_", "").replace("-", "").isalnum()
    ):
        raise options.refuse("prefix", "may hold letters, digits and . _ - only")
    return prefix if not prefix or prefix.endswith((".", "_")) else prefix + "."
