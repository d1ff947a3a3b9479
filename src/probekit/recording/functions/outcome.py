"""What became of a function's calls: a series for success, one per error type."""

import sys
from collections.abc import Callable, Mapping
from time import perf_counter

from probekit.hints import Any, Protocol
from probekit.patience import Patience
from probekit.recording.attributes import type_name
from probekit.recording.errors.problems import Trie
from probekit.recording.instrument import Instrument
from probekit.recording.registry import Registry

FUNCTION_DURATION = "probekit.function.duration"
# Functions are as many as the program has, so their limit is another one.
FUNCTION_SETS_LIMIT = 10_000
_TYPES_LIMIT = 64  # error types of one function that are looked up without a search

if sys.version_info >= (3, 11):
    raised = sys.exception
else:

    def raised() -> "BaseException | None":
        """The exception being handled."""
        return sys.exc_info()[1]


class Fail(Protocol):
    """Takes when a call began and what it raised; by default what is being handled."""

    def __call__(
        self, started_s: float, error: "BaseException | None" = None, /
    ) -> None:
        """Record it; raises nothing but a ``RecursionError``."""


class Outcome:
    """Where the durations of one function go.

    Attributes:
        registry: Whose watch is compared and whose problems are counted.
        values: Durations of calls without an error, seconds, not yet taken.
        append: Takes the duration of a call without an error, seconds.
        known: Exceptions met before; see ``problems``.
        leads_in: Whether the first frame below its own is always of one function.
        fail: Takes when a failed call began, and its exception.
    """

    __slots__ = (
        "_attributes",
        "_by_type",
        "_from_source",
        "_instrument",
        "_name",
        "append",
        "fail",
        "known",
        "leads_in",
        "registry",
        "values",
    )

    def __init__(
        self,
        instrument: "Instrument[Any]",
        attributes: Mapping[str, Any],
        name: str,
        registry: Registry,
        *,
        from_source: bool = False,
    ) -> None:
        """Record into *instrument* with *attributes*; *name* is for problems.

        *from_source* says that the attributes are the function's own name alone.
        """
        self.registry = registry
        self._instrument = instrument
        self._attributes = attributes
        self._name = name
        self._from_source = from_source
        self.known: Trie = {}
        self.leads_in = False
        self.fail: Fail = failure_of(self)
        self._by_type: dict[type, Callable[[float], None]] = {}
        self.values = instrument.handle(attributes, from_source=from_source).values
        self.append: Callable[[float], None] = self.values.append

    @property
    def name(self) -> str:
        """Which function, for people."""
        return self._name

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What its calls are recorded with."""
        return self._attributes

    def lead_in(self) -> None:
        """Say that this is a wrapper of one function, before its first call."""
        self.leads_in = True
        self.fail = failure_of(self)

    def _meet(self, error: BaseException, started_s: float, ended_s: float) -> None:
        """Take a failed call whose like was not seen before, or that is nested."""
        if not isinstance(error, Exception):
            self.append(ended_s - started_s)
            return
        append = self._by_type.get(type(error)) or self._failed(type(error))
        append(ended_s - started_s)
        problems = self.registry.problems
        problems.meet(error, started_s, self, append)

    def fail_again(self, error: Exception, started_s: float) -> None:
        """Take a failed call whose exception is counted as a problem already."""
        registry, ended_s = self.registry, perf_counter()
        if ended_s > registry.watch.deadline[()] and registry.due():
            return
        append = self._by_type.get(type(error)) or self._failed(type(error))
        append(ended_s - started_s)

    def judge_by(
        self, error_if: Callable[[Any], object]
    ) -> Callable[[Any, float], None]:
        """Return what takes a result and a duration, and asks *error_if*."""
        append = self.append
        failed = self._series("_OTHER")
        patience = Patience(f"error_if {self._name}", f"error_if of {self._name}")

        def judge(result: Any, duration_s: float) -> None:
            is_error = False
            try:
                if patience.allows():
                    is_error = bool(error_if(result))
                    patience.worked()
            except RecursionError:  # the end of the stack is not its fault
                is_error = False
            except Exception as error:
                patience.failed(error)
            (failed if is_error else append)(duration_s)

        return judge

    def _failed(self, kind: type) -> Callable[[float], None]:
        append = self._series(type_name(kind))
        if len(self._by_type) < _TYPES_LIMIT:
            self._by_type[kind] = append
        return append

    def _series(self, error_type: str) -> Callable[[float], None]:
        attributes = {**self._attributes, "error.type": error_type}
        handle = self._instrument.handle(attributes, from_source=self._from_source)
        return handle.append


def failure_of(outcome: Outcome) -> Fail:
    """Return what a wrapper calls when its call ended with an exception.

    Written in one piece, without calls where it can be: an application that raises
    often should not pay for being watched. The exception counts as an error if it is
    an ``Exception``; ``SystemExit`` and its like are only timed. It is not kept.
    """
    registry, name, leads_in = outcome.registry, outcome.name, outcome.leads_in
    deadline, due, problems = registry.watch.deadline, registry.due, registry.problems
    find, meet = outcome.known.get, outcome._meet  # noqa: SLF001

    def fail(started_s: float, error: "BaseException | None" = None, /) -> None:
        ended_s = perf_counter()
        if ended_s > deadline[()] and due():
            return
        if error is None:
            error = raised()
            if error is None:
                return
        node = find(type(error))
        trace = error.__traceback__
        if trace is not None:
            trace = trace.tb_next  # the first is our own
            if leads_in:
                if trace is None:  # the function could not even be entered
                    node = None
                else:
                    trace = trace.tb_next
        while node is not None and trace is not None:
            node = node[1].get(id(trace.tb_frame.f_code))
            trace = trace.tb_next
        known = node and node[0]
        if known is None:
            meet(error, started_s, ended_s)
            return
        append, occur, group, _ = known
        append(ended_s - started_s)
        occur(ended_s)
        if ended_s >= group.dry_until_s:
            problems.sample_known(group, error, name, ended_s)

    return fail
