"""What the registry is given by others: who scrubs, who opens spans."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from probekit.model import AttributeValue


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
