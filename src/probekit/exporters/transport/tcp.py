"""A byte stream over one lasting TCP connection; the far side never says "I have it".

What can be done without an answer is done: a connection that the far side has closed
is noticed before each write; after it we wait until the far side's kernel has
confirmed every byte, and look once more whether it was thrown away. What can still be
lost is what the receiving program had not read or stored when it died; what can be
repeated is the part of a batch that arrived before a connection broke.
"""

import socket
import time

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import ExportError
from probekit.exporters.options import Options
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.dial import (
    CONNECT_TIMEOUT_S,
    Dialer,
    Line,
    unacknowledged_bytes,
)
from probekit.exporters.transport.faults import as_export_error
from probekit.exporters.transport.tls import tls_from

CHUNK_BYTES = 65536


class TcpTransport:
    """Sends bytes over one connection that it keeps open.

    Args:
        dialer: Where to.
        timeout_s: For one send with all of its steps, seconds.
        clock: Only its monotonic reading is used.
    """

    __slots__ = ("_clock", "_dialer", "_line", "timeout_s")

    def __init__(
        self,
        dialer: Dialer,
        *,
        timeout_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Open nothing yet."""
        self._dialer = dialer
        self._line = Line(dialer)
        self._clock = clock
        self.timeout_s = timeout_s

    @classmethod
    def from_options(
        cls,
        options: Options,
        addresses: "tuple[tuple[str, int], ...]",
        *,
        tls: bool = False,
    ) -> "TcpTransport":
        """Read ``timeout_s``, ``connect_timeout_s`` and the TLS options."""
        timeout_s = options.seconds("timeout_s", 10.0, high=300.0)
        connect_s = options.seconds("connect_timeout_s", CONNECT_TIMEOUT_S, high=60.0)
        dialer = Dialer(
            addresses,
            tls=tls_from(options, default=tls),
            connect_timeout_s=connect_s,
        )
        return cls(dialer, timeout_s=timeout_s)

    def send(self, payload: bytes) -> None:
        """Return when the far side's kernel has confirmed all of *payload*.

        Raises:
            RetryLater: The far side cannot be reached, is gone, or does not read.
            Forbidden: A certificate was refused.

        """
        deadline = Deadline(self.timeout_s, self._dialer.where, clock=self._clock)
        connection, _ = self._line.open(deadline)
        try:
            push(connection, payload, deadline)
            self._settle(connection, deadline)
        except OSError as error:
            self._line.close()
            raise as_export_error(error, self._dialer.where) from None
        except ExportError:
            self._line.close()
            raise

    def _settle(self, connection: socket.socket, deadline: Deadline) -> None:
        pause_s = 0.0002
        while unacknowledged_bytes(connection):
            time.sleep(min(pause_s, deadline.left_s()))
            pause_s = min(pause_s * 2, 0.05)
        error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:  # a reset that answered our bytes: nobody will read them
            raise OSError(error, "the far side threw the data away")

    def close(self) -> None:
        """Close the connection."""
        self._line.close()


def push(connection: socket.socket, payload: bytes, deadline: Deadline) -> None:
    """Write all of *payload*; each write gets what is left of the deadline."""
    rest = memoryview(payload)
    while rest:
        connection.settimeout(deadline.left_s())
        rest = rest[connection.send(rest[:CHUNK_BYTES]) :]
