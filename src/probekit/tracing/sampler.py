"""The head's decision, behind a switch: a provider keeps its sampler for life."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from probekit.tracing.policy import Plan


class Switch(Sampler):
    """Asks the sampler of the moment; records nothing while there is none."""

    def __init__(self) -> None:
        """Off."""
        self._sampler: Sampler = ALWAYS_OFF

    def use(self, sampler: "Sampler | None") -> None:
        """Ask *sampler* from now on; None for off. Any thread."""
        self._sampler = ALWAYS_OFF if sampler is None else sampler

    def should_sample(  # noqa: PLR0917 - the SDK's signature
        self,
        parent_context: "Context | None",
        trace_id: int,
        name: str,
        kind: "SpanKind | None" = None,
        attributes: Attributes = None,
        links: "Sequence[Link] | None" = None,
        trace_state: "TraceState | None" = None,
    ) -> SamplingResult:
        """Decide about one span, as the SDK asks."""
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Name the sampler of the moment."""
        return f"probekit({self._sampler.get_description()})"


def sampler_of(plan: Plan) -> Sampler:
    """The sampler that *plan* asks for."""
    given: Any = plan.sampler
    if given is not None:
        found: Sampler = given
        return found
    ratio = TraceIdRatioBased(plan.policy.ratio)
    return ParentBased(ratio) if plan.policy.follow_parent else ratio
