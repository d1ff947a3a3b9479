"""What became of a function's calls: a series for success, one per error type."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from probekit.patience import Patience
from probekit.recording.attributes import type_name
from probekit.recording.instruments import Instrument
from probekit.recording.problems import END, Trie
from probekit.recording.registry import Registry

FUNCTION_DURATION = "probekit.function.duration"
# Functions are as many as the program has, so their limit is another one.
FUNCTION_SETS_LIMIT = 10_000
_TYPES_LIMIT = 64  # error types of one function that are looked up without a search


class Outcome:
    """Where the durations of one function go.

    Attributes:
        registry: Whose watch is compared and whose problems are counted.
        values: Durations of calls without an error, seconds, not yet taken.
        append: Takes the duration of a call without an error, seconds.
        known: Exceptions met before; see ``problems``.
        fail: Takes the exception of a failed call and when the call began.
    """

    __slots__ = (
        "_attributes",
        "_by_type",
        "_instrument",
        "_name",
        "append",
        "fail",
        "known",
        "registry",
        "values",
    )

    def __init__(
        self,
        instrument: "Instrument[Any]",
        attributes: Mapping[str, Any],
        name: str,
        registry: Registry,
    ) -> None:
        """Record into *instrument* with *attributes*; *name* is for problems."""
        self.registry = registry
        self._instrument = instrument
        self._attributes = attributes
        self._name = name
        self.known: Trie = {}
        self.fail = failure_of(self, name)
        self._by_type: dict[type, Callable[[float], None]] = {}
        self.values = instrument.handle(attributes).values
        self.append: Callable[[float], None] = self.values.append

    @property
    def name(self) -> str:
        """Which function, for people."""
        return self._name

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What its calls are recorded with."""
        return self._attributes

    def _meet(self, error: BaseException, started_s: float, ended_s: float) -> None:
        """Take a failed call whose like was not seen before, or that is nested."""
        if not isinstance(error, Exception):
            self.append(ended_s - started_s)
            return
        append = self._by_type.get(type(error)) or self._failed(type(error))
        append(ended_s - started_s)
        problems = self.registry.problems
        problems.meet(error, started_s, self.known, append, self._name)

    def fail_again(self, error: Exception, started_s: float) -> None:
        """Take a failed call whose exception is counted as a problem already."""
        registry, ended_s = self.registry, perf_counter()
        if ended_s > registry.watch.deadline[0] and registry.due():
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
        return self._instrument.handle(attributes).append


def failure_of(outcome: Outcome, name: str) -> Callable[[BaseException, float], None]:
    """Return what a wrapper calls when its call ended with an exception.

    Written in one piece, without calls where it can be: an application that raises
    often should not pay for being watched. The exception counts as an error if it is
    an ``Exception``; ``SystemExit`` and its like are only timed. It is not kept.
    """
    registry = outcome.registry
    deadline, due, problems = registry.watch.deadline, registry.due, registry.problems
    find, meet = outcome.known.get, outcome._meet  # noqa: SLF001

    def fail(error: BaseException, started_s: float) -> None:
        ended_s = perf_counter()
        if ended_s > deadline[0] and due():
            return
        node = find(type(error))
        trace = error.__traceback__
        while node is not None and trace is not None:
            trace = trace.tb_next  # the first is our own
            if trace is None:
                break
            node = node.get(id(trace.tb_frame.f_code))
        known = node and node.get(END)
        if known is None:
            meet(error, started_s, ended_s)
            return
        append, occur, group, _ = known
        append(ended_s - started_s)
        occur(ended_s)
        if ended_s >= group.dry_until_s:
            problems.sample_known(group, error, name, ended_s)

    return fail
