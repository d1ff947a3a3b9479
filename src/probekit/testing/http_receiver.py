"""A web server for tests that answers by a script, well or badly.

Hand-written on a socket, because the faults that matter (an answer before the body is
read, a cut before the answer, headers without end) are what a real server prevents.
"""

import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from probekit.testing.receivers import StreamEndpoint

if TYPE_CHECKING:
    from typing_extensions import Self

_HEAD_LIMIT_BYTES = 64 * 1024
_BODY_LIMIT_BYTES = 64 << 20
_REQUESTS_LIMIT = 100_000
_REASONS = {200: "OK", 400: "Bad Request", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Request:
    """A request as it came.

    Attributes:
        method: ``POST``.
        path: With its query.
        headers: Lower-case name → value.
        raw_body: As it was sent.
    """

    method: str
    path: str
    headers: "Mapping[str, str]"
    raw_body: bytes = b""

    @property
    def body(self) -> bytes:
        """The body, unpacked if it was gzipped."""
        if self.headers.get("content-encoding") == "gzip":
            return gzip.decompress(self.raw_body)
        return self.raw_body


@dataclass(frozen=True)
class Reply:
    """How to answer one request.

    Attributes:
        status: 100 to 599.
        headers: Beside ``Content-Length``.
        body: Sent as it is.
        delay_s: Waited before the answer, seconds.
        hang: Never answer; the connection stays open until the receiver stops.
        cut: Read the request, then close without an answer.
        early: Answer after the head, without reading the body.
        endless_headers: Send headers until the client goes away.
        endless_body: Send a body until the client goes away.
        drip_s: Seconds between single bytes of the answer; 0 for all at once.
        close: Close the connection after the answer.
    """

    status: int = 200
    headers: "Mapping[str, str]" = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    hang: bool = False
    cut: bool = False
    early: bool = False
    endless_headers: bool = False
    endless_body: bool = False
    drip_s: float = 0.0
    close: bool = False

    def head(self) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Reply')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if not self.endless_body:
            lines.append(f"Content-Length: {len(self.body)}")
        if self.close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class HttpReceiver(StreamEndpoint):
    """Answers requests by a script and keeps them.

    Args:
        script: One reply for each request; when it is used up, *reply* answers.
        reply: The answer when there is no script; or what says it of a request.
        tls: A server's context; None for plain text.

    Attributes:
        requests: What came, answered or not, in order.
        sent_bytes: How much of endless answers went out.

    Example:
        >>> import http.client
        >>> with HttpReceiver(script=[Reply(503)]) as receiver:
        ...     client = http.client.HTTPConnection("127.0.0.1", receiver.port)
        ...     client.request("POST", "/x", b"body")
        ...     print(client.getresponse().status, receiver.requests[0].body)
        ...     client.close()
        503 b'body'

    """

    def __init__(
        self,
        script: "Sequence[Reply]" = (),
        *,
        reply: "Reply | Callable[[Request], Reply] | None" = None,
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        """Not listening yet."""
        super().__init__(tls)
        self.requests: list[Request] = []
        self.sent_bytes = 0
        self.reply: Reply | Callable[[Request], Reply] = reply or Reply()
        self._script = list(script)
        self._stopped = threading.Event()

    def start(self) -> "Self":
        """Listen; returns self."""
        self._stopped.clear()
        return super().start()

    def stop(self) -> None:
        """Stop listening, cut every connection, end what hangs."""
        self._stopped.set()
        super().stop()

    def answer_with(self, *replies: Reply) -> None:
        """Add to the script."""
        self._script.extend(replies)

    def wait_for(self, count: int, timeout_s: float = 5.0) -> "list[Request]":
        """The requests, once there are *count*, or when *timeout_s* is over."""
        self.wait_until(lambda: len(self.requests) >= count, timeout_s)
        return self.requests

    def talk(self, connection: socket.socket) -> None:
        """Request after request, until one side has enough."""
        held = bytearray()
        while self._running and len(self.requests) < _REQUESTS_LIMIT:
            head = _read_head(connection, held)
            if head is None:
                return
            method, path, headers = head
            planned = self._script.pop(0) if self._script else self.reply
            body = b""
            if not (isinstance(planned, Reply) and planned.early):
                size = min(int(headers.get("content-length", "0")), _BODY_LIMIT_BYTES)
                body = _read_exactly(connection, held, size)
            request = Request(method, path, headers, body)
            reply = planned if isinstance(planned, Reply) else planned(request)
            self.requests.append(request)
            self._tell()
            if not self._answer(connection, reply) or reply.early:
                return

    def _answer(self, connection: socket.socket, reply: Reply) -> bool:
        """Answer; False when the connection ends here."""
        if reply.hang:
            self._stopped.wait(60.0)
        elif reply.delay_s:
            self._stopped.wait(reply.delay_s)
        if reply.hang or reply.cut or self._stopped.is_set():
            return False
        if reply.endless_headers:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            self._pour(connection, b"X-More: " + b"m" * 1000 + b"\r\n")
        answer = reply.head() + reply.body
        if reply.drip_s:
            for byte in answer:
                connection.sendall(bytes((byte,)))
                if self._stopped.wait(reply.drip_s):
                    return False
        else:
            connection.sendall(answer)
        if reply.endless_body:
            self._pour(connection, b"b" * 65536)
        return not reply.close

    def _pour(self, connection: socket.socket, data: bytes) -> None:
        while not self._stopped.is_set():
            connection.sendall(data)
            self.sent_bytes += len(data)


def _read_head(
    connection: socket.socket, held: bytearray
) -> "tuple[str, str, dict[str, str]] | None":
    while b"\r\n\r\n" not in held:
        data = connection.recv(65536)
        if not data or len(held) > _HEAD_LIMIT_BYTES:
            return None
        held += data
    head, _, rest = bytes(held).partition(b"\r\n\r\n")
    held[:] = rest
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    return method, path, dict(_headers(lines))


def _headers(lines: "Sequence[str]") -> "Iterator[tuple[str, str]]":
    for line in lines:
        name, _, value = line.partition(":")
        yield name.strip().lower(), value.strip()


def _read_exactly(connection: socket.socket, held: bytearray, size: int) -> bytes:
    while len(held) < size:
        data = connection.recv(65536)
        if not data:
            raise OSError(0, "the client went away")
        held += data
    body = bytes(held[:size])
    del held[:size]
    return body
