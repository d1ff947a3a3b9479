"""Takes events, and metrics where wanted, to a syslog server; nobody answers."""

from typing import cast

from probekit.exporters.syslog.messages import (
    FACILITIES,
    SyslogMessages,
    as_lines,
    framed,
)
from probekit.exporters.transport.lines import LineSender
from probekit.exporters.transport.tcp import TcpTransport
from probekit.exporters.urls import Target
from probekit.model import Batch, Signal
from probekit.ports import DeliveryContract

DEFAULT_PORT = 514
DEFAULT_TLS_PORT = 6514
# Receivers should take 2,048 bytes and mostly take 8,192; a stack trace needs them.
DATAGRAM_BYTES = 8192
FRAMINGS = {"octets": framed, "lines": as_lines}
SIGNALS: "tuple[Signal, ...]" = ("events", "metrics")


class Syslog:
    """Sends syslog messages.

    Args:
        target: ``syslog://host:514`` (UDP), ``syslog+tcp://host:514``,
            ``syslog+tls://host:6514``; text or parsed.
    """

    def __init__(self, target: "Target | str") -> None:
        """Open nothing yet; raise ConfigError for a target that cannot be used."""
        self._target = Target.parse(target) if isinstance(target, str) else target
        options = self._target.options()
        signals = cast(
            "tuple[Signal, ...]", options.words("signals", SIGNALS, ("events",))
        )
        self._encoding = SyslogMessages(
            facility=options.choice("facility", tuple(FACILITIES), "user"),
            metrics="metrics" in signals,
        )
        tls = self._target.scheme == "syslog+tls"
        places = self._target.addresses(DEFAULT_TLS_PORT if tls else DEFAULT_PORT)
        self._framed = framed
        self._stream: TcpTransport | None = None
        self._datagrams: LineSender | None = None
        if self._target.scheme in {"syslog+tcp", "syslog+tls"}:
            framing = options.choice("framing", tuple(FRAMINGS), "octets")
            self._framed = FRAMINGS[framing]
            self._stream = TcpTransport.from_options(options, places, tls=tls)
            timeout_s = self._stream.timeout_s
        else:
            self._datagrams = LineSender.from_options(
                options, places, udp=True, datagram_bytes=DATAGRAM_BYTES
            )
            timeout_s = self._datagrams.timeout_s
        options.finish()
        self.contract = DeliveryContract(
            signals=frozenset(signals),
            acknowledges=False,
            max_records=1000,
            deadline_s=timeout_s,
        )

    def __repr__(self) -> str:
        """The class and where it sends to."""
        return f"Syslog({str(self._target)!r})"

    def send(self, batch: Batch) -> None:
        """Return when the far side's kernel (UDP: the system) has the messages.

        Raises:
            RetryLater, Forbidden: See the transports.
            Rejected: A message is longer than a datagram; nothing was sent.

        """
        messages = self._encoding.messages(batch)
        if self._datagrams is not None:
            self._datagrams.send(messages, batch.key, packed=False)
        if self._stream is not None and messages:
            self._stream.send(self._framed(messages))

    def close(self) -> None:
        """Close the socket."""
        for transport in (self._stream, self._datagrams):
            if transport is not None:
                transport.close()


def from_target(target: Target) -> Syslog:
    """Build from ``syslog://``, ``syslog+udp://``, ``+tcp://`` or ``+tls://``."""
    return Syslog(target)
