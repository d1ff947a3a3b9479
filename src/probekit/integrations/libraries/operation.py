"""One timed call through a patched library, as a ``with`` block in the wrapper.

The wrapper's frame is the only one of ours between the application and the library;
the block never swallows and never raises. What the library's objects are asked on the
way is asked under a guard: a hostile response costs its attribute, nothing else.
"""

from time import perf_counter
from types import TracebackType

from probekit.integrations.libraries.figures import Durations, Pairs, error_type, told
from probekit.integrations.libraries.layer import Layer
from probekit.integrations.spans import call
from probekit.model import AttributeValue
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan


class Operation:
    """A call that is being timed.

    Attributes:
        pairs: Attributes known so far, without the outcome.
    """

    __slots__ = ("_durations", "_layer", "_library", "_span", "_started_s", "pairs")

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
        self._span: CallSpan | None = None
        if REGISTRY.tracing is not None:
            attributes = dict(pairs)
            self._span = call(self.span_name(attributes), attributes)
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
            pairs = self.outcome(kind if failed else None)
            if self._span is not None:
                self._end(self._span, dict(pairs), error)
            self._durations.record(elapsed_s, pairs)
        except Exception as trouble:
            told(self._library, trouble)

    def span_name(self, attributes: "dict[str, AttributeValue]") -> str:
        """Name of the call's span: the operation, and what it is done to."""
        operation = str(attributes.get("db.operation.name", "_OTHER"))
        collection = attributes.get("db.collection.name")
        return f"{operation} {collection}" if collection else operation

    def _end(
        self,
        span: CallSpan,
        attributes: "dict[str, AttributeValue]",
        error: "BaseException | None",
    ) -> None:
        """Close the span with the attributes of the duration: its example."""
        span.describe("", attributes)
        span.end(error, error_type=str(attributes.get("error.type", "")))

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
