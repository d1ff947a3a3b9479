"""``timer``: the duration of a block, under a name of its own."""

from collections.abc import Callable, Mapping
from time import perf_counter
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from probekit.passing import let_pass
from probekit.recording.attributes import clean, type_name
from probekit.recording.functions.outcome import Outcome
from probekit.recording.functions.wrapper import timed
from probekit.recording.instruments import Histogram, instrument
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY, Registry

P = ParamSpec("P")
R = TypeVar("R")


class Timer:
    """Times a block (``with`` or ``async with``) or, as a decorator, a function.

    Make one for each block: nested use of one object works, use by several threads
    or tasks at once does not.
    """

    __slots__ = ("_attributes", "_instrument", "_registry", "_starts_s")

    def __init__(
        self,
        instrument: Histogram,
        attributes: "Mapping[str, Any] | None",
        registry: Registry,
    ) -> None:
        """Record into *instrument*."""
        self._instrument = instrument
        self._attributes = attributes
        self._registry = registry
        self._starts_s: list[float] = []

    def __enter__(self) -> "Timer":  # noqa: PYI034 - Self is of Python 3.11
        """Start."""
        self._starts_s.append(perf_counter())
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Stop; an exception passes, and is the ``error.type`` if it is an error."""
        duration_s = perf_counter() - self._starts_s.pop()
        attributes = self._attributes
        if kind is not None and issubclass(kind, Exception):
            try:
                attributes = {**(attributes or {}), "error.type": type_name(kind)}
            except Exception as failure:  # no mapping: counted just below
                let_pass(failure)
                attributes = self._attributes
        self._instrument.record(duration_s, attributes)

    async def __aenter__(self) -> "Timer":  # noqa: PYI034 - the same
        """Start."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """Stop, as :meth:`__exit__`."""
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function* with each call timed; errors are grouped as by a probe."""
        if is_disabled():
            return function
        outcome = Outcome(
            self._instrument,
            clean(self._attributes),
            self._instrument.name,
            self._registry,
        )
        return timed(function, outcome)


def timer(
    name: str,
    *,
    attributes: "Mapping[str, Any] | None" = None,
    description: str = "",
) -> Timer:
    """Time a block of code.

    Args:
        name: Name of a histogram in seconds.
        attributes: What tells this series from its sisters.
        description: One line for people.

    Raises:
        BadName: The name breaks the rules, or is taken by another kind or unit.

    Example:
        >>> with timer("shop.render", attributes={"page": "cart"}):
        ...     pass

    """
    durations = instrument(Histogram, name, "s", description, registry=REGISTRY)
    return Timer(durations, attributes, REGISTRY)
