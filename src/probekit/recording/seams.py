"""What the registry is given by others: who scrubs, who opens and finishes spans."""

from collections.abc import Callable, Mapping

from probekit.hints import TYPE_CHECKING, Any, Protocol, TypeAlias
from probekit.recorded import AttributeValue

if TYPE_CHECKING:
    from probekit.model import Span


class Scrub(Protocol):
    """Takes secrets out of texts before they are buffered."""

    def text(self, text: str) -> str:
        """Return *text* without secrets."""

    def attributes(self, attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
        """Return a copy of *attributes* without secrets."""


class OpenSpan(Protocol):
    """A span that a probe has opened."""

    def end(self, error: "BaseException | None") -> None:
        """Close it; *error* is what the call raised, if anything."""


# (name, attributes, attach): attach says whether the span may become the current one
# (it may not in generators, whose steps run in other people's contexts).
SpanMaker: TypeAlias = "Callable[[str, Mapping[str, Any], bool], OpenSpan | None]"


class EndedSpan(Protocol):
    """A span that has ended; the draining thread makes it one that may be buffered."""

    @property
    def trace_id(self) -> str:
        """32 hex digits."""

    def finished(self, scrub: Scrub) -> "Span":
        """Return it scrubbed."""


class CallSpan(Protocol):
    """A span that middleware or a patched library has opened."""

    def describe(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Say what only the end of the call tells; an empty *name* changes none."""

    def headers(self) -> "dict[str, str]":
        """What a message carries whose receiver is to go on with this span's trace."""

    def end(
        self,
        error: "BaseException | None" = None,
        *,
        error_type: str = "",
    ) -> None:
        """Close it and make current again what was so before.

        Args:
            error: What the call raised, if anything.
            error_type: The word for its failure: a status, where nothing was raised.

        """

    def close(self, *, error_type: str = "") -> None:
        """Close it, but leave it the current one: work goes on that belongs to it."""

    def leave(self) -> None:
        """Make current again what was so before; the second time does nothing."""


class Tracing(Protocol):
    """Opens spans while traces are on; never raises."""

    def serve(
        self,
        name: str,
        kind: int,
        attributes: Mapping[str, Any],
        header: "Callable[[str], str | None]",
    ) -> "CallSpan | None":
        """Open a span for work that somebody asked for: it goes on with their trace.

        Args:
            name: Low in number; may be told better at the end.
            kind: OpenTelemetry's number as in the model: 2 server, 5 consumer.
            attributes: What is known by now.
            header: Gives a header of the message by its lower-case name.

        Returns:
            The span, the current one from now on, also when the trace is not
            recorded; None when somebody else has made one for this work already.

        """

    def begin(self, name: str, attributes: Mapping[str, Any]) -> "CallSpan | None":
        """Open a span for work that nobody asked for: a job's run.

        Args:
            name: Low in number.
            attributes: What is known by now.

        Returns:
            The span, the current one from now on, also when the trace is not
            recorded: the first of a trace, or a part of the one that is current.

        """

    def call(
        self,
        name: str,
        kind: int,
        attributes: Mapping[str, Any],
        *,
        attach: bool = True,
    ) -> "CallSpan | None":
        """Open a span for a part of the work, if it is part of a recorded trace.

        Args:
            name: Low in number.
            kind: 1 internal, 3 client, 4 producer.
            attributes: What is known by now.
            attach: Whether it becomes the current one.

        Returns:
            The span; None outside of a trace that is being recorded.

        """

    def past(
        self,
        name: str,
        attributes: Mapping[str, Any],
        duration_s: float,
        error: "BaseException | None",
    ) -> None:
        """Leave a span for a call that ends now, when it is known to be of interest.

        Its parent is the current span; outside of any trace it is a trace of its own.
        Inside a trace that is not recorded there is none.

        Args:
            name: Low in number.
            attributes: What is known.
            duration_s: How long the call took, seconds.
            error: What it raised, if anything.

        """
