"""What became of one function's calls: a series for success, one for each error type."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.instruments import Instrument
from probekit.recording.registry import Registry

FUNCTION_DURATION = "probekit.function.duration"
# Functions are as many as the program has, so their limit is another one.
FUNCTION_SETS_LIMIT = 10_000
_TYPES_LIMIT = 64  # error types of one function that are looked up without a search


class Outcome:
    """Where the durations of one function go.

    Attributes:
        registry: Whose watch is compared and whose problems are counted.
        append: Takes the duration of a call without an error, seconds.
    """

    __slots__ = (
        "_attributes",
        "_by_type",
        "_instrument",
        "_name",
        "append",
        "registry",
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
        self._by_type: dict[type, Callable[[float], None]] = {}
        self.append: Callable[[float], None] = instrument.handle(attributes).append

    def fail(self, error: BaseException, started_s: float) -> None:
        """Take a call that ended with an exception.

        Args:
            error: Counted as an error if it is an ``Exception``; ``SystemExit`` and
                its like are only timed. Not kept.
            started_s: When the call began, ``perf_counter()`` seconds.

        """
        ended_s = perf_counter()
        registry = self.registry
        if ended_s > registry.watch.deadline[0] and registry.due():
            return
        if not isinstance(error, Exception):
            self.append(ended_s - started_s)
            return
        append = self._by_type.get(type(error)) or self._failed(type(error))
        append(ended_s - started_s)
        registry.problems.caught(error, started_s, self._name)

    def judge_by(
        self, error_if: Callable[[Any], object]
    ) -> Callable[[Any, float], None]:
        """Return what takes a result and a duration, and asks *error_if*."""
        append = self.append
        failed = self._series("_OTHER")

        def judge(result: Any, duration_s: float) -> None:
            try:
                is_error = bool(error_if(result))
            except Exception as error:
                kind = type_name(type(error))
                notice(f"error_if {self._name}", f"error_if of {self._name}: {kind}")
                is_error = False
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
