"""Bound handles: one series each, recorded into by one comparison and one append."""

from probekit.recording.handle import Handle
from probekit.recording.registry import Registry


class _Bound:
    """One series, with what the shortest way to record into it needs.

    Recording compares the list's length with the watch's limit rather than a clock
    with its deadline: a clock read costs more than all the rest. The limit is zero
    whenever the process is new, so that nothing but a hung pump is noticed later:
    when the list has reached 4,096 values, which wait in it; none is lost.
    """

    __slots__ = ("_due_for", "_handle", "_limit", "_values")

    def __init__(self, handle: Handle, registry: Registry) -> None:
        """Look everything up once."""
        self._handle = handle
        self._values = handle.values
        self._limit = registry.watch.limit
        self._due_for = registry.due_for


class BoundCounter(_Bound):
    """One series of a counter or an up-down counter."""

    __slots__ = ()

    def add(self, amount: float = 1) -> None:
        """Add *amount*; never raises, never blocks."""
        if len(self._values) >= self._limit[0] and self._due_for(self._handle):
            return
        self._values.append(amount)


class BoundGauge(_Bound):
    """One series of a gauge."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Set the value; never raises, never blocks."""
        if len(self._values) >= self._limit[0] and self._due_for(self._handle):
            return
        self._values.append(value)


class BoundHistogram(_Bound):
    """One series of a histogram."""

    __slots__ = ()

    def record(self, value: float) -> None:
        """Record a value; never raises, never blocks."""
        if len(self._values) >= self._limit[0] and self._due_for(self._handle):
            return
        self._values.append(value)
