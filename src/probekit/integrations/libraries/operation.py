"""One timed call through a patched library, as a ``with`` block in the wrapper.

The wrapper's frame is the only one of ours between the application and the library;
the block never swallows and never raises. What the library's objects are asked on the
way is asked under a guard: a hostile response costs its attribute, nothing else.
"""

from time import perf_counter
from types import TracebackType

from probekit.integrations.libraries.figures import Durations, Pairs, error_type, told
from probekit.integrations.libraries.layer import Layer


class Operation:
    """A call that is being timed.

    Attributes:
        pairs: Attributes known so far, without the outcome.
    """

    __slots__ = ("_durations", "_layer", "_library", "_started_s", "pairs")

    def __init__(
        self,
        layer: Layer,
        durations: Durations,
        pairs: Pairs,
        library: str,
    ) -> None:
        """Start the clock."""
        self._layer = layer
        self._durations = durations
        self._library = library
        self.pairs = pairs
        self._started_s = perf_counter()

    def __enter__(self) -> "Operation":  # noqa: PYI034 - typing.Self is 3.11's
        """Begin."""
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Record the duration; ``error.type`` only for subclasses of Exception."""
        elapsed_s = perf_counter() - self._started_s
        self._layer.close()
        try:
            failed = kind is not None and issubclass(kind, Exception)
            self._durations.record(elapsed_s, self.outcome(kind if failed else None))
        except Exception as trouble:
            told(self._library, trouble)

    def outcome(self, failed: "type[BaseException] | None") -> Pairs:
        """All attributes, now that the end is known."""
        if failed is None:
            return self.pairs
        return (*self.pairs, ("error.type", error_type(failed)))

    def answered(self, response: object, attribute: str) -> None:
        """Learn from what came back; what that means is the subclass's business."""

    def stop(self, error: "BaseException | None" = None) -> None:
        """End a call whose beginning and end lie in two callbacks."""
        self.__exit__(None if error is None else type(error), error, None)


class Uncounted:
    """Stands in when the call is counted elsewhere or not at all."""

    __slots__ = ()

    def __enter__(self) -> "Uncounted":  # noqa: PYI034 - likewise
        """Do nothing."""
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Do nothing."""

    def answered(self, response: object, attribute: str) -> None:
        """Do nothing."""

    def stop(self, error: "BaseException | None" = None) -> None:
        """Do nothing."""


UNCOUNTED = Uncounted()
