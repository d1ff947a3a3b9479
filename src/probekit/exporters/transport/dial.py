"""Opens TCP connections: several hosts, several addresses, one deadline.

A name is looked up anew for each connection, so a backend that moved is found.
"""

import os
import socket
import ssl
import sys
from collections.abc import Sequence

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import ExportError, RetryLater
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.descriptor import Identity, identity
from probekit.exporters.transport.faults import as_export_error
from probekit.exporters.transport.resolve import Address, Resolver
from probekit.exporters.transport.tls import Tls

CONNECT_TIMEOUT_S = 3.0
_DRAIN_LIMIT_BYTES = 65536


class Dialer:
    """Opens connections to the first of several hosts that answers.

    The host that answered last is tried first next time.

    Args:
        addresses: (host, port), at least one.
        tls: How to speak TLS; None for plain text.
        connect_timeout_s: For look-up, connection and handshake together, seconds.
        clock: Only its monotonic reading is used.
    """

    __slots__ = ("_addresses", "_clock", "_resolver", "connect_timeout_s", "tls")

    def __init__(
        self,
        addresses: "Sequence[tuple[str, int]]",
        *,
        tls: "Tls | None" = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Remember where to; nothing is opened or looked up."""
        self._addresses = list(addresses)
        self._resolver = Resolver(socket.SOCK_STREAM)
        self._clock = clock
        self.tls = tls
        self.connect_timeout_s = connect_timeout_s

    @property
    def host(self) -> "tuple[str, int]":
        """The host and port that is tried first."""
        return self._addresses[0]

    @property
    def where(self) -> str:
        """The far side in words: ``127.0.0.1:4318``."""
        host, port = self.host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def dial(self, deadline: Deadline) -> socket.socket:
        """Open a connection, ready for data, without a delay for small writes.

        Raises:
            RetryLater: No host could be reached in time.
            Forbidden: A certificate was refused.

        """
        failure: ExportError = RetryLater("no host is configured")
        step = deadline.within(self.connect_timeout_s)
        for tried in range(len(self._addresses)):
            try:
                return self._dial_host(step, len(self._addresses) - tried)
            except ExportError as error:  # noqa: PERF203 - a network call dwarfs it
                failure = error
                self._addresses.append(self._addresses.pop(0))
        raise failure

    def _dial_host(self, deadline: Deadline, hosts_left: int) -> socket.socket:
        host, port = self.host
        share = deadline.within(deadline.left_s() / hosts_left)
        found = self._resolver.lookup(host, port, share)
        failure: ExportError = RetryLater(f"{host} has no address")
        for position, address in enumerate(found):
            left = share.left_s() / (len(found) - position)  # a black hole costs a part
            try:
                return self._open(address, share.within(left))
            except OSError as error:
                failure = as_export_error(error, self.where)
            except ExportError as error:
                failure = error
        raise failure

    def _open(self, address: Address, deadline: Deadline) -> socket.socket:
        family, protocol, place = address
        plain = socket.socket(family, socket.SOCK_STREAM, protocol)
        try:
            plain.settimeout(deadline.left_s())
            plain.connect(place)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self.tls is None:
                return plain
            plain.settimeout(deadline.left_s())
            return self.tls.context.wrap_socket(
                plain,
                server_hostname=self.tls.server_name or self.host[0],
            )
        except BaseException:
            plain.close()
            raise


class Line:
    """One connection kept open between sends; never shared with a forked child.

    Args:
        dialer: Opens it.
    """

    __slots__ = ("_dialer", "_identity", "_owner_pid", "socket")

    def __init__(self, dialer: Dialer) -> None:
        """Start without a connection."""
        self._dialer = dialer
        self._owner_pid = 0
        self._identity: Identity | None = None
        self.socket: socket.socket | None = None

    def open(self, deadline: Deadline) -> "tuple[socket.socket, bool]":
        """The connection, and whether it was used before.

        One that the far side has closed meanwhile, or that belongs to the process we
        were forked from, is replaced: writing into it would lose what is written.
        """
        if self.socket is not None and self._owner_pid != os.getpid():
            self.close()
        if self.socket is not None and self._is_foreign(self.socket):
            self.socket.detach()  # somebody else's by now: neither used nor closed
            self.socket = None
        if self.socket is not None and has_ended(self.socket):
            self.close()
        if self.socket is not None:
            return self.socket, True
        self.socket = self._dialer.dial(deadline)
        self._owner_pid = os.getpid()
        self._identity = identity(self.socket.fileno())
        return self.socket, False

    def _is_foreign(self, held: socket.socket) -> bool:
        return identity(held.fileno()) != self._identity

    def close(self) -> None:
        """Close the descriptor, if there is one; sends nothing."""
        held, self.socket = self.socket, None
        if held is None:
            return
        if self._is_foreign(held):
            held.detach()
        else:
            held.close()


def has_ended(connection: socket.socket) -> bool:
    """Whether the far side has closed or reset *connection*; never waits.

    What it sent meanwhile is read and dropped: no protocol of ours expects it.
    """
    connection.settimeout(0)
    try:
        for _ in range(_DRAIN_LIMIT_BYTES // 4096):
            if not connection.recv(4096):
                return True
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    except OSError:
        return True
    return True  # it talks without end


def unacknowledged_bytes(connection: socket.socket) -> int:
    """Bytes that the far side's kernel has not confirmed yet; 0 where unknown."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import struct

    size = struct.calcsize("i")
    answer = fcntl.ioctl(connection.fileno(), 0x5411, b"\0" * size)  # SIOCOUTQ
    return int(struct.unpack("i", answer)[0])
