"""Name resolution with a deadline, which the system's resolver does not have."""

import queue
import socket
from typing import TypeAlias

from probekit.errors import RetryLater
from probekit.exporters.transport.deadline import Deadline
from probekit.thread import Thread

Place: TypeAlias = "tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]"
Address: TypeAlias = "tuple[int, int, Place]"  # family, protocol, what connect takes


class Resolver:
    """Looks hosts up; a look-up that hangs holds one thread, never two for one host.

    Args:
        kind: ``socket.SOCK_STREAM`` or ``socket.SOCK_DGRAM``.
    """

    __slots__ = ("_kind", "_pending")

    def __init__(self, kind: int) -> None:
        """Start with nothing under way."""
        self._kind = kind
        self._pending: dict[
            tuple[str, int], queue.SimpleQueue[list[Address] | OSError]
        ] = {}

    def lookup(self, host: str, port: int, deadline: Deadline) -> "list[Address]":
        """The addresses of *host*, in the order the system prefers.

        Raises:
            RetryLater: The name is not known, or the look-up does not end in time.

        """
        try:
            return self._ask(host, port, socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):  # not a literal address
            pass
        place = (host, port)
        answer = self._pending.get(place)
        if answer is None:
            answer = self._begin(host, port)
        try:
            found = answer.get(timeout=deadline.left_s())
        except queue.Empty:
            raise RetryLater(f"the look-up of {host} does not end") from None
        self._pending.pop(place, None)
        if isinstance(found, OSError):
            raise RetryLater(f"the look-up of {host} failed: {found.strerror}")
        return found

    def _begin(
        self, host: str, port: int
    ) -> "queue.SimpleQueue[list[Address] | OSError]":
        answer: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._ask(host, port, 0))
            except OSError as error:
                answer.put(error)
            except UnicodeError:  # a host name that IDNA cannot spell
                answer.put(OSError(0, "not a host name"))

        try:
            Thread(ask, "probekit-resolve").start()
        except RuntimeError:  # the interpreter is shutting down, or no thread is left
            raise RetryLater(f"no thread to look up {host}") from None
        self._pending[host, port] = answer
        return answer

    def _ask(self, host: str, port: int, flags: int) -> "list[Address]":
        return [
            (family, protocol, place)
            for family, _, protocol, _, place in socket.getaddrinfo(
                host,
                port,
                type=self._kind,
                flags=flags,
            )
        ]
