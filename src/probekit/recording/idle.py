"""Wrappers asleep: what they are while recording is switched off.

A sleeping wrapper is the same function object with other code, which passes the call
on and reads no clock. Calls that are under way end as they began.
"""

import sys
from functools import lru_cache
from types import CodeType, FunctionType

from probekit.hints import TYPE_CHECKING
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
