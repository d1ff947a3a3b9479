"""Datagrams through one socket; lossy, and honest about it.

A closed port is noticed where the system reports it (always on loopback): the batch
then stays ours and goes on with the datagram that was refused. The report may come a
moment after the datagram has gone, so it is waited for: shortly while all is well, and
longer from a refusal until a batch has gone through. A receiver that comes back finds
the whole backlog: datagrams go in groups that its socket can hold, with pauses in
which it can read them.
"""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Sequence

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import RetryLater, TooLarge
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.descriptor import Identity, identity
from probekit.exporters.transport.faults import as_export_error
from probekit.exporters.transport.resolve import Resolver

DATAGRAM_BYTES = 1432  # an Ethernet frame minus IPv6 and UDP headers and a margin
LARGEST_DATAGRAM_BYTES = 65507
_LOOKUP_LASTS_S = 60.0
_REPORT_S = 0.002
_DOUBT_S = 0.05  # a busy machine's kernel answers that late
_GROUP = 16  # datagrams; a socket of Linux's default size holds some 90 of them
_PAUSE_S = 0.01


class UdpTransport:
    """Sends datagrams to the first of its addresses.

    Args:
        addresses: (host, port), at least one; the next is used after a failure.
        timeout_s: For one send with all of its datagrams, seconds.
        clock: Only its monotonic reading is used.
    """

    __slots__ = (
        "_addresses",
        "_clock",
        "_failures",
        "_identity",
        "_in_doubt",
        "_opened_s",
        "_owner_pid",
        "_resolver",
        "_resume",
        "_socket",
        "timeout_s",
    )

    def __init__(
        self,
        addresses: "Sequence[tuple[str, int]]",
        *,
        timeout_s: float = 5.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Open nothing yet."""
        self._addresses = list(addresses)
        self._resolver = Resolver(socket.SOCK_DGRAM)
        self._clock = clock
        self._socket: socket.socket | None = None
        self._owner_pid = 0
        self._identity: Identity | None = None
        self._opened_s = 0.0
        self._resume: tuple[str, int] = ("", 0)
        self._failures = 0
        self._in_doubt = False
        self.timeout_s = timeout_s

    @property
    def where(self) -> str:
        """The far side in words."""
        host, port = self._addresses[self._failures % len(self._addresses)]
        return f"{host}:{port}"

    def send(self, datagrams: "Sequence[bytes]", key: str = "") -> None:
        """Hand every datagram to the system.

        Args:
            datagrams: Each at most 65,507 bytes.
            key: Names the batch: when the same key comes again after a refusal, the
                datagrams that had gone out are not sent twice.

        Raises:
            RetryLater: Nobody listens, or the network is down.
            TooLarge: The system refuses a datagram of this size.

        """
        deadline = Deadline(self.timeout_s, self.where, clock=self._clock)
        start = self._resume[1] if key and key == self._resume[0] else 0
        position = start
        connection = self._open(deadline)
        try:
            for position in range(start, len(datagrams)):
                connection.settimeout(deadline.left_s())
                connection.send(datagrams[position])
                if position == start:  # nobody there? then the rest need not go
                    self._report(connection, deadline)
                elif (position - start) % _GROUP == 0:
                    time.sleep(min(_PAUSE_S, deadline.left_s()))
            position = len(datagrams)
            self._report(connection, deadline)
        except OSError as error:
            # The error belongs to an earlier datagram: the one before is in doubt.
            self._resume = (key, max(start, position - 1))
            self._fail()
            if error.errno == errno.EMSGSIZE:
                raise TooLarge(f"{self.where}: datagram too long") from None
            raise as_export_error(error, self.where) from None
        except RetryLater:
            self._resume = (key, position)
            raise
        self._resume, self._in_doubt = ("", 0), False

    def _report(self, connection: socket.socket, deadline: Deadline) -> None:
        """Raise what the system learns within a moment about the datagrams so far."""
        wait_s = _DOUBT_S if self._in_doubt else _REPORT_S
        connection.settimeout(min(wait_s, deadline.left_s()))
        with contextlib.suppress(TimeoutError):
            connection.recv(1)

    def _open(self, deadline: Deadline) -> socket.socket:
        now_s = self._clock.monotonic_s()
        fresh = now_s - self._opened_s < _LOOKUP_LASTS_S
        held = self._socket
        ours = held is not None and identity(held.fileno()) == self._identity
        if held is not None and ours and self._owner_pid == os.getpid() and fresh:
            return held
        self.close()
        turns, which = divmod(self._failures, len(self._addresses))
        host, port = self._addresses[which]
        found = self._resolver.lookup(host, port, deadline)
        family, protocol, place = found[turns % len(found)]
        opened = socket.socket(family, socket.SOCK_DGRAM, protocol)
        try:
            opened.connect(place)
        except OSError as error:
            opened.close()
            raise as_export_error(error, self.where) from None
        self._socket, self._owner_pid, self._opened_s = opened, os.getpid(), now_s
        self._identity = identity(opened.fileno())
        return opened

    def _fail(self) -> None:
        """Take the next host next time, and after the last the next address of each."""
        self.close()
        self._failures += 1
        self._in_doubt = True

    def close(self) -> None:
        """Close the socket, if there is one."""
        held, self._socket = self._socket, None
        if held is None:
            return
        if identity(held.fileno()) == self._identity:
            held.close()
        else:  # the host closed it and the number is somebody else's by now
            held.detach()


def pack(lines: "Sequence[bytes]", limit_bytes: int) -> "list[bytes]":
    r"""Join lines to datagrams of at most *limit_bytes*, in order.

    Args:
        lines: Without line ends, each at most *limit_bytes*; one that holds a line
            end itself is kept in one piece.
        limit_bytes: Longest datagram.

    Example:
        >>> pack([b"aa", b"bb", b"cc"], 5)
        [b'aa\nbb', b'cc']

    """
    datagrams: list[bytes] = []
    held: list[bytes] = []
    size = 0
    for line in lines:
        if held and size + 1 + len(line) > limit_bytes:
            datagrams.append(b"\n".join(held))
            held, size = [], 0
        size += len(line) + bool(held)
        held.append(line)
    if held:
        datagrams.append(b"\n".join(held))
    return datagrams
