"""A socket as ``http.client`` wants it, with a deadline and a limit on every answer."""

import io
import socket

from probekit.errors import RetryLater
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.tcp import CHUNK_BYTES

ANSWER_LIMIT_BYTES = 64 * 1024
_HEAD_LIMIT_BYTES = 64 * 1024


class Answered(Exception):
    """The far side answers before it has read all: stop writing, read the answer."""


class Wire:
    """Stands in for a socket during one request; never closes the real one."""

    __slots__ = ("_deadline", "_socket")

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        """Use *connection* until *deadline*."""
        self._socket = connection
        self._deadline = deadline

    def sendall(self, payload: bytes) -> None:
        """Write *payload*; between chunks look whether an answer is there already.

        Raises:
            Answered: It is.
            OSError: The connection is gone.
            RetryLater: The deadline has passed.

        """
        rest = memoryview(payload)
        while rest:
            self._socket.settimeout(self._deadline.left_s())
            rest = rest[self._socket.send(rest[:CHUNK_BYTES]) :]
            if rest and self._has_answer():
                raise Answered

    def _has_answer(self) -> bool:
        if not isinstance(self._socket, socket.socket) or hasattr(
            self._socket,
            "cipher",  # TLS: what waits in the socket may be the protocol's own
        ):
            return False
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """What ``http.client`` reads the answer from."""
        return io.BufferedReader(_Reader(self._socket, self._deadline))

    def close(self) -> None:
        """Let the real socket be: it outlives the request."""


class _Reader(io.RawIOBase):
    """Reads within the deadline and the limit on bytes."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._socket = connection
        self._deadline = deadline
        self._left_bytes = _HEAD_LIMIT_BYTES + ANSWER_LIMIT_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._left_bytes <= 0:
            raise RetryLater("the answer has no end")
        self._socket.settimeout(self._deadline.left_s())
        count = self._socket.recv_into(buffer)
        self._left_bytes -= count
        return count
