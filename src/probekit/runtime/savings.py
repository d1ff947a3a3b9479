"""What is given up when probekit costs too much, in this order, and taken back.

1. ``spans``: one trace in sixteen is kept.
2. ``stacks``: one sample of each problem a minute.
3. ``attributes``: an instrument gets no attribute sets beyond a hundred.
4. ``flush``: what was recorded is written once a second.

Calls, errors and sums are counted exactly all the while.
"""

from typing import TYPE_CHECKING

from probekit.recording.thrift import NO_LIMIT
from probekit.runtime.governor import Saving

if TYPE_CHECKING:
    from probekit.delivery.pump import Pump
    from probekit.recording.registry import Registry

ONE_TRACE_IN = 16
FEW_SETS = 100
SLOW_S = 1.0
# A write a second costs a fifth: it must be that cheap before five are affordable.
_FLUSH_RELAXED = 0.15


def savings_of(registry: "Registry", pump: "Pump") -> "tuple[Saving, ...]":
    """All that *registry* and *pump* can give up, in the order above."""
    thrift, normal_s = registry.thrift, pump.interval_s

    def keep_traces(one_in: int) -> None:
        thrift.one_trace_in = one_in

    def sample_less(*, few: bool) -> None:
        thrift.few_samples = few

    def limit_sets(limit: int) -> None:
        thrift.sets_limit = limit

    def write_every(interval_s: float) -> None:
        pump.interval_s = interval_s

    return (
        Saving(
            "spans",
            lambda: keep_traces(ONE_TRACE_IN),
            lambda: keep_traces(1),
            helps=lambda: registry.tracing is not None,
        ),
        Saving(
            "stacks",
            lambda: sample_less(few=True),
            lambda: sample_less(few=False),
            helps=lambda: registry.problems.any,
        ),
        Saving(
            "attributes", lambda: limit_sets(FEW_SETS), lambda: limit_sets(NO_LIMIT)
        ),
        Saving(
            "flush",
            lambda: write_every(max(normal_s, SLOW_S)),
            lambda: write_every(normal_s),
            relaxed=_FLUSH_RELAXED,
        ),
    )
