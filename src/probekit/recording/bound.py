"""Bound handles: one series each, recorded into by one comparison and one append."""

from probekit.recording.handle import Handle
from probekit.recording.registry import Registry


class _Bound:
    """One series, with what the shortest way to record into it needs.

    Recording asks whether the watch has room for a list that long rather than compare
    a clock with its deadline: a clock read costs more than all the rest. There is none
    whenever the process is new, so that nothing but a hung pump is noticed later:
    when the list has reached 4,096 values, which wait in it; none is lost.
    """

    __slots__ = ("_due_for", "_handle", "_room", "_values")

    def __init__(self, handle: Handle, registry: Registry) -> None:
        """Look everything up once."""
        self._handle = handle
        self._values = handle.values
        self._room = registry.watch.room
        self._due_for = registry.due_for

    def _look(self, value: float) -> None:
        """Record *value* after the registry has got the attention that is due."""
        if not self._due_for(self._handle):
            self._values.append(value)


class BoundCounter(_Bound):
    """One series of a counter or an up-down counter."""

    __slots__ = ()

    def add(self, amount: float = 1) -> None:
        """Add *amount*; never raises, never blocks."""
        try:
            if self._room[len(self._values)]:
                self._values.append(amount)
                return
        except IndexError:  # nobody has taken any for long
            self._look(amount)
        else:
            self._look(amount)


class BoundGauge(_Bound):
    """One series of a gauge."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """Set the value; never raises, never blocks."""
        try:
            if self._room[len(self._values)]:
                self._values.append(value)
                return
        except IndexError:  # nobody has taken any for long
            self._look(value)
        else:
            self._look(value)


class BoundHistogram(_Bound):
    """One series of a histogram."""

    __slots__ = ()

    def record(self, value: float) -> None:
        """Record a value; never raises, never blocks."""
        try:
            if self._room[len(self._values)]:
                self._values.append(value)
                return
        except IndexError:  # nobody has taken any for long
            self._look(value)
        else:
            self._look(value)
