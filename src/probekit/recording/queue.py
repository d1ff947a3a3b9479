"""Bounded queues and the book of losses; appending is atomic and never waits."""

from collections.abc import Callable

from probekit.hints import TYPE_CHECKING, Generic, TypeAlias, TypeVar
from probekit.recorded import Signal

if TYPE_CHECKING:
    from probekit.pace import Pace

QUEUE_LIMIT = 10_000  # events, and spans, between two drains

Cause: TypeAlias = "tuple[Signal, str]"
T = TypeVar("T")


class Losses:
    """Records that were recorded and dropped, by signal and reason."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        """Start at nothing."""
        self._counts: dict[Cause, list[int]] = {}

    def add(self, signal: Signal, reason: str, n: int = 1) -> None:
        """Count *n* lost records; any thread."""
        counts = self._counts.get((signal, reason))
        if counts is None:
            counts = self._counts.setdefault((signal, reason), [])
        counts.append(n)

    def fold(self) -> None:
        """Keep the lists short; only under the registry's lock."""
        for counts in list(self._counts.values()):
            if len(counts) > 1:
                counts.append(_taken(counts))

    def harvest(self, into: "dict[Cause, int]") -> None:
        """Add all counts and begin anew; only under the registry's lock."""
        for cause, counts in list(self._counts.items()):
            length = len(counts)
            if length:
                # Without a call in between, where Python would take a signal.
                into[cause] = into.get(cause, 0) + sum(counts[:length])
                del counts[:length]

    def forget(self) -> None:
        """Drop everything."""
        for counts in list(self._counts.values()):
            del counts[:]


class Queue(Generic[T]):
    """A list that refuses more than its limit, and counts what it refused.

    Several threads that pass the check at once may exceed the limit by their number.

    Attributes:
        limit: Most items that may wait; may be changed at any time.
    """

    __slots__ = ("_items", "_leaving", "_refused", "limit")

    def __init__(self, refused: Callable[[], None], limit: int = QUEUE_LIMIT) -> None:
        """Start empty; *refused* is called for each item beyond *limit*."""
        self._items: list[T] = []
        self._leaving: list[T] = []  # takes no room from what comes meanwhile
        self.limit = limit
        self._refused = refused

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._items)

    def put(self, item: T) -> bool:
        """Append *item* if there is room; say whether there was."""
        if len(self._items) >= self.limit:
            self._refused()
            return False
        self._items.append(item)
        return True

    def empty(self, use: Callable[[T], None], pace: "Pace") -> None:
        """Give what waits to *use*, oldest first; only under the registry's lock.

        Args:
            use: What it raises goes on, and leaves what it has not got.
            pace: Lets the application's threads run in between.

        """
        items, leaving, used = self._items, self._leaving, 0
        waiting = len(items)
        leaving += items[:waiting]
        del items[:waiting]  # no call in between, where Python would take a signal
        try:
            for item in pace.through(leaving[:]):
                use(item)
                used += 1
        finally:
            del leaving[:used]

    def forget(self) -> None:
        """Drop everything."""
        del self._items[:], self._leaving[:]


def _taken(counts: "list[int]") -> int:
    length = len(counts)
    total = sum(counts[:length])
    del counts[:length]
    return total
