"""Results to an NSCA daemon, packet by packet; it never answers.

The daemon speaks first: 128 random bytes and its clock. A packet is 720 bytes for old
daemons or 4304, with a checksum, plain or XORed with those bytes and a password. That
is no secrecy, and a wrong password looks like success.
"""

import socket
import struct
import zlib
from collections.abc import Sequence

from probekit.errors import RetryLater
from probekit.exporters.nagios.results import Result, cut
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.dial import Dialer
from probekit.exporters.transport.faults import as_export_error
from probekit.exporters.transport.tcp import push

ENCRYPTIONS = ("xor", "none")
LARGE_BYTES = 4304
OUTPUT_BYTES = {LARGE_BYTES: 4096, 720: 512}  # packet → room for the output
_GREETING = struct.Struct(">128sI")
_VERSION = 3
_HOST_BYTES, _SERVICE_BYTES = 64, 128


def packet(
    host: str, result: Result, time_unix_s: int, packet_bytes: int = 4304
) -> bytes:
    """One result as a packet, not encrypted; pure.

    Args:
        host: At most 63 bytes are used.
        result: What to say.
        time_unix_s: The daemon's own clock, from its greeting.
        packet_bytes: 4304, or 720 for old daemons.

    """
    room = OUTPUT_BYTES[packet_bytes]
    form = f">hxxIIh{_HOST_BYTES}s{_SERVICE_BYTES}s{room}sxx"
    fields = (
        time_unix_s,
        result.code,
        cut(host, _HOST_BYTES - 1),
        cut(result.service, _SERVICE_BYTES - 1),
        cut(result.output, room - 1),
    )
    checksum = zlib.crc32(struct.pack(form, _VERSION, 0, *fields))
    return struct.pack(form, _VERSION, checksum, *fields)


def xored(data: bytes, vector: bytes, password: bytes) -> bytes:
    """*data* XORed with the daemon's bytes and then with the password; pure.

    Example:
        >>> xored(xored(b"text", b"ab", b"pw"), b"ab", b"pw")
        b'text'

    """
    for word in (vector, password):
        if word:
            mask = (word * (len(data) // len(word) + 1))[: len(data)]
            mixed = int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")
            data = mixed.to_bytes(len(data), "big")
    return data


class Nsca:
    """Sends packets: large ones all over one connection, old ones each over its own.

    Args:
        dialer: Where to.
        password: The daemon's, with ``xor``; None for no encryption.
        packet_bytes: A key of :data:`OUTPUT_BYTES`.
        timeout_s: For one batch, seconds.
    """

    __slots__ = ("_dialer", "_packet_bytes", "_password", "timeout_s")

    def __init__(
        self,
        dialer: Dialer,
        *,
        password: "bytes | None",
        packet_bytes: int,
        timeout_s: float,
    ) -> None:
        """Open nothing yet."""
        self._dialer = dialer
        self._password = password
        self._packet_bytes = packet_bytes
        self.timeout_s = timeout_s

    def send(self, host: str, results: "Sequence[Result]") -> None:
        """Return when the daemon has read every packet.

        Raises:
            RetryLater: It cannot be reached, or broke the connection.

        """
        deadline = Deadline(self.timeout_s, self._dialer.where)
        # A daemon tells an old packet by the end of the connection behind it.
        share = len(results) if self._packet_bytes == LARGE_BYTES else 1
        for start in range(0, len(results), share):
            self._deliver(host, results[start : start + share], deadline)

    def _deliver(
        self, host: str, results: "Sequence[Result]", deadline: Deadline
    ) -> None:
        connection = self._dialer.dial(deadline)
        try:
            vector, time_s = self._greeting(connection, deadline)
            payload = b"".join(
                self._encrypted(
                    packet(host, result, time_s, self._packet_bytes), vector
                )
                for result in results
            )
            push(connection, payload, deadline)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(deadline.left_s())
            connection.recv(1)  # it closes when it has read all, and says nothing
        except OSError as error:
            raise as_export_error(error, self._dialer.where) from None
        finally:
            connection.close()

    def _encrypted(self, plain: bytes, vector: bytes) -> bytes:
        if self._password is None:
            return plain
        return xored(plain, vector, self._password)

    def _greeting(
        self, connection: socket.socket, deadline: Deadline
    ) -> "tuple[bytes, int]":
        held = b""
        while len(held) < _GREETING.size:
            connection.settimeout(deadline.left_s())
            data = connection.recv(_GREETING.size - len(held))
            if not data:
                raise RetryLater(f"{self._dialer.where} closed without a greeting")
            held += data
        vector, time_s = _GREETING.unpack(held)
        return vector, time_s

    def close(self) -> None:
        """Nothing is kept open between batches."""
