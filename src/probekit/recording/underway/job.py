"""``job``: a heartbeat for what runs by the clock, in scripts, cron and schedulers.

Who does not run does not complain; so a job leaves behind when it last succeeded, and
an alert watches the age of that. Nothing here waits or raises into the job.
"""

import functools
import time
from collections.abc import Callable, Mapping
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from probekit.errors import ConfigError
from probekit.naming import VALUE_LIMIT
from probekit.notice import notice
from probekit.recording.attributes import clean, encodable, type_name
from probekit.recording.errors.seen import is_new, mark_recorded
from probekit.recording.events import record_error
from probekit.recording.instruments import gauge, histogram, up_down_counter
from probekit.recording.quiet import is_disabled
from probekit.recording.registry import REGISTRY
from probekit.recording.seams import CallSpan
from probekit.recording.underway.running import UNDERWAY, Operation

NAME_ATTRIBUTE = "probekit.job.name"

P = ParamSpec("P")
R = TypeVar("R")


class Job:
    """One kind of job: a block (``with``, ``async with``) or, as a decorator, a call.

    Make one for each block: nested use of one object works, use by several threads or
    tasks at once does not. As a decorator it may be called by any number of them.
    """

    __slots__ = ("_attributes", "_began_s", "_name", "_spans")

    def __init__(self, name: str, attributes: "Mapping[str, Any] | None") -> None:
        """Use :func:`job`."""
        self._name = name
        self._attributes = {**clean(attributes), NAME_ATTRIBUTE: name}
        self._began_s: list[float] = []
        self._spans: list[CallSpan | None] = []

    def __enter__(self) -> "Job":  # noqa: PYI034 - Self is of Python 3.11
        """Start a run."""
        self._spans.append(self._opened())
        self._tell(_began, self._attributes)
        self._began_s.append(time.perf_counter())
        UNDERWAY.add(self)
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """End the run; an exception passes."""
        began_s = self._began_s.pop()
        if not self._began_s:
            UNDERWAY.discard(self)
        self._tell(_ended, self._attributes, began_s, error)
        span = self._spans.pop()
        if span is not None:
            self._tell(span.end, error)

    def underway(self, longest_s: float) -> "Operation | None":
        """Describe the run, if it began before *longest_s*; see ``Underway``."""
        began_s = self._began_s[0]
        if began_s > longest_s:
            return None
        return Operation("job", self._name, began_s, self._attributes, entry=id(self))

    async def __aenter__(self) -> "Job":  # noqa: PYI034 - the same
        """Start a run."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        """End the run, as :meth:`__exit__`."""
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function* with each call being a run.

        Raises:
            ConfigError: It is a generator function: its call is not its run.

        """
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise ConfigError(
                f"job({self._name!r}): {function.__qualname__} is a generator; "
                "decorate the function that consumes it",
            )
        if is_disabled():
            return function
        name, attributes = self._name, self._attributes
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                with Job(name, attributes):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", run_coroutine)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with Job(name, attributes):
                return function(*args, **kwargs)

        return run

    def _opened(self) -> "CallSpan | None":
        tracing = REGISTRY.tracing
        if tracing is None:
            return None
        return tracing.begin(self._name, self._attributes)

    def _tell(self, what: "Callable[..., None]", *facts: Any) -> None:
        try:
            what(*facts)
        except Exception as failure:
            notice("job", f"a run of job {self._name!r} was not recorded", failure)


def job(name: str, *, attributes: "Mapping[str, Any] | None" = None) -> Job:
    """Watch a job: how long it took, whether it succeeded, and when it last did.

    Records ``probekit.job.duration`` (with ``error.type`` when it failed),
    ``probekit.job.active``, ``probekit.job.success`` (1 or 0, of the last run) and
    ``probekit.job.last_success`` (seconds since 1970), each with the attribute
    ``probekit.job.name``. A failure is recorded as an error too. ``SystemExit`` with
    a code other than 0, ``KeyboardInterrupt`` and cancellation are no errors and no
    success. Where traces are on, a run is a span: the first of its trace, unless it is
    part of one already.

    Args:
        name: Which job; one series each, so not a name made anew for each run.
        attributes: What else tells this series from its sisters.

    Returns:
        A context manager (``async`` too) that is also a decorator.

    Raises:
        ConfigError: *name* is not text of 1 to 4,096 characters.

    Threads:
        Any; never waits.

    Example:
        >>> with job("nightly"):
        ...     pass
        >>> @job("hourly", attributes={"region": "eu"})
        ... def refresh():
        ...     return 7
        >>> refresh()
        7

    """
    if not isinstance(name, str) or not name.strip() or len(name) > VALUE_LIMIT:
        raise ConfigError(
            f"job name {name!a:.120} must be text of 1 to {VALUE_LIMIT} characters",
        )
    return Job(encodable(name, VALUE_LIMIT), attributes)


def _active() -> Any:
    return up_down_counter(
        "probekit.job.active",
        unit="{run}",
        description="Runs of the job that are under way.",
        ends_with_process=True,
    )


def _began(attributes: "Mapping[str, Any]") -> None:
    _active().add(1, attributes)


def _ended(
    attributes: "Mapping[str, Any]",
    began_s: float,
    error: "BaseException | None",
) -> None:
    seconds = time.perf_counter() - began_s
    _active().add(-1, attributes)
    failed = isinstance(error, Exception)
    outcome = {**attributes, "error.type": type_name(type(error))} if failed else None
    histogram(
        "probekit.job.duration",
        unit="s",
        description="Duration of a run of the job.",
    ).record(seconds, outcome or attributes)
    succeeded = error is None or (
        isinstance(error, SystemExit) and error.code in {None, 0}
    )
    gauge(
        "probekit.job.success",
        unit="1",
        description="Whether the last run of the job succeeded: 1 or 0.",
    ).set(int(succeeded), attributes)
    if succeeded:
        gauge(
            "probekit.job.last_success",
            unit="s",
            description="When the job last succeeded, seconds since 1970.",
        ).set(time.time(), attributes)
    if failed and error is not None and is_new(error, began_s):
        record_error(REGISTRY, error, attributes)
        mark_recorded(error)
