"""Functions whose calls are counted and not timed: ``probe.count``.

A counted call takes one step of an endless iterator in C: no lock, no list, no number
of Python's that two threads could add to at once. Where this interpreter's code is
known the step is woven into a copy of the function, elsewhere a wrapper takes it. It
is taken when a call has ended well; failed calls have series of their own.
"""

from collections.abc import Callable
from itertools import count
from threading import get_ident
from time import perf_counter
from types import FunctionType

from probekit.hints import TYPE_CHECKING, Any
from probekit.notice import notice
from probekit.recorded import AttributeValue, Series
from probekit.recording.functions.outcome import FUNCTION_SETS_LIMIT, Outcome
from probekit.recording.functions.stitch import FAILING
from probekit.recording.functions.woven_twin import can_be_woven, copied
from probekit.recording.functions.wrapper import timed
from probekit.recording.handle import Handle, Invalid, SumHandle
from probekit.recording.instruments import Counter, instrument
from probekit.recording.registry import Registry
from probekit.recording.weave.strands import Strands
from probekit.recording.weave.weaver import weave
from probekit.recording.woven import Witness

if TYPE_CHECKING:
    from probekit.model import Harvest

FUNCTION_CALLS = "probekit.function.calls"
_NAME_ENDS = len("Ticks(")


class Ticks(count):  # type: ignore[type-arg]  # it is no generic class when it runs
    """An endless iterator that tells how many steps were taken."""

    __slots__ = ()

    def taken(self) -> int:
        """How many; the one way to see it that takes none and that Python keeps."""
        return int(repr(self)[_NAME_ENDS:-1])

    def __reduce__(self) -> Any:
        """Counts elsewhere begin anew (code that cloudpickle has pickled)."""
        return Ticks, ()


class CallsHandle(SumHandle):
    """Counts steps of its iterator, and values, whatever they are.

    Failed calls append a value as timed ones do; it stands for one call.

    Attributes:
        ticks: Calls that ended well take one step each.
    """

    __slots__ = ("_folded", "_harvested", "ticks")

    def __init__(self, series: Series, series_id: int) -> None:
        """Start at zero."""
        self.ticks = Ticks()
        self._folded = 0
        self._harvested = 0  # steps
        super().__init__(series, series_id)

    @property
    def count(self) -> int:
        """Calls that are not harvested and do not wait as values."""
        return self._folded + self.ticks.taken() - self._harvested

    @count.setter
    def count(self, count: int) -> None:
        """Nothing: the iterator knows."""

    def forget(self) -> None:
        """Drop everything recorded so far; it is the parent's."""
        super().forget()
        self._folded = 0
        self._harvested = self.ticks.taken()

    def fold(
        self,
        invalid: Invalid,  # noqa: ARG002 - every value is one call
        *,
        most: "int | None" = None,
    ) -> None:
        """Count the waiting values."""
        taken = len(self.values[:most])
        folded = self._folded + taken
        del self.values[:taken]
        self._folded = folded

    def harvest(self, into: "Harvest", invalid: Invalid) -> None:
        """Write how many calls there were."""
        self.fold(invalid)
        steps = self.ticks.taken()
        calls = self._folded + steps - self._harvested
        if calls:
            into.sum_ids.append(self.series_id)
            into.sum_values.append(float(calls))
            into.sum_counts.append(calls)
            self._folded, self._harvested = 0, steps


class Calls(Counter):
    """The counter of calls."""

    __slots__ = ()

    def _make(self, attributes: "tuple[tuple[str, AttributeValue], ...]") -> Handle:
        series = Series(self.name, self.kind, self.unit, attributes, self.description)
        registry = self._registry
        registry.adopt(CallsHandle(series, registry.table.intern(series)))
        return registry.handle(series)


class _Failures(Witness):
    """Takes the failed calls of one counted function."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: "Outcome | None" = None) -> None:
        """Take them to *outcome*, if there is a series in this process."""
        super().__init__()
        self._outcome = outcome

    def fail(self, error: BaseException, _: float) -> None:
        """Count a call that ended with *error*; woven code calls this."""
        thread, outcome = get_ident(), self._outcome
        if outcome is None or thread in FAILING:
            return
        try:
            FAILING.add(thread)  # inside: a signal may come right after it
            outcome.fail(0.0, error)
            seen_id, seen_s = id(error), perf_counter()
            self.seen_id, self.seen_s = seen_id, seen_s
        except RecursionError:
            raise  # woven code counts it where it cannot be told
        except Exception as failure:
            notice("fail", f"an error of {outcome.name} was not counted", failure)
        finally:
            FAILING.discard(thread)

    def __reduce__(self) -> Any:
        """Pickled code (cloudpickle's) records errors nowhere."""
        return _Failures, ()


def counted(
    function: Callable[..., Any],
    name: str,
    attributes: "dict[str, Any]",
    registry: Registry,
) -> FunctionType:
    """Return the counted twin of *function*, which stays as it is.

    Args:
        function: Any callable.
        name: ``code.function.name``.
        attributes: More of them, cleaned.
        registry: Where calls are counted.

    """
    calls = instrument(
        Calls,
        FUNCTION_CALLS,
        "{call}",
        "Calls of counted functions.",
        registry=registry,
        limit_sets=FUNCTION_SETS_LIMIT,
    )
    full = {**attributes, "code.function.name": name}
    handle = calls.handle(full, from_source=not attributes)
    outcome = Outcome(calls, full, name, registry, from_source=not attributes)
    ticks = handle.ticks if isinstance(handle, CallsHandle) else Ticks()
    if can_be_woven(function):
        try:
            return _woven(function, outcome, ticks)
        except Exception as error:  # a form that is not known; a wrapper will do
            notice("count", f"{name} is counted by a wrapper: {error}")
    return timed(function, outcome, ticks=ticks)


def _woven(function: FunctionType, outcome: Outcome, ticks: Ticks) -> FunctionType:
    gate = outcome.registry.gate
    strands = Strands(
        gate=gate,
        due=gate.due,
        append=outcome.append,
        fail=_Failures(outcome).fail,
        missed=gate.missed,
        ticks=ticks,
    )
    twin = copied(function, weave(function.__code__, strands))
    outcome.registry.twins.add(twin, original=function.__code__, counted=True)
    return twin
