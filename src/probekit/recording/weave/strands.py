"""What is woven into a function: the objects that its code calls."""

from collections.abc import Callable, Iterator
from time import perf_counter

from probekit.hints import Any, NamedTuple


class Strands(NamedTuple):
    """The objects that woven code loads as constants; all hashable, all called in C.

    The exceptions are ``due``, ``fail`` and ``slow``, which are Python functions and
    rarely called.

    Attributes:
        gate: Has ``deadline``, whose item ``()`` is the time before which there is
            nothing to do but append.
        due: Called after that time; says whether the call is not to be recorded.
        append: Takes the duration of a call without an exception, seconds.
        fail: Takes the exception of a failed call and its start; must not raise.
        missed: Takes the start instead where the stack has no room for ``fail``.
        clock: Returns seconds; cheap.
        tick: When given, the code is of the hot kind: ``tick`` is called at each
            start, and only when the low bits of what it returns are all zero is the
            call timed. ``fail`` gets 0.0 as the start of a call that is not timed.
        ticks: When given, the code is of the counted kind, which reads no clock: each
            call that ends well takes one step of this endless iterator, asks ``due``
            first unless ``gate.clear[()]`` is true, and ``fail`` gets 0.0.
        slow: When given, takes the duration of calls of at least ``slow_s`` seconds.
        slow_s: See there.
    """

    gate: Any
    due: Callable[[], bool]
    append: Callable[[float], object]
    fail: "Callable[[BaseException, float], object]"
    missed: Callable[[float], object]
    clock: Callable[[], float] = perf_counter
    tick: "Callable[[], int] | None" = None
    ticks: "Iterator[int] | None" = None
    slow: "Callable[[float], object] | None" = None
    slow_s: float = 0.0


TIMED_EVERY = 16  # calls of a hot function; a power of two
