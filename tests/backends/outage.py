"""One application with many backends, and ten seconds without any of them.

``Scene`` starts every server, lets one application record 10,000 operations for all
of them at once, takes all servers away in the middle and brings them back. What each
has is read by ``farsides``; ``test_outage`` compares.
"""

import contextlib
import dataclasses
import functools
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from servers import eventually
from shop import Shop

from freeports import free_ports
from probekit.buffer.read_only import last_window, read_status

OPERATIONS = 10_000
NUMBERS = list(range(0, OPERATIONS, 10))  # of the events, one for ten operations
SECONDS = 16.0
DOWN_S = 10.0


@dataclasses.dataclass
class Side:
    """One exporter and what its backend has of it.

    Attributes:
        backend: As the matrix shows it.
        url: Of the exporter.
        operations: The counter's sum or total; None while there is none.
        numbers: Of the events; None where the backend takes none.
        most_lost: Operations that the contract gives up at most.
        most_double: Operations that it lets come twice at most.
        held: Asked just before the server dies: what dies with its memory.
        fetches: Comes for what it wants itself, while the application runs.
    """

    backend: str
    url: str
    operations: Callable[[], Any]
    numbers: "Callable[[], list[int]] | None" = None
    most_lost: int = 0
    most_double: int = 0
    held: Callable[[], float] = lambda: 0.0
    fetches: bool = False


@dataclasses.dataclass
class Server:
    """A server that can be taken away.

    Attributes:
        name: Name and version, for the matrix.
        sides: What it serves.
        kill: Take it away.
        start: Bring it back, where it was.
        how: How it is taken away, for the matrix.
    """

    name: str
    sides: "list[Side]"
    kill: Callable[[], None]
    start: Callable[[], None]
    how: str = "SIGKILL"


class Again:
    """A server that is given as a context, started as often as wanted.

    Args:
        context: Takes ``stop``, the signal that ends it.
        sign: That signal.
    """

    def __init__(self, context, sign=signal.SIGKILL):
        self._context, self._sign = context, sign
        self._running = contextlib.ExitStack()
        self.start()

    def start(self):
        """Start it where it was."""
        self.far = self._running.enter_context(self._context(stop=self._sign))

    def kill(self):
        """Take it away."""
        self._running.close()


class Scene:
    """The application, its backends, and what became of it.

    Args:
        folder: Of all servers and of the buffer.
        makers: Name → what makes a ``Server``, given a stack and a folder.

    Attributes:
        missing: Name → why its server could not be had.
        held: Backend → operations that were in its memory when it died.
        waiting: Exporter → windows that waited at the end of the outage.
        left: Exporter → how many windows it is behind the last operation's, in the end.
    """

    def __init__(self, folder, makers):
        self._folder, self._makers = folder, makers
        self._stacks = {name: contextlib.ExitStack() for name in makers}
        self.servers, self.missing, self.held = {}, {}, {}
        self.waiting, self.left = {}, {}
        self.living = f"file:{folder / 'living.jsonl'}"
        self.dead = f"otlp://127.0.0.1:{free_ports(1)[0]}?timeout_s=1"

    def __enter__(self):
        with ThreadPoolExecutor(len(self._makers)) as pool:
            made = {n: pool.submit(self._make, n) for n in self._makers}
        for name, future in made.items():
            self._keep(name, future)
        return self

    def __exit__(self, *_):
        at_once(stack.close for stack in self._stacks.values())

    def _make(self, name):
        return self._makers[name](self._stacks[name], self._folder / name)

    def _keep(self, name, future):
        try:
            self.servers[name] = future.result()
        except pytest.skip.Exception as reason:  # in CI it is a failure
            self.missing[name] = str(reason)

    def sides(self):
        """(server, side) of all that could be had."""
        return [(s, side) for s in self.servers.values() for side in s.sides]

    def play(self):
        """Record through the outage, until all that can be delivered is."""
        urls = [side.url for _, side in self.sides()]
        with Shop(self._folder, self.living, *urls, self.dead) as shop:
            assert shop.ask("flush 0") is not None  # it has started
            shop.tell(f"spread {OPERATIONS} {SECONDS}")
            time.sleep(2)
            at_once(functools.partial(self._kill, s) for s in self.servers.values())
            time.sleep(DOWN_S)
            self.waiting = waiting(shop.buffer)
            at_once(server.start for server in self.servers.values())
            shop.hear()
            shop.ask("flush 0.1")  # closes the window of the last operation
            last = last_window(shop.buffer)
            eventually(lambda: self._delivered(shop, last), 60)
            eventually(self._fetched, 30)

    def _kill(self, server):
        for side in server.sides:
            self.held[side.backend] = side.held()
        server.kill()

    def _delivered(self, shop, window):
        shop.ask("flush 0.5")
        books = read_status(shop.buffer).exporters
        self.left = {each.name: window - each.delivered_through for each in books}
        behind = {name for name, count in self.left.items() if count > 0}
        return behind == {self.dead.partition("?")[0]}

    def _fetched(self):
        fetching = [side for _, side in self.sides() if side.fetches]
        return all(side.operations() == OPERATIONS for side in fetching)


def at_once(calls):
    """Call all of them at the same moment; the first error is raised at the end."""
    calls = list(calls)
    with ThreadPoolExecutor(len(calls)) as pool:
        done = [pool.submit(call) for call in calls]
    for future in done:
        future.result()


def waiting(buffer):
    """Exporter → windows that wait for it, as the buffer has it."""
    return {each.name: each.lag_windows for each in read_status(buffer).exporters}
