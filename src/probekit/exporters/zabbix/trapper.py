"""Asks a Zabbix trapper: one connection, one request, one answer."""

import socket

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import RetryLater
from probekit.exporters.options import Options
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.dial import CONNECT_TIMEOUT_S, Dialer
from probekit.exporters.transport.faults import as_export_error
from probekit.exporters.transport.tcp import push
from probekit.exporters.transport.tls import tls_from
from probekit.exporters.zabbix.wire import HEADER_BYTES, Outcome, body_bytes, outcome


class Trapper:
    """Sends requests to the first of several servers or proxies that answers.

    Args:
        dialer: Where to.
        timeout_s: For all requests of one batch together, seconds.
        clock: Only its monotonic reading is used.
    """

    __slots__ = ("_clock", "_dialer", "timeout_s")

    def __init__(
        self, dialer: Dialer, *, timeout_s: float, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Open nothing yet."""
        self._dialer = dialer
        self._clock = clock
        self.timeout_s = timeout_s

    @classmethod
    def from_options(
        cls, options: Options, addresses: "tuple[tuple[str, int], ...]"
    ) -> "Trapper":
        """Read ``timeout_s``, ``connect_timeout_s`` and the TLS options."""
        timeout_s = options.seconds("timeout_s", 10.0, high=300.0)
        connect_s = options.seconds("connect_timeout_s", CONNECT_TIMEOUT_S, high=60.0)
        tls = tls_from(options, default=False)
        return cls(
            Dialer(addresses, tls=tls, connect_timeout_s=connect_s),
            timeout_s=timeout_s,
        )

    def deadline(self) -> Deadline:
        """A deadline for several requests, from now."""
        return Deadline(self.timeout_s, self._dialer.where, clock=self._clock)

    def ask(self, request: bytes, deadline: Deadline) -> Outcome:
        """Send *request* and return what the server made of it.

        Raises:
            RetryLater: No answer in time, or none of a trapper.
            Forbidden: A certificate was refused.

        """
        connection = self._dialer.dial(deadline)
        try:
            push(connection, request, deadline)
            header = self._read(connection, HEADER_BYTES, deadline)
            return outcome(self._read(connection, body_bytes(header), deadline))
        except OSError as error:
            raise as_export_error(error, self._dialer.where) from None
        finally:
            connection.close()

    def _read(self, connection: socket.socket, size: int, deadline: Deadline) -> bytes:
        held = b""
        while len(held) < size:
            connection.settimeout(deadline.left_s())
            data = connection.recv(size - len(held))
            if not data:
                raise RetryLater(f"{self._dialer.where} closed without an answer")
            held += data
        return held
