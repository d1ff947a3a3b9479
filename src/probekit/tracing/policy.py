"""What ``configure(traces=...)`` takes: a share, or a policy; plain data, checked."""

import math
from dataclasses import dataclass
from typing import Any

from probekit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tail:
    """Which recorded traces are kept, decided when their part in this process ends.

    A trace is kept when any rule says so.

    Attributes:
        share: Share of all traces kept at random, 0 to 1; the same ones in every
            process that uses the same share.
        errors: Keep every trace with a span that failed.
        slower_than_s: Keep every trace whose local root took longer, seconds; None
            for no such rule.
        slower_than_p99: Keep every trace whose local root took longer than 99 % of
            those of its name, once 100 of them were seen.
        most_spans: Spans that wait for a decision in this process, 1 or more; the
            oldest undecided trace goes when there are more.

    Example:
        >>> Tail(share=0.01, slower_than_s=2.0).errors
        True

    """

    share: float = 0.05
    errors: bool = True
    slower_than_s: "float | None" = None
    slower_than_p99: bool = True
    most_spans: int = 10_000

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            ConfigError: One is out of its range; the text names it.

        """
        _share("share", self.share)
        bound = self.slower_than_s
        if bound is not None and not (_is_number(bound) and 0 <= bound < math.inf):
            raise ConfigError(f"traces: slower_than_s={bound!r} must be 0 s or more")
        most = self.most_spans
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise ConfigError(f"traces: most_spans={most!r} must be 1 or more")


@dataclass(frozen=True, slots=True)
class Policy:
    """Which traces are recorded, and which of those are kept.

    Attributes:
        ratio: Share of the traces that begin here that are recorded, 0 to 1.
        follow_parent: Whether a trace that began elsewhere is recorded exactly when
            its caller records it; False decides by *ratio* again.
        tail: Which recorded traces are kept; None keeps all.

    Example:
        >>> Policy(ratio=0.1).tail is None
        True

    """

    ratio: float = 1.0
    follow_parent: bool = True
    tail: "Tail | None" = None

    def __post_init__(self) -> None:
        """Check the ratio and the tail.

        Raises:
            ConfigError: One of them breaks its rule; the text names it.

        """
        _share("ratio", self.ratio)
        tail: object = self.tail
        if tail is not None and not isinstance(tail, Tail):
            kind = type(tail).__name__
            raise ConfigError(f"traces: tail must be a Tail or None, not a {kind}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A policy as understood: who samples at the head, what happens at the tail.

    Attributes:
        policy: Ratio, parents and tail.
        sampler: An OpenTelemetry sampler that was given in place of a ratio.
    """

    policy: Policy
    sampler: Any = None


def plan_of(traces: Any) -> "Plan | None":
    """Understand the setting ``traces``.

    Args:
        traces: None for no traces, a share, a :class:`Policy`, a :class:`Tail`, or a
            sampler of OpenTelemetry's SDK.

    Raises:
        ConfigError: It is none of those.

    Example:
        >>> plan_of(0.5).policy.ratio
        0.5

    """
    if traces is None:
        return None
    if isinstance(traces, Plan):
        return traces
    if isinstance(traces, Policy):
        return Plan(traces)
    if isinstance(traces, Tail):
        return Plan(Policy(tail=traces))
    if _is_number(traces):
        return Plan(Policy(ratio=float(traces)))
    if callable(getattr(traces, "should_sample", None)):
        return Plan(Policy(), traces)
    raise ConfigError(
        f"traces: a {type(traces).__name__} is none of: a share from 0.0 to 1.0, "
        "probekit.tracing.Policy, probekit.tracing.Tail, a sampler of OpenTelemetry's",
    )


def _share(name: str, value: Any) -> None:
    if not _is_number(value) or not 0.0 <= value <= 1.0:
        raise ConfigError(f"traces: {name}={value!r} must be a share from 0.0 to 1.0")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
