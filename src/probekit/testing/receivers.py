"""Far sides for tests: they receive over TCP and UDP and misbehave on request.

Loopback only, threads of their own, everything bounded; stop and start keep the port,
so that a test can take a far side away and bring it back.
"""

import contextlib
import random
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

LOOPBACK = "127.0.0.1"
_LIMIT_BYTES = 64 << 20
_CONNECTIONS_LIMIT = 64
_NO_CLIENTS_PORTS = (15_000, 32_000)
_DRAWS = 20
_NO_LINGER = struct.pack("ii", 1, 0)


class Endpoint(ABC):
    """What all receivers share: a port, a life, and a way to wait."""

    def __init__(self) -> None:
        """Not listening yet."""
        self.port = 0
        self._changed = threading.Condition()
        self._running = False

    @abstractmethod
    def start(self) -> "Self":
        """Listen, on the same port as before if there was one."""

    @abstractmethod
    def stop(self) -> None:
        """Stop listening and cut every connection."""

    def __enter__(self) -> "Self":
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Stop."""
        self.stop()

    def wait_until(
        self, condition: "Callable[[], bool]", timeout_s: float = 5.0
    ) -> bool:
        """Whether *condition* comes true within *timeout_s*; asked at each arrival."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()


class StreamEndpoint(Endpoint):
    """Accepts TCP or TLS connections; subclasses say what happens on one.

    Args:
        tls: A server's context; None for plain text.
    """

    def __init__(self, tls: "ssl.SSLContext | None" = None) -> None:
        """Not listening yet."""
        super().__init__()
        self.connections = 0
        self._tls = tls
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> "Self":
        """Listen; returns self."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(listener, self.port)
        listener.listen(_CONNECTIONS_LIMIT)
        self.port = listener.getsockname()[1]
        self._listener, self._running = listener, True
        _in_thread(self._accept, listener)
        return self

    def _accept(self, listener: socket.socket) -> None:
        while self._running:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if not self._running or len(self._open) >= _CONNECTIONS_LIMIT:
                connection.close()
                continue
            self.connections += 1
            self._open.add(connection)
            _in_thread(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        talking = connection
        try:
            connection.settimeout(30.0)
            if self._tls is not None:
                talking = self._tls.wrap_socket(connection, server_side=True)
                self._open.discard(connection)
                self._open.add(talking)
            self.talk(talking)
        except (OSError, ValueError):  # cut, by either side: part of the story
            pass
        finally:
            self._open.discard(talking)
            talking.close()
            self._tell()

    @abstractmethod
    def talk(self, connection: socket.socket) -> None:
        """Everything that happens on one connection."""

    def cut(self) -> None:
        """Reset every open connection, as the kernel does for a killed program."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        self._running = False
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            listener.close()
        self.cut()


class TcpReceiver(StreamEndpoint):
    r"""Keeps the bytes of all connections; lines are what they are usually made of.

    Attributes:
        reading: Clear it to accept connections and read nothing.

    Example:
        >>> import socket
        >>> with TcpReceiver() as receiver:
        ...     with socket.create_connection(("127.0.0.1", receiver.port)) as client:
        ...         client.sendall(b"one\ntwo\n")
        ...     receiver.wait_for_lines(2)
        [b'one', b'two']

    """

    def __init__(self, tls: "ssl.SSLContext | None" = None) -> None:
        """Not listening yet."""
        super().__init__(tls)
        self.reading = threading.Event()
        self.reading.set()
        self._received: list[bytearray] = []

    def talk(self, connection: socket.socket) -> None:
        """Keep what comes."""
        held = bytearray()
        self._received.append(held)
        while len(held) < _LIMIT_BYTES:
            self.reading.wait(30.0)
            data = connection.recv(65536)
            if not data:
                return
            held += data
            self._tell()

    @property
    def received(self) -> bytes:
        """All bytes, connection after connection."""
        return b"".join(bytes(held) for held in self._received)

    @property
    def lines(self) -> "list[bytes]":
        """All whole lines, without their ends."""
        return [
            line for held in self._received for line in bytes(held).split(b"\n")[:-1]
        ]

    def wait_for_lines(self, count: int, timeout_s: float = 5.0) -> "list[bytes]":
        """The lines, once there are *count*, or when *timeout_s* is over."""
        self.wait_until(lambda: len(self.lines) >= count, timeout_s)
        return self.lines


class UdpReceiver(Endpoint):
    """Keeps datagrams.

    Example:
        >>> import socket
        >>> with UdpReceiver() as receiver:
        ...     with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        ...         _ = client.sendto(b"hello", ("127.0.0.1", receiver.port))
        ...     receiver.wait_for(1)
        [b'hello']

    """

    def __init__(self) -> None:
        """Not listening yet."""
        super().__init__()
        self.datagrams: list[bytes] = []
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> "Self":
        """Listen; returns self."""
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        _bind(opened, self.port)
        opened.settimeout(0.05)  # a datagram socket is not woken by its own shutdown
        self.port = opened.getsockname()[1]
        self._socket, self._running = opened, True
        self._thread = _in_thread(self._read, opened)
        return self

    def _read(self, opened: socket.socket) -> None:
        with opened:
            while self._running:
                try:
                    data = opened.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                self.datagrams.append(data)
                self._tell()

    def stop(self) -> None:
        """Close the port; what comes then is refused."""
        self._running = False
        if self._thread is not None:
            self._thread.join(5.0)

    @property
    def lines(self) -> "list[bytes]":
        """The lines in all datagrams."""
        return [line for data in self.datagrams for line in data.split(b"\n") if line]

    def wait_for(self, count: int, timeout_s: float = 5.0) -> "list[bytes]":
        """The datagrams, once there are *count*, or when *timeout_s* is over."""
        self.wait_until(lambda: len(self.datagrams) >= count, timeout_s)
        return self.datagrams


def _bind(listener: socket.socket, port: int) -> None:
    """Bind to *port* of loopback, or for 0 to one that no client will be given.

    Those that the system gives to clients lie higher in the usual settings: while a
    receiver is stopped, a connection of anybody could take one of them for its own.
    """
    drawn = random.SystemRandom()  # the tests' seed would draw the same again
    for _ in range(0 if port else _DRAWS):
        with contextlib.suppress(OSError):
            return listener.bind((LOOPBACK, drawn.randrange(*_NO_CLIENTS_PORTS)))
    return listener.bind((LOOPBACK, port))


def _in_thread(target: "Callable[..., None]", *arguments: object) -> threading.Thread:
    thread = threading.Thread(
        target=target, args=arguments, name="probekit-test-receiver", daemon=True
    )
    thread.start()
    return thread
