"""One instrumented function: what its woven code calls, and the way back.

The function object stays what it was; only its code is exchanged, for one that times
every call, for the hot one that counts all and times every 16th, and at the end for
the original.
"""

from _weakref import ref  # weakref itself brings a set that nobody needs here
from collections.abc import Callable, Mapping
from threading import get_ident
from time import perf_counter
from types import CodeType, FunctionType, MappingProxyType

from probekit.hints import TYPE_CHECKING, Any
from probekit.notice import notice
from probekit.observer import frozen
from probekit.recorded import Series
from probekit.recording.functions.outcome import (
    FUNCTION_DURATION,
    FUNCTION_SETS_LIMIT,
    Outcome,
)
from probekit.recording.instruments import Histogram, instrument
from probekit.recording.weave import Strands, can_weave, exchange, timed_code
from probekit.recording.weave.strands import TIMED_EVERY
from probekit.recording.woven import Gate, Witness

if TYPE_CHECKING:
    from probekit.recording.errors.problems import Trie
    from probekit.recording.functions.sampled import SampledHandle

TIMED_EVERY_ATTRIBUTE = "probekit.timed_every"
_NONE: Mapping[str, Any] = MappingProxyType({})
DESCRIPTION = "Duration of calls of probed functions."

# Threads inside our own recording of an error. What it calls may be instrumented too
# (parts of the standard library), and fail in its turn.
FAILING: "set[int]" = set()
_NOTHING: "Trie" = {}  # stays empty


class Hot:
    """Where the calls of a function go while it is hot.

    Attributes:
        code: Counts every call, times one of 16.
        handle: The series.
    """

    __slots__ = ("code", "handle")

    def __init__(self, handle: "SampledHandle") -> None:
        """Start without code."""
        self.handle = handle
        self.code: CodeType | None = None


class Stitch(Witness):
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
        "_deadline",
        "_from_source",
        "_function",
        "_gate",
        "_handle",
        "_known",
        "_least_s",
        "_more",
        "_outcomes",
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
        attributes: Mapping[str, Any] = _NONE,
        from_source: bool = False,
    ) -> None:
        """Prepare series and code for *function*, which stays as it is.

        Args:
            function: Woven by nobody yet.
            name: ``code.function.name``.
            gate: Of the registry that it is recorded into.
            min_duration_s: Least duration of a call that leaves a span, or None.
            attributes: More of them, cleaned.
            from_source: Whether the name is the function's own and the attributes are
                the program's, not the user's.

        Raises:
            Unweavable: Its code has a form that is not known.

        """
        super().__init__()
        self.name = name
        self.original: CodeType = function.__code__
        self._function: Callable[[], FunctionType | None] = ref(function)
        self._gate = gate
        self._least_s = min_duration_s
        self._more = attributes
        self._from_source = from_source
        self._known: Trie = _NOTHING
        self._deadline = gate.deadline
        self._outcomes: tuple[Outcome | None, Outcome | None] = (None, None)
        self._handle = _durations(gate).handle(self.attributes, from_source=from_source)
        self.hot: Hot | None = None
        self.is_hot = False
        self.seen = 0
        strands = self._strands(self._handle.append, self.fail)
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
        if not can_weave():
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

    def retired(self, code: CodeType) -> "CodeType | None":
        """Let calls that begin from now on run a copy of *code*, which was made here.

        Returns:
            *code*, if no call of the function begins in it any more.

        """
        function = self._function()
        if function is None:
            return code
        if function.__code__ is code:
            if not can_weave():
                return None
            fresh = code.replace()
            if self.code is code:
                self.code = fresh
            if self.hot is not None and self.hot.code is code:
                self.hot.code = fresh
            self._gate.registry.twins.renew(function, fresh)
            function.__code__ = fresh
        return code

    def let_go(self) -> None:
        """Forget the codes that were made here; they hold this object.

        Whoever has put one in for good says so too. The garbage collector does not
        look into code, so it would never see that the two only hold each other.
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
        """Take a call that ended with an exception.

        Args:
            error: It.
            started_s: When the call began.

        """
        # What was seen before, and has passed no woven function on its way here: in
        # one piece, for an application that raises often should not pay for being
        # watched, and with nothing that may be instrumented itself.
        node = self._known.get(type(error))
        if node is not None:
            ended_s = perf_counter()
            trace = error.__traceback__
            if trace is not None and ended_s <= self._deadline[()]:
                while (trace := trace.tb_next) is not None:
                    node = node[1].get(id(trace.tb_frame.f_code))
                    if node is None:
                        break
                else:
                    if node[0] is not None:
                        append, occur, group, _ = node[0]
                        if ended_s < group.dry_until_s:
                            append(ended_s - started_s)
                            occur(ended_s)
                            seen_id = id(error)
                            self.seen_id, self.seen_s = seen_id, started_s
                            return
        self._fail(error, started_s)

    def fail_hot(self, error: BaseException, started_s: float) -> None:
        """The same while hot; *started_s* is 0.0 when the call was not timed."""
        hot = self.hot
        if hot is None:
            return
        if isinstance(error, Exception):
            hot.handle.errors.tick()
            self._fail(error, started_s, hot)
        elif started_s:  # counted already, as a call that ended well
            hot.handle.append(perf_counter() - started_s)

    def slow(self, duration_s: float) -> None:
        """Leave a span for a call that ends now."""
        self._span(duration_s, None)

    @property
    def attributes(self) -> "dict[str, Any]":
        """What its calls are recorded with."""
        return {**self._more, "code.function.name": self.name}

    def _fail(
        self, error: BaseException, started_s: float, hot: "Hot | None" = None
    ) -> None:
        thread = get_ident()
        if thread in FAILING:
            return
        try:
            FAILING.add(thread)  # inside: a signal may come right after it
            begun_s = started_s
            if hot and not started_s:
                begun_s = perf_counter() - hot.handle.last_s
            outcome = self._outcomes[hot is not None] or self._meet(hot)
            problems = self._gate.registry.problems
            if isinstance(error, Exception) and problems.is_passed_on(error, begun_s):
                outcome.fail_again(error, begun_s)
            else:
                outcome.fail(begun_s, error)
            seen_id = id(error)
            self.seen_id, self.seen_s = seen_id, begun_s
            if self._least_s is not None and started_s:
                duration_s = perf_counter() - started_s
                if duration_s >= self._least_s:
                    self._span(duration_s, error)
        except RecursionError:
            raise  # woven code counts it where it cannot be told
        except Exception as failure:
            notice("fail", f"an error of {self.name} was not recorded", failure)
        finally:
            FAILING.discard(thread)

    def _meet(self, hot: "Hot | None") -> Outcome:
        """Make what takes errors, at the first one: most functions never fail."""
        attributes = self.attributes if hot is None else self._hot_attributes
        made = Outcome(
            _durations(self._gate),
            attributes,
            self.name,
            self._gate.registry,
            from_source=self._from_source,
        )
        cool, heated = self._outcomes
        self._outcomes = (cool, made) if hot else (made, heated)
        if hot is None and self._least_s is None:
            self._known = made.known
        return made

    def _span(self, duration_s: float, error: "BaseException | None") -> None:
        tracing = self._gate.registry.tracing
        if tracing is not None:
            tracing.past(self.name, self.attributes, duration_s, error)

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

    @property
    def _hot_attributes(self) -> "dict[str, Any]":
        return {**self.attributes, TIMED_EVERY_ATTRIBUTE: TIMED_EVERY}

    def _warm(self) -> "Hot | None":
        """Make the hot series; None when there are too many series already."""
        from probekit.recording.functions.sampled import SampledHandle

        registry, attributes = self._gate.registry, self._hot_attributes
        series = Series(
            FUNCTION_DURATION, "histogram", "s", frozen(attributes), DESCRIPTION
        )
        made = SampledHandle(series, registry.table.intern(series))
        registry.adopt(made)
        handle = _durations(self._gate).handle(
            attributes, from_source=self._from_source
        )
        if isinstance(handle, SampledHandle):
            self.hot = Hot(handle)
        return self.hot

    def _exchange(self, code: CodeType) -> None:
        """Put *code* in, unless somebody else has put in code of his own."""
        function = self._function()
        if function is None:
            return
        present = function.__code__
        if present is self.original or self.owns(present):
            exchange(function, code)

    def __reduce__(self) -> Any:
        """Pickled code (cloudpickle's) records errors nowhere, and undoes nothing."""
        return _Elsewhere, ()


class _Elsewhere(Witness):
    """Stands in for a stitch in another process, where the function has no series.

    Some picklers take a stitch's methods apart and bring them here, so these are what
    the methods above ask for.
    """

    _known = _NOTHING
    hot = None

    def fail(self, error: BaseException, started_s: float) -> None:
        """Nothing."""

    fail_hot = _fail = fail

    def slow(self, duration_s: float) -> None:
        """Nothing."""

    def _span(self, duration_s: float, error: "BaseException | None") -> None:
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
