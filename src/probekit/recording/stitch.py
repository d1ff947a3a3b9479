"""One instrumented function: what its woven code calls, and the way back.

The function object stays what it was; only its code is exchanged, for one that times
every call, for the hot one that counts all and times every 16th, and at the end for
the original.
"""

import os
from collections.abc import Callable
from threading import get_ident
from time import perf_counter
from types import CodeType, FunctionType
from typing import Any
from weakref import ref

from probekit.model import Series, Span
from probekit.notice import notice
from probekit.observer import frozen
from probekit.recording.attributes import type_name
from probekit.recording.instruments import Histogram, instrument
from probekit.recording.outcome import FUNCTION_DURATION, FUNCTION_SETS_LIMIT, Outcome
from probekit.recording.sampled import SampledHandle
from probekit.recording.weave import Strands, timed_code
from probekit.recording.weave.shroud import hide_twin, show_twin
from probekit.recording.weave.strands import TIMED_EVERY
from probekit.recording.weave.weaver import CAN_WEAVE
from probekit.recording.woven import Gate

TIMED_EVERY_ATTRIBUTE = "probekit.timed_every"
DESCRIPTION = "Duration of calls of probed functions."

# Threads inside our own recording of an error. What it calls may be instrumented too
# (parts of the standard library), and fail in its turn.
_FAILING: "set[int]" = set()


class Hot:
    """Where the calls of a function go while it is hot.

    Attributes:
        code: Counts every call, times one of 16.
        handle: The series.
        outcome: Takes errors.
    """

    __slots__ = ("code", "handle", "outcome")

    def __init__(self, handle: SampledHandle, outcome: Outcome) -> None:
        """Start without code."""
        self.handle = handle
        self.outcome = outcome
        self.code: CodeType | None = None


class Stitch:
    """One instrumented function.

    Attributes:
        name: ``code.function.name``.
        original: The function's own code.
        code: The code that times every call.
        hot: What it needs while it is hot, or None when it never was.
        is_hot: Whether the hot code is in place.
        seen: Calls counted when its rate was last looked at.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_function",
        "_gate",
        "_handle",
        "_least_s",
        "_outcome",
        "code",
        "hot",
        "is_hot",
        "name",
        "original",
        "seen",
    )

    def __init__(
        self,
        function: FunctionType,
        name: str,
        gate: Gate,
        *,
        min_duration_s: "float | None" = None,
    ) -> None:
        """Prepare series and code for *function*, which stays as it is.

        Raises:
            Unweavable: Its code has a form that is not known.

        """
        self.name = name
        self.original: CodeType = function.__code__
        self._function: Callable[[], FunctionType | None] = ref(function)
        self._gate = gate
        self._least_s = min_duration_s
        self._attributes = {"code.function.name": name}
        durations = _durations(gate)
        self._outcome = Outcome(durations, self._attributes, name, gate.registry)
        self._handle = durations.handle(self._attributes)
        self.hot: Hot | None = None
        self.is_hot = False
        self.seen = 0
        strands = self._strands(self._outcome.append, self.fail)
        self.code = timed_code(function, self.original, strands)

    @property
    def function(self) -> "FunctionType | None":
        """The function, while it lives."""
        return self._function()

    def tie(self) -> None:
        """Put the timing code in, where the original or the hot code is."""
        self._exchange(self.code)
        self.is_hot = False

    def heat(self) -> None:
        """Put the hot code in, where this interpreter's code is known."""
        if not CAN_WEAVE:
            return
        function = self._function()
        hot = self.hot or self._warm()
        if hot is None or function is None:
            return
        if hot.code is None:
            strands = self._strands(
                hot.handle.append, self.fail_hot, tick=hot.handle.calls.tick
            )
            hot.code = timed_code(function, self.original, strands)
        self._exchange(hot.code)
        self.is_hot = True

    def untie(self) -> None:
        """Put the original code back."""
        self._exchange(self.original)
        self.is_hot = False

    def let_go(self) -> None:
        """Forget the codes that were made here; they hold this object.

        The garbage collector does not look into code, so it would never see that the
        two only hold each other.
        """
        self.code = self.original
        if self.hot is not None:
            self.hot.code = None

    def owns(self, code: CodeType) -> bool:
        """Whether *code* was made here."""
        hot = self.hot
        if hot is not None and code is hot.code:
            return True
        return code is self.code and code is not self.original

    def calls(self) -> int:
        """Calls not drained yet; while it is hot, all since it first was."""
        if self.is_hot and self.hot is not None:
            return self.hot.handle.calls.read()
        return len(self._handle.values) + self._handle.count

    def fail(self, error: BaseException, started_s: float) -> None:
        """Take a call that ended with an exception."""
        self._take(self._outcome, error, started_s)

    def fail_hot(self, error: BaseException, started_s: float) -> None:
        """The same while hot; *started_s* is 0.0 when the call was not timed."""
        hot = self.hot
        if hot is None:
            return
        if isinstance(error, Exception):
            hot.handle.errors.tick()
            started_s = started_s or perf_counter() - hot.handle.last_s
            self._take(hot.outcome, error, started_s)
        elif started_s:  # counted already, as a call that ended well
            hot.handle.append(perf_counter() - started_s)

    def slow(self, duration_s: float) -> None:
        """Record a span for a call that ends now."""
        try:
            self._span(duration_s, None)
        except Exception as error:
            notice("slow", f"a slow call of {self.name} left no span: {error!r}")

    def _take(self, outcome: Outcome, error: BaseException, started_s: float) -> None:
        thread = get_ident()
        if thread in _FAILING:
            return
        _FAILING.add(thread)
        try:
            problems = self._gate.registry.problems
            if isinstance(error, Exception) and problems.is_passed_on(error, started_s):
                outcome.fail_again(error, started_s)
            else:
                outcome.fail(error, started_s)
            problems.passed(error, started_s)
            if self._least_s is not None:
                duration_s = perf_counter() - started_s
                if duration_s >= self._least_s:
                    self._span(duration_s, error)
        except RecursionError:
            raise  # woven code counts it where it cannot be told
        except Exception as failure:
            notice("fail", f"an error of {self.name} was not recorded: {failure!r}")
        finally:
            _FAILING.discard(thread)

    def _span(self, duration_s: float, error: "BaseException | None") -> None:
        registry = self._gate.registry
        trace_id, parent = registry.ids()
        end_unix_ns = registry.clock.wall_ns()
        failed = isinstance(error, Exception)
        more = {"error.type": type_name(type(error))} if failed else {}
        registry.span(
            Span(
                trace_id=trace_id or os.urandom(16).hex(),
                span_id=os.urandom(8).hex(),
                parent_span_id=parent,
                name=self.name,
                kind=1,
                start_unix_ns=end_unix_ns - round(duration_s * 1e9),
                end_unix_ns=end_unix_ns,
                attributes={**self._attributes, **more},
                status=2 if failed else 0,
            )
        )

    def _strands(
        self,
        append: Callable[[float], object],
        fail: Callable[[BaseException, float], object],
        tick: "Callable[[], int] | None" = None,
    ) -> Strands:
        gate = self._gate
        return Strands(
            gate=gate,
            due=gate.due,
            append=append,
            fail=fail,
            missed=gate.missed,
            tick=tick,
            slow=None if self._least_s is None else self.slow,
            slow_s=self._least_s or 0.0,
        )

    def _warm(self) -> "Hot | None":
        """Make the hot series; None when there are too many series already."""
        registry = self._gate.registry
        attributes: dict[str, str | int] = {
            **self._attributes,
            TIMED_EVERY_ATTRIBUTE: TIMED_EVERY,
        }
        series = Series(
            FUNCTION_DURATION, "histogram", "s", frozen(attributes), DESCRIPTION
        )
        made = SampledHandle(series, registry.table.intern(series))
        registry.adopt(made)
        durations = _durations(self._gate)
        handle = durations.handle(attributes)
        if not isinstance(handle, SampledHandle):
            return None
        outcome = Outcome(durations, attributes, self.name, registry)
        self.hot = Hot(handle, outcome)
        return self.hot

    def _exchange(self, code: CodeType) -> None:
        """Put *code* in, unless somebody else has put in code of his own."""
        function = self._function()
        if function is None:
            return
        present = function.__code__
        if present is self.original or self.owns(present):
            function.__code__ = code
            hide_twin(function, present)
            show_twin(function, code)

    def __reduce__(self) -> Any:
        """Pickled code (cloudpickle's) records errors nowhere, and undoes nothing."""
        return _Elsewhere, ()


class _Elsewhere:
    """Stands in for a stitch in another process."""

    def fail(self, error: BaseException, started_s: float) -> None:
        """Nothing: the function has no series here."""

    fail_hot = fail

    def slow(self, duration_s: float) -> None:
        """Nothing."""


def _durations(gate: Gate) -> Histogram:
    return instrument(
        Histogram,
        FUNCTION_DURATION,
        "s",
        DESCRIPTION,
        registry=gate.registry,
        limit_sets=FUNCTION_SETS_LIMIT,
    )
