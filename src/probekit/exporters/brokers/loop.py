"""An event loop that belongs to one thread and runs only while that thread waits.

The clients of brokers are asyncio's. Nothing of the host's asyncio is touched: neither
its policy nor its loops, and there is no further thread.
"""

import asyncio
import contextlib
import os
import selectors
import socket
import weakref
from collections.abc import Coroutine
from typing import Any, TypeVar

from probekit.errors import RetryLater
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.resolve import Resolver

T = TypeVar("T")
# Loops that were running when their process was forked: the child can neither run nor
# close its copy, and collecting it would print.
_ABANDONED: "list[_Loop]" = []
_GRACE_S = 0.1  # for clients to end their tasks when they are cancelled


class _Loop(asyncio.SelectorEventLoop):
    """Looks names up with a deadline, and shares nothing with a forked child."""

    def __init__(self, resolver: Resolver, where: str) -> None:
        # poll keeps its list in the process. An epoll descriptor is shared with forked
        # children: what they take off its list is off their parent's, too.
        super().__init__(selectors.PollSelector())
        self._resolver = resolver
        self._where = where
        self.lookup_s = 1.0
        self._opened: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        # A broken connection is told by the send that meets it. asyncio would print.
        self.set_exception_handler(lambda _loop, _context: None)

    async def create_connection(self, *args: Any, **wanted: Any) -> Any:
        made = await super().create_connection(*args, **wanted)
        self._opened.add(made[0])
        return made

    async def end(self) -> None:
        """End all tasks and connections, whatever their clients are about."""
        tasks = asyncio.all_tasks(self) - {asyncio.current_task(self)}
        for task in tasks:
            task.cancel()
        for transport in list(self._opened):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_S)
        await asyncio.sleep(0)  # transports close their sockets in the next round

    async def getaddrinfo(  # the loop is ours alone, so waiting here delays nobody
        self, host: Any, port: Any, **wanted: Any
    ) -> "list[tuple[Any, Any, int, str, Any]]":
        deadline = Deadline(self.lookup_s, self._where)
        try:
            found = self._resolver.lookup(str(host), int(port), deadline)
        except RetryLater as error:
            raise OSError(0, str(error)) from None
        family = wanted.get("family", 0)
        return [
            (kind, socket.SOCK_STREAM, protocol, "", place)
            for kind, protocol, place in found
            if family in (0, kind)
        ]


class PrivateLoop:
    """Runs coroutines on a loop of its own, each within a deadline.

    Args:
        where: The far side, for errors.
        lookup_s: For looking a name up, seconds.
    """

    def __init__(self, where: str, lookup_s: float) -> None:
        """Make no loop yet."""
        self._where = where
        self._lookup_s = lookup_s
        self._resolver = Resolver(socket.SOCK_STREAM)
        self._loop: _Loop | None = None
        self._pid = 0

    @property
    def is_open(self) -> bool:
        """Whether what was run before is still there, in this very process."""
        return self._loop is not None and self._pid == os.getpid()

    def run(self, work: "Coroutine[Any, Any, T]", deadline: Deadline) -> T:
        """The result of *work*.

        Raises:
            RetryLater: The deadline passed. The work was told to end; a client that
                does not listen is left behind by :meth:`discard`.

        """
        if not self.is_open:
            self.discard()
            self._loop, self._pid = _Loop(self._resolver, self._where), os.getpid()
        loop = self._loop
        assert loop is not None  # noqa: S101 - for the type checker
        try:
            left_s = deadline.left_s()
        except RetryLater:
            work.close()
            raise
        loop.lookup_s = min(self._lookup_s, left_s)
        task = loop.create_task(work)
        done, _ = loop.run_until_complete(asyncio.wait({task}, timeout=left_s))
        if not done:
            task.cancel()
            loop.run_until_complete(asyncio.wait({task}, timeout=_GRACE_S))
            deadline.left_s()
            raise RetryLater(f"{self._where} did not answer in time")
        if task.cancelled():  # by the client, when its connection ended
            raise RetryLater(f"{self._where} ended the connection")
        return task.result()

    def discard(self) -> None:
        """Forget the loop and everything on it; says no farewell to anybody."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        if loop.is_running():  # in the parent we were forked from, and never again
            _ABANDONED.append(loop)
            return
        with contextlib.suppress(Exception):  # a client that resists being ended
            loop.run_until_complete(loop.end())
        loop.close()
