"""Twins asleep: what probed functions are while recording is switched off.

A sleeping twin is the same function object with other code: of a woven one the
function's own, of a wrapper one that passes the call on and reads no clock. Calls that
are under way end as they began.
"""

import sys
from _weakref import ref  # weakref itself brings a set that nobody needs here
from functools import lru_cache
from types import CodeType, FunctionType

from probekit.hints import TYPE_CHECKING, NamedTuple
from probekit.recording.template import (
    ASYNC_GENERATOR,
    FILENAME,
    ITERABLE_COROUTINE,
    arguments_of,
    flavour_of_code,
    parameters_of,
    shape_of_code,
)

if TYPE_CHECKING:
    from probekit.recording.template import Shape

_CALLS = {
    "plain": ("def", ""),
    "coroutine": ("async def", "await "),
    "generator": ("def", "yield from "),
}


class Twin(NamedTuple):
    """What is known of one twin.

    Attributes:
        function: The twin itself.
        codes: Of a woven one: what it does awake, and asleep; None of a wrapper.
        counted: Whether its calls are only counted.
    """

    function: "ref[FunctionType]"
    codes: "tuple[CodeType, CodeType] | None"
    counted: bool

    def turn(self, *, asleep: bool) -> None:
        """Put it to sleep, or wake it; somebody else's code stays."""
        function = self.function()
        if function is None:
            return
        if self.codes is None:
            (put_to_sleep if asleep else wake)(function)
        elif function.__code__ is self.codes[not asleep]:
            function.__code__ = self.codes[asleep]


class Twins:
    """The twins of one registry, awake or asleep all together.

    Keeps none of them alive. Threads: any; two that switch at once may leave a twin
    as the other one wanted it, which records nothing wrong: it asks the watch.
    """

    __slots__ = ("_asleep", "_twins")

    def __init__(self) -> None:
        """Start awake, without twins."""
        self._asleep = False
        self._twins: dict[int, Twin] = {}

    def add(
        self,
        function: FunctionType,
        *,
        original: "CodeType | None" = None,
        counted: bool = False,
    ) -> None:
        """Take a new one.

        Args:
            function: The twin.
            original: The code that it was woven from; None of a wrapper.
            counted: Whether its calls are only counted.

        """
        key, mine = id(function), self._twins

        def gone(_: object) -> None:
            mine.pop(key, None)
            _KNOWN.pop(key, None)

        codes = None if original is None else (function.__code__, original)
        twin = mine[key] = _KNOWN[key] = Twin(ref(function, gone), codes, counted)
        if self._asleep:
            twin.turn(asleep=True)

    def renew(self, function: FunctionType, code: CodeType) -> None:
        """Know *function*, if it is a twin, by another copy of its woven code."""
        twin = self._twins.get(id(function))
        if twin is not None and twin.codes is not None:
            renewed = twin._replace(codes=(code, twin.codes[1]))
            self._twins[id(function)] = _KNOWN[id(function)] = renewed

    def switch(self, *, asleep: bool) -> None:
        """Put all to sleep, or wake them."""
        self._asleep = asleep
        for twin in list(self._twins.values()):
            twin.turn(asleep=asleep)


_KNOWN: "dict[int, Twin]" = {}  # of all registries


def twin_of(function: object) -> "Twin | None":
    """What is known of *function*, if ``probe`` has made it; awake or asleep."""
    twin = _KNOWN.get(id(function))
    return twin if twin is not None and twin.function() is function else None


def put_to_sleep(twin: FunctionType) -> None:
    """Let calls of *twin* only pass on; async generators stay awake."""
    code = twin.__code__
    if code.co_filename != FILENAME or code.co_flags & ASYNC_GENERATOR:
        return
    if _awake_code(code) is not None:
        return
    sleeping = _sleeping_code(
        shape_of_code(code, flavour_of_code(code), judged=False, spanned=False),
        code.co_freevars,
    )
    if sleeping.co_freevars != code.co_freevars:
        return
    sleeping = sleeping.replace(
        co_name=code.co_name,
        co_flags=sleeping.co_flags | code.co_flags & ITERABLE_COROUTINE,
        co_consts=(*sleeping.co_consts, code),
    )
    if sys.version_info >= (3, 11):
        sleeping = sleeping.replace(co_qualname=code.co_qualname)
    twin.__code__ = sleeping


def wake(twin: FunctionType) -> None:
    """Undo :func:`put_to_sleep`."""
    awake = _awake_code(twin.__code__)
    if awake is not None:
        twin.__code__ = awake


def _awake_code(code: CodeType) -> "CodeType | None":
    """What *code* stands in for: the last constant of a sleeping twin's."""
    last = code.co_consts[-1] if code.co_consts else None
    is_ours = isinstance(last, CodeType) and code.co_filename == FILENAME
    return last if is_ours else None


@lru_cache(maxsize=256)
def _sleeping_code(shape: "Shape", names: "tuple[str, ...]") -> CodeType:
    """Compile the code of a twin of *shape* that closes over *names*.

    What stands behind the ``return`` is never run: it makes the compiler close over
    the same cells, which the function object has already.
    """
    definition, waits = _CALLS[shape.flavour]
    function = next(name for name in names if name.endswith("_f"))
    text = (
        f"def make({', '.join(names)}):\n"
        f"    {definition} wrapper({parameters_of(shape)}):\n"
        f"        return ({waits}{function}({arguments_of(shape)}))\n"
        f"        {', '.join(names)}\n"
    )
    return _inner(_inner(compile(text, FILENAME, "exec")))


def _inner(code: CodeType) -> CodeType:
    return next(each for each in code.co_consts if isinstance(each, CodeType))
